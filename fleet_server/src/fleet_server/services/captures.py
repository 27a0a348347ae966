"""Capture orders: drafted here, signed by two people elsewhere, carried by the device's directives until they end.

As with wipes, the server holds no ops key: it can neither forge an order nor change one. Whether anything is kept is
for the device's owner to say, in its own configuration. An order is a state: the device follows it while a directive
carries it, so one that was cancelled ends with the next directive.
"""

import hashlib
import secrets
from dataclasses import replace

from sqlmodel import Session, col, func, select

from dunlin_contract import cose
from dunlin_contract.capture import CaptureOrder
from dunlin_contract.cose import Role
from dunlin_contract.limits import LIMITS
from fleet_server.context import Context
from fleet_server.db.engine import touch
from fleet_server.db.models import DEVICE_ACTIVE, CaptureOrderRow, CaptureSignatureRow, ResultRow
from fleet_server.errors import ConflictError, InvalidError, NotFoundError
from fleet_server.services import audit, devices, directives, roots
from fleet_server.services.wipes import needed

DRAFT, SENT, CANCELLED, SUPERSEDED = "draft", "sent", "cancelled", "superseded"
ENDED = "ended"  # sent, and past its not-after; not stored


def draft(session: Session, wanted: CaptureOrder, actor: str, now: float) -> CaptureOrderRow:
    """An order for people to sign. Of ``wanted``, the order id and the time of issue are chosen here.

    Raises: NotFoundError, ConflictError (not active, a microcontroller, or another draft for the model), InvalidError
    (it would keep nothing, or is over already), ContractError (a value out of range).
    """
    row = devices.get(session, wanted.device, lock=True)
    if row.state != DEVICE_ACTIVE:
        raise ConflictError(f"device {row.id} is {row.state}: only an active device can capture")
    if row.gateway is not None:
        raise ConflictError(f"device {row.id} is behind gateway {row.gateway}: microcontrollers capture nothing")
    if wanted.not_after <= now:
        raise InvalidError("not_after has passed: choose a later time (seconds since 1970, UTC)")
    if not (wanted.random_permille or wanted.margin_permille or wanted.disagreement or wanted.classes):
        raise InvalidError("the order picks no request: set random_permille, margin_permille, disagreement or classes")
    for other in _in_state(session, row.id, wanted.model, DRAFT):
        if other.not_after > now:
            raise ConflictError(f"capture {other.id} of {row.id} is a draft: have it signed, or cancel it first")
    order_id = secrets.token_bytes(16)
    payload = replace(wanted, order_id=order_id, issued=int(now)).to_bytes()
    order = CaptureOrder.from_bytes(payload)  # checks the ranges
    made = CaptureOrderRow(
        id=order_id.hex(),
        device=row.id,
        model=order.model,
        payload=payload,
        digest=hashlib.sha256(payload).hexdigest(),
        not_after=float(order.not_after),
        created=now,
        created_by=actor,
    )
    session.add(made)
    detail = {"device": row.id, "model": order.model}
    audit.record(session, actor, "capture.draft", f"capture:{made.id}", detail, now)
    touch(session, f"capture:{made.id}", f"device:{row.id}")
    return made


def get(session: Session, order: str, *, lock: bool = False) -> CaptureOrderRow:
    """One order. Raises: NotFoundError."""
    row = session.get(CaptureOrderRow, order, with_for_update=lock or None)
    if row is None:
        raise NotFoundError(f"there is no capture order {order[:40]!r}: check its id")
    return row


def order_of(row: CaptureOrderRow) -> CaptureOrder:
    """What a row's people sign."""
    return CaptureOrder.from_bytes(row.payload)


def state_of(row: CaptureOrderRow, now: float) -> str:
    """Its state, or that it has ended."""
    return ENDED if row.state == SENT and row.not_after <= now else row.state


def page(
    session: Session, device: str | None = None, model: str | None = None, before: float | None = None, limit: int = 100
) -> list[CaptureOrderRow]:
    """Up to `limit` orders, newest first, of one device or model or of all, drafted before `before`."""
    query = select(CaptureOrderRow).order_by(col(CaptureOrderRow.created).desc(), col(CaptureOrderRow.id)).limit(limit)
    if device is not None:
        query = query.where(CaptureOrderRow.device == device)
    if model is not None:
        query = query.where(CaptureOrderRow.model == model)
    if before is not None:
        query = query.where(col(CaptureOrderRow.created) < before)
    return list(session.exec(query))


