"""How a device gets in: a one-use claim token, a signed request, an operator's approval, a certificate.

A device behind a gateway asks through that, and is pinned to it instead of given a certificate.

Whatever comes here is hostile until its signature, its token and its names have been checked. Each refusal says what
to do next, and none says more than its receiver may know.
"""

import hmac
import logging
import secrets

from cryptography.hazmat.primitives import serialization
from sqlalchemy import CursorResult, update
from sqlmodel import Session, col, select

from dunlin_contract import cose, envelopes, ids, keys
from dunlin_contract.enrolment import ClaimToken, EnrolReply, EnrolRequest, RenewRequest, Trust
from dunlin_contract.errors import ContractError
from dunlin_contract.limits import LIMITS, MCU_LIMITS
from dunlin_contract.topics import Address
from fleet_server.context import Context
from fleet_server.db.engine import touch
from fleet_server.db.models import (
    DEVICE_ACTIVE,
    DEVICE_PENDING,
    DEVICE_REJECTED,
    ClaimTokenRow,
    DeviceModelRow,
    DeviceRow,
    RootRow,
)
from fleet_server.errors import BusyError, ConflictError, DeniedError, InvalidError, NotFoundError, ServerError
from fleet_server.services import alarms, audit, devices, directives, gateways, reports, roots

log = logging.getLogger(__name__)

POLL_S = 10  # how often a waiting device asks
TOKEN_LIFE_S = range(60, 30 * 86400 + 1)


def create_token(
    session: Session, ctx: Context, tags: dict[str, str], auto_approve: bool, expires_in_s: int, actor: str, now: float
) -> str:
    """A new claim token's text, shown once. Raises: InvalidError, ConfigError (no root is installed)."""
    if expires_in_s not in TOKEN_LIFE_S:
        raise InvalidError(f"a claim token lives {TOKEN_LIFE_S.start} to {TOKEN_LIFE_S.stop - 1} seconds")
    _, root = roots.current(session)
    token = ClaimToken(
        url=ctx.config.device_url,
        root_digest=bytes.fromhex(root.digest),
        token_id=secrets.token_bytes(8),
        secret=secrets.token_bytes(16),
        expires=int(now) + expires_in_s,
    )
    row = ClaimTokenRow(
        id=token.token_id.hex(),
        secret_hash=token.secret_hash().hex(),
        tags=devices.check_tags(tags),
        auto_approve=auto_approve,
        root=root.digest,
        created=now,
        created_by=actor,
        expires=float(token.expires),
    )
    session.add(row)
    detail = {"tags": tags, "auto_approve": auto_approve, "expires": row.expires}
    audit.record(session, actor, "claim-token.add", f"claim-token:{row.id}", detail, now)
    return token.to_text()


def trust(session: Session, ctx: Context, root_digest: str | None) -> bytes:
    """The root and the device CA, for a device that knows only its token. Raises: NotFoundError, ConfigError."""
    _, row = roots.current(session)
    if root_digest is not None:
        pinned = roots.by_digest(session, root_digest)
        if pinned is None:
            raise NotFoundError("this server never had that root: the claim token is another server's")
        row = pinned
    return Trust(root=row.envelope, ca=ctx.keys.ca.der).to_bytes()


def enrol(ctx: Context, envelope: bytes, via: Address | None = None) -> EnrolReply:
    """Answer an enrolment request; repeated with the same keys it tells whether the operator has decided.

    `via`: whose topic it came on, for a device behind a gateway; None for one that speaks for itself.
    Raises: ContractError (malformed or not signed by its key), DeniedError (token unknown, expired or used, the
    device was rejected, or its gateway is not in the fleet), ConflictError (the device id or the key is taken, or it
    enrolled on another way), InvalidError (it is another device than the topic says, or one that cannot be).
    """
    request = _prove(envelope)
    if via is not None and via.device != request.device:
        raise InvalidError(f"{request.device} asks in the place of {via.device}: enrol it under its own id")
    gateway = via.gateway if via is not None else None
    now = ctx.clock()
    with ctx.db.write() as session:
        token = _check_secret(session, request)
        rows = gateways.lock(session, request.device, *([gateway] if gateway is not None else ()))
        if gateway is not None:
            gateways.check(rows.get(gateway), gateway)
        row = rows.get(request.device)
        again = row is not None and row.identity_spki == request.spki and row.claim_token == token.id
        if row is None or not again:
            row = _admit(session, ctx, request, token, row, gateway, now)
        if row.state == DEVICE_REJECTED:
            raise DeniedError("an operator rejected this device: ask them, and enrol again with a new claim token")
        if row.gateway != gateway:
            way = f"through gateway {row.gateway}" if row.gateway is not None else "on a connection of its own"
            raise ConflictError(f"this device enrolled {way}: an operator can move it to another gateway, or remove it")
        return _reply(session, ctx, row, token)


