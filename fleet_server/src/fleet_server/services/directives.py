"""Telling one device what it should be: the whole desired state, signed, in the outbox of the same transaction.

A directive is made anew whenever its inputs change, and before it (or a lease it carries) runs out. Its number only
rises: above our last, and above what the device says it has followed, so that a restored backup strands nobody.
"""

import hashlib
import logging
from dataclasses import dataclass

from sqlalchemy import update
from sqlmodel import Session, col, select

from dunlin_contract import hpke
from dunlin_contract.directive import Desired, Directive, Lease, Trial, directive_digest
from dunlin_contract.errors import ContractError
from dunlin_contract.limits import LIMITS, MCU_LIMITS
from dunlin_contract.root import Root
from dunlin_contract.schema import NO_ENTRIES
from fleet_server.context import Context
from fleet_server.db.engine import touch
from fleet_server.db.models import (
    DEVICE_ACTIVE,
    CaptureOrderRow,
    DeviceModelRow,
    DeviceRow,
    ReleaseRow,
    RootRow,
    WipeOrderRow,
)
from fleet_server.errors import ConflictError, ServerError
from fleet_server.services import devices, objects, outbox, roots, settings

log = logging.getLogger(__name__)

DEFAULT_LEASE = Lease(seconds=30 * 86400, action="warn")
REFRESH_SHARE = 3  # a directive is issued again when a third of the shortest lease, or of its own life, has passed


@dataclass(frozen=True, slots=True)
class _Fleet:
    """What all directives have in common."""

    root: Root
    root_row: RootRow
    settings: tuple[bytes, bytes] | None  # digest, bytes

    @property
    def digest(self) -> str:
        """Names these inputs: a directive made from others is stale."""
        return hashlib.sha256((self.settings[0] if self.settings else b"") + self.root_row.sha.encode()).hexdigest()


def issue(session: Session, ctx: Context, device: str, now: float) -> int:
    """Make and owe the next directive of an active device from its rows. Returns its number (`seq`).

    Raises: NotFoundError, ConflictError (the device is not active), ConfigError (no root is installed).
    """
    return _issue(session, ctx, _fleet(session), devices.get(session, device, lock=True), now)


def tell(session: Session, ctx: Context, device: str, now: float) -> int | None:
    """As `issue`, in a decision about many: None for a device that cannot be told, which must not stop the others."""
    return _tell(session, ctx, _fleet(session), devices.get(session, device, lock=True), now)


def refresh(session: Session, ctx: Context, now: float, limit: int) -> int:
    """Reissue up to `limit` directives that were made from older fleet-wide inputs, or run out on online devices."""
    if roots.latest(session) is None:
        return 0
    fleet = _fleet(session)
    due = (col(DeviceRow.directive_refresh) <= now) & col(DeviceRow.online)
    stale = col(DeviceRow.directive_base) != fleet.digest
    query = select(DeviceRow.id).where(DeviceRow.state == DEVICE_ACTIVE, due | stale).order_by(DeviceRow.id)
    count = 0
    for device in session.exec(query.limit(limit)).all():
        row = devices.get(session, device, lock=True)
        if _tell(session, ctx, fleet, row, now) is None:
            # Not with every tick, but when the fleet's inputs change (a root with a higher epoch helps), or later.
            row.directive_base, row.directive_refresh = fleet.digest, now + ctx.config.directive_s / REFRESH_SHARE
            session.add(row)
        count += 1
    return count


def invalidate_all(session: Session) -> None:
    """Have `refresh` reissue every directive: the broker, or we, may have lost some."""
    session.exec(update(DeviceRow).values(directive_base=""))


def settings_sha(session: Session) -> str | None:
    """Name of the settings object that directives carry now, hex."""
    current = settings.as_object(settings.get(session))
    return None if current is None else current[0].hex()


def withdraw(session: Session, device: DeviceRow, now: float) -> None:
    """Clear the retained directive of a device that left the fleet."""
    device.directive = None
    session.add(device)
    clear_retained(session, device, now)


def clear_retained(session: Session, device: DeviceRow, now: float) -> None:
    """Clear what the broker retains for a device; and what its gateway said of it, which that may never take back."""
    address = devices.address_of(device)
    stale = [address.down("desired")] + ([address.up("status")] if device.gateway is not None else [])
    outbox.clear(session, stale, now)