def signatures(session: Session, order: str) -> list[CaptureSignatureRow]:
    """The verified signatures under an order, oldest first."""
    query = select(CaptureSignatureRow).where(CaptureSignatureRow.capture == order)
    return list(session.exec(query.order_by(col(CaptureSignatureRow.at))))


def captured(session: Session, row: CaptureOrderRow) -> int:
    """How many captures of its device and model have come since it was sent, of those that are still kept."""
    if row.sent_at is None:
        return 0
    query = select(func.count()).select_from(ResultRow)
    of_it = (ResultRow.device == row.device) & (ResultRow.model == row.model) & (ResultRow.kind == "capture")
    return session.exec(query.where(of_it, col(ResultRow.received) >= row.sent_at)).one()


def add_signature(
    session: Session, ctx: Context, order: str, signature: bytes, actor: str, now: float
) -> CaptureOrderRow:
    """Add one owner's COSE_Signature; with the last one needed the order goes out in a directive.

    Raises: NotFoundError, ConflictError (not a draft, over, or this key signed already), ContractError (not by an ops
    key of the root, or not over this order).
    """
    row = get(session, order, lock=True)
    if row.state != DRAFT:
        raise ConflictError(f"capture {order} is {row.state}: it takes no more signatures")
    if row.not_after <= now:
        raise ConflictError(f"capture {order} is past its not-after: draft a new one")
    root, _ = roots.current(session)
    kid = cose.signer_of(signature)
    cose.verify(cose.assemble(row.payload, [signature]), Role.CAPTURE, root.signers("ops"), 1, LIMITS.capture_bytes)
    if session.get(CaptureSignatureRow, (order, kid.hex())) is not None:
        raise ConflictError(f"key {kid.hex()} has signed already: the second signature must be another person's")
    session.add(CaptureSignatureRow(capture=order, kid=kid.hex(), signature=signature, at=now))
    session.flush()
    audit.record(session, actor, "capture.sign", f"capture:{order}", {"kid": kid.hex()}, now)
    given = [one.signature for one in signatures(session, order)]
    if len(given) >= needed(root):
        envelope = cose.assemble(row.payload, given)
        # Only the signatures of keys that still may sign count, in case the root changed between two of them.
        cose.verify(envelope, Role.CAPTURE, root.signers("ops"), needed(root), LIMITS.capture_bytes)
        _send(session, ctx, row, envelope, now)
    touch(session, f"capture:{order}", f"device:{row.device}")
    return row


def cancel(session: Session, ctx: Context, order: str, actor: str, now: float) -> CaptureOrderRow:
    """Drop a draft, or end an order that is under way: the device's next directive does not carry it any more.

    Raises: NotFoundError, ConflictError (it is over).
    """
    row = get(session, order, lock=True)
    was = state_of(row, now)
    if was not in (DRAFT, SENT):
        raise ConflictError(f"capture {order} is {was}: there is nothing to cancel")
    row.state = CANCELLED
    session.add(row)
    audit.record(session, actor, "capture.cancel", f"capture:{order}", {}, now)
    touch(session, f"capture:{order}", f"device:{row.device}")
    if was == SENT:
        session.flush()
        directives.tell(session, ctx, row.device, now)
    return row


def _send(session: Session, ctx: Context, row: CaptureOrderRow, envelope: bytes, now: float) -> None:
    devices.get(session, row.device, lock=True)
    for other in _in_state(session, row.device, row.model, SENT):
        other.state = SUPERSEDED
        session.add(other)
    row.envelope, row.state, row.sent_at = envelope, SENT, now
    session.add(row)
    session.flush()
    directives.issue(session, ctx, row.device, now)


def _in_state(session: Session, device: str, model: str, state: str) -> list[CaptureOrderRow]:
    query = select(CaptureOrderRow).where(CaptureOrderRow.device == device, CaptureOrderRow.model == model)
    return list(session.exec(query.where(CaptureOrderRow.state == state)))
