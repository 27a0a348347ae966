"""The root metadata this server serves under: importing it, and reading who may sign what."""

import functools
import hashlib

from sqlmodel import Session, col, func, select

from dunlin_contract import cose, envelopes, keys
from dunlin_contract.limits import LIMITS, MCU_LIMITS
from dunlin_contract.root import Root
from fleet_server.context import Context
from fleet_server.db.models import DEVICE_REJECTED, DeviceRow, RootRow
from fleet_server.errors import ConfigError, ConflictError, InvalidError
from fleet_server.services import audit


def latest(session: Session) -> RootRow | None:
    """The newest root installed, if any."""
    return session.exec(select(RootRow).order_by(col(RootRow.version).desc()).limit(1)).first()


def current(session: Session) -> tuple[Root, RootRow]:
    """The newest root. Raises: ConfigError while none is installed."""
    row = latest(session)
    if row is None:
        raise ConfigError("no root is installed: sign one with `packager keys init`, then `fleet-server root import`")
    return parse(row.envelope), row


def version(session: Session, number: int) -> Root | None:
    """One version of the root, if it was ever installed here."""
    row = session.get(RootRow, number)
    return None if row is None else parse(row.envelope)


def by_digest(session: Session, digest: str) -> RootRow | None:
    """The root that a claim token pins by `digest` (hex)."""
    return session.exec(select(RootRow).where(RootRow.digest == digest)).first()


def largest_since(session: Session, number: int) -> int:
    """Bytes of the largest root from version `number` on: what a device that begins with that one has to take."""
    following = session.exec(select(RootRow).where(col(RootRow.version) >= number))
    return max(len(row.envelope) for row in following)


@functools.lru_cache(maxsize=16)
def parse(envelope: bytes) -> Root:
    """The root in an envelope that was verified when it was installed."""
    return Root.from_bytes(cose.peek(envelope, LIMITS.root_bytes))


def install(session: Session, ctx: Context, envelope: bytes, actor: str, now: float) -> RootRow:
    """Install the first root (on the word of whoever has a shell here), or the one that follows.

    Raises: ContractError (not a genuine root, or not the next), InvalidError (it does not name this server's keys),
    ConflictError (another root of this version is installed, or devices behind gateways could not follow it).
    """
    digest = envelopes.root_digest(envelope)
    known = by_digest(session, digest.hex())
    if known is not None:
        return known
    present = latest(session)
    if present is None:
        root = envelopes.open_first_root(envelope, digest)
    else:
        if parse(present.envelope).version >= envelopes.open_first_root(envelope, digest).version:
            raise ConflictError(f"root {present.version} is installed already: import the one that follows it")
        root = envelopes.open_next_root(envelope, parse(present.envelope))
    _check_names_us(root, ctx)
    if root.not_after <= now:
        raise InvalidError("this root has expired: sign a new one with `packager root sign`")
    behind = select(func.count()).where(col(DeviceRow.gateway).is_not(None), DeviceRow.state != DEVICE_REJECTED)
    count = session.exec(behind).one()
    if count and len(envelope) > MCU_LIMITS.root_bytes:
        raise ConflictError(
            f"this root has {len(envelope)} bytes, and devices behind gateways ({count} here) take "
            f"{MCU_LIMITS.root_bytes}: sign one with fewer keys"
        )
    row = RootRow(
        version=root.version,
        envelope=envelope,
        digest=digest.hex(),
        sha=hashlib.sha256(envelope).hexdigest(),
        installed=now,
    )
    session.add(row)
    audit.record(session, actor, "root.import", f"root:{root.version}", {"digest": row.digest}, now)
    return row


def _check_names_us(root: Root, ctx: Context) -> None:
    ours = {"director": ctx.keys.director_spki, "vault": ctx.keys.vault_spki, "ca": ctx.keys.ca.spki}
    for role, spki in ours.items():
        if root.signers(role).get(keys.kid(spki)) != spki:
            raise InvalidError(f"this root does not name this server's {role} key: sign it over its server-keys.cbor")