def pending_wipe(session: Session, device: str) -> WipeOrderRow | None:
    """The oldest signed wipe order without a good receipt: each directive carries it until then."""
    query = select(WipeOrderRow).where(WipeOrderRow.device == device, WipeOrderRow.state == "sent")
    return session.exec(query.order_by(col(WipeOrderRow.sent_at)).limit(1)).first()


def _fleet(session: Session) -> _Fleet:
    root, row = roots.current(session)
    return _Fleet(root, row, settings.as_object(settings.get(session)))


def _tell(session: Session, ctx: Context, fleet: _Fleet, row: DeviceRow, now: float) -> int | None:
    try:
        return _issue(session, ctx, fleet, row, now)
    except (ServerError, ContractError) as error:
        log.warning("device %s cannot be told what it should be: %s", row.id, error)
        return None


def _issue(session: Session, ctx: Context, fleet: _Fleet, row: DeviceRow, now: float) -> int:
    if row.state != DEVICE_ACTIVE:
        raise ConflictError(f"device {row.id} is {row.state}, not active: approve it first")
    epoch, next_root = _epoch_and_next_root(session, fleet, row, now)
    wipe = pending_wipe(session, row.id)
    desired = _desired(session, ctx, row, wipe, now)
    trials = _trials(session, ctx, row, desired, now)
    orders = _captures(session, row, desired, now)
    if fleet.settings is not None:
        objects.add(session, "settings", fleet.settings[0].hex(), fleet.settings[1], now)
    directive = Directive(
        device=row.id,
        epoch=epoch,
        seq=_next_seq(row, epoch),
        issued=int(now),
        expires=int(now + ctx.config.directive_s),
        desired=desired,
        settings=fleet.settings[0] if fleet.settings is not None else None,
        wipe=wipe.envelope if wipe is not None else None,
        nonce=row.boot_nonce,
        root=next_root,
        trials=trials or NO_ENTRIES,
        captures={one.model: one.envelope for one in orders if one.envelope is not None} or NO_ENTRIES,
    )
    payload = directive.to_bytes()
    envelope = ctx.keys.sign_directive(payload)
    if row.gateway is not None:
        if len(desired) > MCU_LIMITS.models:
            raise ConflictError(f"it should run {', '.join(desired)}, and a microcontroller holds {MCU_LIMITS.models}")
        _check_size("directive", envelope, MCU_LIMITS.directive_bytes)
        _check_size("wipe order", directive.wipe or b"", MCU_LIMITS.wipe_bytes)
    lives = [one.lease.seconds for one in desired.values()] + [ctx.config.directive_s]
    row.epoch, row.seq = epoch, directive.seq
    row.directive = envelope
    row.directive_digest = directive_digest(payload).hex()
    row.directive_issued, row.directive_expires = float(directive.issued), float(directive.expires)
    row.directive_refresh = min([now + min(lives) / REFRESH_SHARE] + [one.not_after for one in orders])
    row.directive_base = fleet.digest
    row.directive_nonce = row.boot_nonce
    session.add(row)
    outbox.put(session, devices.address_of(row).down("desired"), row.directive, now)
    touch(session, f"device:{row.id}")
    return directive.seq


def _check_size(what: str, envelope: bytes, cap_bytes: int) -> None:
    if len(envelope) > cap_bytes:
        raise ConflictError(f"its {what} would have {len(envelope)} bytes, and a microcontroller takes {cap_bytes}")


def _epoch_and_next_root(session: Session, fleet: _Fleet, row: DeviceRow, now: float) -> tuple[int, bytes | None]:
    """The epoch the device lives in, by the root it trusts, and the object of the root that follows that one."""
    if row.root_version >= fleet.root.version:
        return fleet.root.epoch, None
    known = roots.version(session, row.root_version)
    following = session.get(RootRow, row.root_version + 1)
    if known is None or following is None:
        return fleet.root.epoch, None
    objects.add(session, "root", following.sha, following.envelope, now)
    # Where a stolen director key used up the numbers, only the next epoch has any: the device refuses such a directive,
    # but learns from it of the root that makes it good.
    epoch = known.epoch if _number(row, known.epoch) <= LIMITS.sequence else roots.parse(following.envelope).epoch
    return epoch, bytes.fromhex(following.sha)


def _number(row: DeviceRow, epoch: int) -> int:
    ours = row.seq if row.epoch == epoch else 0
    theirs = row.reported_seq if row.reported_epoch == epoch else 0
    return max(ours, theirs) + 1