def enrol_through(ctx: Context, via: Address, envelope: bytes) -> EnrolReply:
    """As `enrol`, for a device behind a gateway: a refusal is a reply as well, since there is no other way to tell it.

    Raises: BusyError.
    """
    try:
        return enrol(ctx, envelope, via)
    except BusyError:
        raise
    except ServerError as error:
        reason = error.detail
    except ContractError as error:
        reason = f"the request does not hold ({error.detail}): look after the line, and the version of the firmware"
    log.warning("enrolment of %s through %s refused: %s", via.device, via.gateway, reason)
    return EnrolReply(status="refused", reason=reason.encode()[: LIMITS.text_bytes].decode(errors="ignore"))


def renew(ctx: Context, envelope: bytes) -> EnrolReply:
    """Issue a new certificate to a device that proves its known identity key, however old its last one is.

    Raises: ContractError, DeniedError (unknown, or no longer in the fleet), InvalidError (it asks for another key).
    """
    claimed = RenewRequest.from_bytes(cose.peek1(envelope, LIMITS.enrolment_bytes))
    now = ctx.clock()
    with ctx.db.write() as session:
        row = session.get(DeviceRow, claimed.device, with_for_update=True)
        if row is None or row.state != DEVICE_ACTIVE:
            raise DeniedError("this device is not in the fleet: enrol it with a new claim token")
        if row.gateway is not None:
            raise DeniedError(f"this device is behind gateway {row.gateway}, where it needs no certificate")
        request = envelopes.open_renew(envelope, row.identity_spki)
        if request.spki != row.identity_spki:
            raise InvalidError("the key to certify must be the identity key that the device was enrolled with")
        _certify(ctx, row, now)
        session.add(row)
        touch(session, f"device:{row.id}")
        return _issued(ctx, row)


def approve(session: Session, ctx: Context, device: str, actor: str, now: float) -> DeviceRow:
    """Let a waiting device in. Raises: NotFoundError, ConflictError (it is not waiting)."""
    row = devices.get(session, device, lock=True)
    if row.state != DEVICE_PENDING:
        raise ConflictError(f"device {device} is {row.state}, not pending: nothing to approve")
    audit.record(session, actor, "device.approve", f"device:{device}", {}, now)
    _activate(session, ctx, row, now)
    return row


def reject(session: Session, ctx: Context, device: str, actor: str, now: float) -> DeviceRow:  # noqa: ARG001
    """Keep a waiting device out, or take one out of the fleet: its certificate is not renewed, nothing is desired.

    What lies on the device stays there: wipe it first if it must not. Raises: NotFoundError, ConflictError.
    """
    devices.get(session, device)
    rows = gateways.lock(session, device, behind=[device])
    row = rows.pop(device)
    if row.state == DEVICE_REJECTED:
        raise ConflictError(f"device {device} is rejected already")
    audit.record(session, actor, "device.reject", f"device:{device}", {"was": row.state}, now)
    row.state, row.online, row.said_online = DEVICE_REJECTED, False, False
    gateways.followed(session, row, rows.values(), now)
    session.exec(update(DeviceModelRow).where(col(DeviceModelRow.device) == device).values(desired=None, trial=None))
    directives.withdraw(session, row, now)
    alarms.clear(session, device, *alarms.KINDS)
    touch(session, f"device:{device}")
    return row


def _prove(envelope: bytes) -> EnrolRequest:
    """An enrolment request whose signature and keys hold."""
    request = envelopes.open_enrol(envelope)
    keys.load_spki(request.kem)
    if request.kem == request.spki:
        raise InvalidError("identity and KEM key must be two keys")
    return request


def _check_secret(session: Session, request: EnrolRequest) -> ClaimTokenRow:
    token = session.get(ClaimTokenRow, request.token_id.hex())
    given = ClaimToken(
        url="https://", root_digest=bytes(32), token_id=request.token_id, secret=request.secret, expires=0
    )
    if token is None or not hmac.compare_digest(bytes.fromhex(token.secret_hash), given.secret_hash()):
        raise DeniedError("this claim token is unknown here: copy the whole of it, or ask an operator for a new one")
    return token


