"""How a device gets in: a one-use claim token, a signed request, an operator's approval, a certificate.

Whatever comes here is hostile until its signature, its token and its names have been checked. Each refusal says what
to do next, and none says more than its receiver may know.
"""

import hmac
import secrets
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from sqlalchemy import CursorResult, update
from sqlmodel import Session, col, select

from dunlin_contract import cose, envelopes, ids, keys
from dunlin_contract.enrolment import ClaimToken, EnrolReply, EnrolRequest, RenewRequest, Trust
from dunlin_contract.limits import LIMITS
from fleet_server.context import Context
from fleet_server.db.engine import touch
from fleet_server.db.models import (
    DEVICE_ACTIVE,
    DEVICE_PENDING,
    DEVICE_REJECTED,
    ClaimTokenRow,
    DeviceModelRow,
    DeviceRow,
)
from fleet_server.errors import ConflictError, DeniedError, InvalidError, NotFoundError
from fleet_server.services import audit, devices, directives, roots

POLL_S = 10  # how often a waiting device asks
TOKEN_LIFE_S = range(60, 30 * 86400 + 1)


@dataclass(frozen=True, slots=True)
class _Proven:
    """An enrolment request whose signature, CSR and keys hold."""

    request: EnrolRequest
    identity_spki: bytes


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


def enrol(ctx: Context, envelope: bytes) -> EnrolReply:
    """Answer an enrolment request; repeated with the same keys it tells whether the operator has decided.

    Raises: ContractError (malformed or not signed by its key), DeniedError (token unknown, expired or used, or the
    device was rejected), ConflictError (the device id is taken).
    """
    proven = _prove(envelope)
    now = ctx.clock()
    with ctx.db.write() as session:
        token = _check_secret(session, proven.request)
        row = session.get(DeviceRow, proven.request.device, with_for_update=True)
        again = row is not None and row.identity_spki == proven.identity_spki and row.claim_token == token.id
        if not again:
            row = _admit(session, ctx, proven, token, row, now)
        assert row is not None
        if row.state == DEVICE_REJECTED:
            raise DeniedError("an operator rejected this device: ask them, and enrol again with a new claim token")
        return _reply(ctx, row)


def renew(ctx: Context, envelope: bytes) -> EnrolReply:
    """Issue a new certificate to a device that proves its known identity key, however old its last one is.

    Raises: ContractError, DeniedError (unknown, or no longer in the fleet), InvalidError (the CSR is for another key).
    """
    claimed = RenewRequest.from_bytes(cose.peek1(envelope, LIMITS.enrolment_bytes))
    now = ctx.clock()
    with ctx.db.write() as session:
        row = session.get(DeviceRow, claimed.device, with_for_update=True)
        if row is None or row.state != DEVICE_ACTIVE:
            raise DeniedError("this device is not in the fleet: enrol it with a new claim token")
        request = envelopes.open_renew(envelope, row.identity_spki)
        if keys.spki(_public_of(request.csr)) != row.identity_spki:
            raise InvalidError("the CSR must be for the identity key the device was enrolled with")
        _certify(ctx, row, now)
        session.add(row)
        touch(session, f"device:{row.id}")
        return _reply(ctx, row)


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
    row = devices.get(session, device, lock=True)
    if row.state == DEVICE_REJECTED:
        raise ConflictError(f"device {device} is rejected already")
    audit.record(session, actor, "device.reject", f"device:{device}", {"was": row.state}, now)
    row.state, row.online = DEVICE_REJECTED, False
    session.exec(update(DeviceModelRow).where(col(DeviceModelRow.device) == device).values(desired=None))
    directives.withdraw(session, row, now)
    touch(session, f"device:{device}")
    return row


def _prove(envelope: bytes) -> _Proven:
    request = EnrolRequest.from_bytes(cose.peek1(envelope, LIMITS.enrolment_bytes))
    spki = keys.spki(_public_of(request.csr))
    request = envelopes.open_enrol(envelope, spki)
    keys.load_spki(request.kem)
    if request.kem == spki:
        raise InvalidError("identity and KEM key must be two keys")
    return _Proven(request, spki)


def _public_of(csr_der: bytes) -> keys.PublicKey:
    """The P-256 key of a CSR that holds its own signature. Raises: InvalidError."""
    try:
        csr = x509.load_der_x509_csr(csr_der)
        public, holds = csr.public_key(), csr.is_signature_valid
    except Exception:  # noqa: BLE001 - hostile DER may fail in any way, and each means the same
        raise InvalidError("the CSR cannot be read: make a PKCS#10 request in DER with a P-256 key") from None
    if not holds or not isinstance(public, keys.PublicKey) or public.curve.name != "secp256r1":
        raise InvalidError("the CSR is not signed by its own P-256 key")
    return public


def _check_secret(session: Session, request: EnrolRequest) -> ClaimTokenRow:
    token = session.get(ClaimTokenRow, request.token_id.hex())
    given = ClaimToken(
        url="https://", root_digest=bytes(32), token_id=request.token_id, secret=request.secret, expires=0
    )
    if token is None or not hmac.compare_digest(bytes.fromhex(token.secret_hash), given.secret_hash()):
        raise DeniedError("this claim token is unknown here: copy the whole of it, or ask an operator for a new one")
    return token


def _admit(
    session: Session, ctx: Context, proven: _Proven, token: ClaimTokenRow, present: DeviceRow | None, now: float
) -> DeviceRow:
    """Spend the token on a device that is new, or that comes back after it was rejected."""
    device = proven.request.device
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
    _spend(session, token.id, device, now)
    row = present or DeviceRow(id=device, created=now, identity_spki=b"", kem_spki=b"", description=b"")
    description = proven.request.description
    row.identity_spki, row.kem_spki, row.csr = proven.identity_spki, proven.request.kem, proven.request.csr
    row.certificate = row.certificate_serial = row.certificate_not_after = None
    row.claim_token, row.tags, row.state, row.created = token.id, dict(token.tags), DEVICE_PENDING, now
    row.description = description.to_bytes()
    row.hardware_class, row.arch = description.hardware_class, description.arch
    row.boot_nonce, row.reported_epoch, row.reported_seq, row.root_version = None, 0, 0, 1
    session.add(row)
    session.exec(
        update(DeviceModelRow).where(col(DeviceModelRow.device) == device).values(grant=None, grant_release=None)
    )
    audit.record(session, f"claim-token:{token.id}", "device.enrol", f"device:{device}", {}, now)
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
    _certify(ctx, row, now)
    session.add(row)
    session.flush()
    directives.issue(session, ctx, row.id, now)


def _certify(ctx: Context, row: DeviceRow, now: float) -> None:
    certificate = ctx.keys.ca.issue_device(row.id, keys.load_spki(row.identity_spki), now)
    row.certificate = certificate.public_bytes(serialization.Encoding.DER)
    row.certificate_serial = f"{certificate.serial_number:x}"
    row.certificate_not_after = certificate.not_valid_after_utc.timestamp()
    row.csr = None


def _reply(ctx: Context, row: DeviceRow) -> EnrolReply:
    if row.state == DEVICE_PENDING or row.certificate is None:
        return EnrolReply(status="pending", poll_s=POLL_S)
    return EnrolReply(
        status="issued",
        chain=(row.certificate, ctx.keys.ca.der),
        broker_host=ctx.config.broker_host,
        broker_port=ctx.config.broker_port,
    )


def tokens(session: Session, limit: int = 100) -> list[ClaimTokenRow]:
    """Claim tokens, newest first."""
    return list(session.exec(select(ClaimTokenRow).order_by(col(ClaimTokenRow.created).desc()).limit(limit)))