def _next_seq(row: DeviceRow, epoch: int) -> int:
    number = _number(row, epoch)
    if number > LIMITS.sequence:
        raise ServerError(f"device {row.id} has used up the numbers of epoch {epoch}: sign a root with a higher epoch")
    return number


def _desired(
    session: Session, ctx: Context, row: DeviceRow, wipe: WipeOrderRow | None, now: float
) -> dict[str, Desired]:
    """What a device should run. A model that is being wiped is left out until its receipt is here."""
    query = select(DeviceModelRow, ReleaseRow).where(DeviceModelRow.device == row.id)
    joined = query.join(ReleaseRow, col(DeviceModelRow.desired) == col(ReleaseRow.digest)).order_by(
        DeviceModelRow.model
    )
    desired: dict[str, Desired] = {}
    for model, release in session.exec(joined):
        if wipe is not None and (not wipe.scope or model.model in wipe.scope):
            continue
        objects.want(session, release, now)
        desired[model.model] = _release(model, release, _grant(session, ctx, row, model, release))
    return desired


def _trials(
    session: Session, ctx: Context, row: DeviceRow, desired: dict[str, Desired], now: float
) -> dict[str, Trial]:
    """What a device should run beside what is desired. A microcontroller holds no second release."""
    if row.gateway is not None:
        return {}
    query = select(DeviceModelRow, ReleaseRow).where(DeviceModelRow.device == row.id)
    joined = query.join(ReleaseRow, col(DeviceModelRow.trial) == col(ReleaseRow.digest)).order_by(DeviceModelRow.model)
    trials: dict[str, Trial] = {}
    for model, release in session.exec(joined):
        if model.model not in desired or model.desired == release.digest or len(trials) == LIMITS.trials:
            continue
        objects.want(session, release, now)
        candidate = _release(model, release, _trial_grant(session, ctx, row, model, release))
        trials[model.model] = Trial(candidate=candidate, mode=model.trial_mode, share=max(1, model.trial_permille))
    return trials


def _captures(session: Session, row: DeviceRow, desired: dict[str, Desired], now: float) -> list[CaptureOrderRow]:
    """The orders in force for what a device should run, one a model. A microcontroller captures nothing."""
    if row.gateway is not None or not desired:
        return []
    query = select(CaptureOrderRow).where(CaptureOrderRow.device == row.id, CaptureOrderRow.state == "sent")
    in_force = query.where(col(CaptureOrderRow.not_after) > now, col(CaptureOrderRow.model).in_(desired))
    return list(session.exec(in_force.order_by(CaptureOrderRow.model)))


def _release(model: DeviceModelRow, release: ReleaseRow, grant: bytes) -> Desired:
    return Desired(
        release=bytes.fromhex(release.digest),
        floor=model.floor,
        grant=grant,
        lease=Lease(seconds=model.lease_s, action=model.lease_action) if model.lease_s else DEFAULT_LEASE,
        manifest=bytes.fromhex(release.manifest_sha),
        index=tuple(bytes.fromhex(sha) for sha in release.index_shas),
    )


def keep_grant(model: DeviceModelRow, release: str) -> None:
    """The release becomes the desired one: a trial ends, and what was granted for it is used on."""
    if model.trial_grant_release == release:
        model.grant, model.grant_release = model.trial_grant, release
    model.trial = model.trial_grant = model.trial_grant_release = None


def _grant(session: Session, ctx: Context, row: DeviceRow, model: DeviceModelRow, release: ReleaseRow) -> bytes:
    if model.grant is None or model.grant_release != release.digest:
        model.grant, model.grant_release = _seal(ctx, row, release), release.digest
        session.add(model)
    return model.grant


def _trial_grant(session: Session, ctx: Context, row: DeviceRow, model: DeviceModelRow, release: ReleaseRow) -> bytes:
    if model.trial_grant is None or model.trial_grant_release != release.digest:
        model.trial_grant, model.trial_grant_release = _seal(ctx, row, release), release.digest
        session.add(model)
    return model.trial_grant


def _seal(ctx: Context, row: DeviceRow, release: ReleaseRow) -> bytes:
    digest = bytes.fromhex(release.digest)
    return hpke.seal_cek(ctx.keys.open_cek(release.sealed_cek, digest), row.kem_spki, digest, row.id)