def _admit(
    session: Session,
    ctx: Context,
    request: EnrolRequest,
    token: ClaimTokenRow,
    present: DeviceRow | None,
    gateway: str | None,
    now: float,
) -> DeviceRow:
    """Spend the token on a device that is new, or that comes back after it was rejected."""
    device = request.device
    if token.used_at is not None:
        raise DeniedError("this claim token was used already: ask an operator for a new one")
    if token.expires <= now:
        raise DeniedError("this claim token has expired: ask an operator for a new one")
    if not ids.is_device(device):
        raise InvalidError(f"{device!r} is reserved: choose another device id")
    if present is not None and present.state != DEVICE_REJECTED:
        raise ConflictError(
            f"there is a device {device} already: choose another id, or have an operator remove that one"
        )
    twin = select(DeviceRow.id).where(DeviceRow.identity_spki == request.spki, DeviceRow.id != device)
    if session.exec(twin).first() is not None:  # else what one of them signed could be passed off as the other's
        raise ConflictError("another device has this identity key: erase this one's, so that it makes keys of its own")
    root = _pinned_root(session, token)
    if gateway is not None and (size := roots.largest_since(session, root.version)) > MCU_LIMITS.root_bytes:
        raise ConflictError(
            f"the fleet's root has {size} bytes, and a device behind a gateway takes {MCU_LIMITS.root_bytes}: "
            "sign one with fewer keys, and make a new claim token"
        )
    _spend(session, token.id, device, now)
    row = present or DeviceRow(id=device, created=now, identity_spki=b"", kem_spki=b"", description=b"")
    if row.identity_spki != request.spki:
        row.report_number = 0  # reports are numbered over the life of a device's keys
    row.identity_spki, row.kem_spki = request.spki, request.kem
    row.gateway, row.online, row.said_online = gateway, False, False
    row.certificate = row.certificate_serial = row.certificate_not_after = None
    row.claim_token, row.tags, row.state, row.created = token.id, dict(token.tags), DEVICE_PENDING, now
    reports.describe(row, request.description)
    row.boot_nonce, row.reported_epoch, row.reported_seq, row.root_version = None, 0, 0, root.version
    session.add(row)
    session.exec(
        update(DeviceModelRow)
        .where(col(DeviceModelRow.device) == device)
        .values(grant=None, grant_release=None, trial_grant=None, trial_grant_release=None)
    )
    way = {"gateway": gateway} if gateway is not None else {}
    audit.record(session, f"claim-token:{token.id}", "device.enrol", f"device:{device}", way, now)
    alarms.clear(session, device, *alarms.KINDS)
    touch(session, f"device:{device}")
    if token.auto_approve:
        session.flush()
        _activate(session, ctx, row, now)
    return row


def _spend(session: Session, token_id: str, device: str, now: float) -> None:
    """One statement decides who was first, on either database."""
    unused = update(ClaimTokenRow).where(col(ClaimTokenRow.id) == token_id, col(ClaimTokenRow.used_at).is_(None))
    result = session.exec(unused.values(used_at=now, used_by=device))
    assert isinstance(result, CursorResult)
    if result.rowcount != 1:
        raise DeniedError("this claim token was used already: ask an operator for a new one")


def _activate(session: Session, ctx: Context, row: DeviceRow, now: float) -> None:
    row.state = DEVICE_ACTIVE
    if row.gateway is None:
        _certify(ctx, row, now)
    session.add(row)
    session.flush()
    directives.issue(session, ctx, row.id, now)


def _certify(ctx: Context, row: DeviceRow, now: float) -> None:
    certificate = ctx.keys.ca.issue_device(row.id, keys.load_spki(row.identity_spki), now)
    row.certificate = certificate.public_bytes(serialization.Encoding.DER)
    row.certificate_serial = f"{certificate.serial_number:x}"
    row.certificate_not_after = certificate.not_valid_after_utc.timestamp()


def _pinned_root(session: Session, token: ClaimTokenRow) -> RootRow:
    row = roots.by_digest(session, token.root)
    assert row is not None, "no root that was installed is ever deleted"
    return row


def _reply(session: Session, ctx: Context, row: DeviceRow, token: ClaimTokenRow) -> EnrolReply:
    if row.state == DEVICE_PENDING:
        return EnrolReply(status="pending", poll_s=POLL_S)
    if row.gateway is not None:
        return EnrolReply(status="issued", root=_pinned_root(session, token).envelope)
    return _issued(ctx, row)


def _issued(ctx: Context, row: DeviceRow) -> EnrolReply:
    assert row.certificate is not None, "an active device with a connection of its own has a certificate"
    return EnrolReply(
        status="issued",
        chain=(row.certificate, ctx.keys.ca.der),
        broker_host=ctx.config.broker_host,
        broker_port=ctx.config.broker_port,
    )


def tokens(session: Session, limit: int = 100) -> list[ClaimTokenRow]:
    """Claim tokens, newest first."""
    return list(session.exec(select(ClaimTokenRow).order_by(col(ClaimTokenRow.created).desc()).limit(limit)))
