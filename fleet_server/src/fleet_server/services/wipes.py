"""Remote wipe: drafted here, signed by two people elsewhere, carried by directives, proven by the device's receipt.

The server holds no ops key: it can neither forge an order nor change one. It checks each signature as it comes, puts
them together at the root's threshold, and believes only a receipt signed by the device itself.
"""

import secrets
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from dunlin_contract import cose, envelopes, keys
from dunlin_contract.cose import Role
from dunlin_contract.errors import ContractError
from dunlin_contract.limits import LIMITS
from dunlin_contract.root import OPS_THRESHOLD, Root
from dunlin_contract.wipe import Receipt, WipeOrder, order_digest
from fleet_server.context import Context
from fleet_server.db.engine import touch
from fleet_server.db.models import (
    DEVICE_ACTIVE,
    CaptureOrderRow,
    DeviceModelRow,
    DeviceRow,
    WipeOrderRow,
    WipeSignatureRow,
)
from fleet_server.errors import ConflictError, NotFoundError
from fleet_server.services import audit, devices, directives, roots

DRAFT, SENT, DONE, CANCELLED, SUPERSEDED = "draft", "sent", "done", "cancelled", "superseded"


def draft(session: Session, device: str, scope: list[str] | None, reason: str, actor: str, now: float) -> WipeOrderRow:
    """A wipe order for people to sign. `scope`: model names; None or empty means the whole device.

    Raises: NotFoundError, ConflictError (not active, or a wipe is under way), ContractError (scope or reason).
    """
    row = devices.get(session, device, lock=True)
    if row.state != DEVICE_ACTIVE:
        raise ConflictError(f"device {device} is {row.state}: only an active device can be wiped")
    models = tuple(sorted(set(scope or ())))
    for other in _in_state(session, device, DRAFT, SENT):
        if other.state == DRAFT:
            raise ConflictError(f"wipe {other.id} of {device} is a draft: have it signed, or cancel it first")
        if not _covers(models, other.scope):
            wanted = ", ".join(other.scope) or "the whole device"
            raise ConflictError(
                f"wipe {other.id} of {device} is sent: until its receipt, only one that covers {wanted}"
            )
    order_id = secrets.token_bytes(16)
    order = WipeOrder(device=device, order_id=order_id, models=models, issued=int(now), reason=reason)
    order = WipeOrder.from_bytes(order.to_bytes())
    payload = order.to_bytes()
    wipe = WipeOrderRow(
        id=order_id.hex(),
        device=device,
        scope=list(order.models),
        reason=reason,
        payload=payload,
        digest=order_digest(payload).hex(),
        created=now,
        created_by=actor,
    )
    session.add(wipe)
    audit.record(session, actor, "wipe.draft", f"wipe:{wipe.id}", {"device": device, "scope": wipe.scope}, now)
    touch(session, f"wipe:{wipe.id}", f"device:{device}")
    return wipe


def _covers(models: tuple[str, ...], scope: list[str]) -> bool:
    """Whether an order for `models` wipes all that one for `scope` does; empty is the whole device."""
    return not models or (bool(scope) and set(scope) <= set(models))


def _in_state(session: Session, device: str, *states: str) -> list[WipeOrderRow]:
    query = select(WipeOrderRow).where(WipeOrderRow.device == device, col(WipeOrderRow.state).in_(states))
    return list(session.exec(query.order_by(col(WipeOrderRow.created))))


def get(session: Session, wipe: str, *, lock: bool = False) -> WipeOrderRow:
    """One wipe. Raises: NotFoundError."""
    row = session.get(WipeOrderRow, wipe, with_for_update=lock or None)
    if row is None:
        raise NotFoundError(f"there is no wipe {wipe[:40]!r}: check its id")
    return row


def of_device(session: Session, device: str) -> list[WipeOrderRow]:
    """A device's wipes, newest first."""
    query = select(WipeOrderRow).where(WipeOrderRow.device == device)
    return list(session.exec(query.order_by(col(WipeOrderRow.created).desc())))


def signatures(session: Session, wipe: str) -> list[WipeSignatureRow]:
    """The verified signatures under an order, oldest first."""
    query = select(WipeSignatureRow).where(WipeSignatureRow.wipe == wipe)
    return list(session.exec(query.order_by(col(WipeSignatureRow.at))))


def needed(root: Root) -> int:
    """How many distinct ops keys must sign."""
    return max(OPS_THRESHOLD, root.roles["ops"].threshold)


def add_signature(session: Session, ctx: Context, wipe: str, signature: bytes, actor: str, now: float) -> WipeOrderRow:
    """Add one owner's COSE_Signature; with the last one needed the order goes out in a directive.

    Raises: NotFoundError, ConflictError (not a draft, or this key signed already), ContractError (not by an ops key
    of the root, or not over this order).
    """
    row = get(session, wipe, lock=True)
    if row.state != DRAFT:
        raise ConflictError(f"wipe {wipe} is {row.state}: it takes no more signatures")
    root, _ = roots.current(session)
    kid = cose.signer_of(signature)
    cose.verify(cose.assemble(row.payload, [signature]), Role.WIPE, root.signers("ops"), 1, LIMITS.wipe_bytes)
    if session.get(WipeSignatureRow, (wipe, kid.hex())) is not None:
        raise ConflictError(f"key {kid.hex()} has signed already: the second signature must be another person's")
    session.add(WipeSignatureRow(wipe=wipe, kid=kid.hex(), signature=signature, at=now))
    session.flush()
    audit.record(session, actor, "wipe.sign", f"wipe:{wipe}", {"kid": kid.hex()}, now)
    given = [one.signature for one in signatures(session, wipe)]
    if len(given) >= needed(root):
        _send(session, ctx, row, cose.assemble(row.payload, given), root, now)
    session.add(row)
    touch(session, f"wipe:{wipe}", f"device:{row.device}")
    return row


def cancel(session: Session, ctx: Context, wipe: str, actor: str, now: float) -> WipeOrderRow:  # noqa: ARG001
    """Drop a draft. A signed order cannot be taken back: the device may have it.

    Raises: NotFoundError, ConflictError.
    """
    row = get(session, wipe, lock=True)
    if row.state != DRAFT:
        raise ConflictError(f"wipe {wipe} is {row.state}: only a draft can be cancelled")
    row.state = CANCELLED
    session.add(row)
    audit.record(session, actor, "wipe.cancel", f"wipe:{wipe}", {}, now)
    touch(session, f"wipe:{wipe}", f"device:{row.device}")
    return row


def receive(session: Session, ctx: Context, device: DeviceRow, envelope: bytes, now: float) -> bool:
    """A receipt came in. Verified, it ends the wipe and brings the device's new KEM key; else it is kept as it is.

    Returns whether it is good. Idempotent: a repeated receipt of a finished wipe changes nothing.
    """
    row, receipt = _match(session, device, envelope)
    if row is None or row.state == DONE:
        return receipt is not None
    row.receipt, row.receipt_at, row.receipt_ok = envelope, now, False
    session.add(row)
    touch(session, f"wipe:{row.id}", f"device:{device.id}")
    if receipt is None or not receipt.canary_unreadable:
        return False
    row.receipt_ok, row.receipt_summary, row.state = True, _summary(receipt), DONE
    device.kem_spki = receipt.kem
    session.add(device)
    # Grants to the old KEM key open nothing any more.
    session.exec(
        update(DeviceModelRow)
        .where(col(DeviceModelRow.device) == device.id)
        .values(grant=None, grant_release=None, trial_grant=None, trial_grant_release=None)
    )
    session.flush()
    audit.record(session, audit.SERVER, "wipe.done", f"wipe:{row.id}", {"assurance": receipt.assurance}, now)
    directives.tell(session, ctx, device.id, now)
    return True


def _send(session: Session, ctx: Context, row: WipeOrderRow, envelope: bytes, root: Root, now: float) -> None:
    # Only the signatures of keys that still may sign count, in case the root changed between two of them.
    cose.verify(envelope, Role.WIPE, root.signers("ops"), needed(root), LIMITS.wipe_bytes)
    # One that was sent before and is covered by this one has not been answered, perhaps because its keys are no longer
    # ops keys: the device cannot follow it then. Should its receipt come after all, it counts.
    for other in _in_state(session, row.device, SENT):
        other.state = SUPERSEDED
        session.add(other)
    row.envelope, row.state, row.sent_at = envelope, SENT, now
    session.add(row)
    gone = update(DeviceModelRow).where(col(DeviceModelRow.device) == row.device)
    orders = select(CaptureOrderRow).where(CaptureOrderRow.device == row.device)
    if row.scope:
        gone = gone.where(col(DeviceModelRow.model).in_(row.scope))
        orders = orders.where(col(CaptureOrderRow.model).in_(row.scope))
    # Whoever has the device next did not ask for what its camera sees then.
    for order in session.exec(orders.where(col(CaptureOrderRow.state).in_((DRAFT, SENT)))):
        order.state = CANCELLED
        session.add(order)
        audit.record(
            session, audit.SERVER, "capture.cancel", f"capture:{order.id}", {"text": "its model is wiped"}, now
        )
    session.exec(
        gone.values(
            desired=None,
            grant=None,
            grant_release=None,
            trial=None,
            trial_grant=None,
            trial_grant_release=None,
            assigned_by=None,
        )
    )
    session.flush()
    directives.issue(session, ctx, row.device, now)


def _match(session: Session, device: DeviceRow, envelope: bytes) -> tuple[WipeOrderRow | None, Receipt | None]:
    """The order a receipt answers, and the receipt if it holds."""
    try:
        receipt = envelopes.open_receipt(envelope, device.identity_spki)
        keys.load_spki(receipt.kem)
    except ContractError:
        # Shown with the wipe it must be about, so that people see that something is wrong.
        return directives.pending_wipe(session, device.id), None
    query = select(WipeOrderRow).where(
        WipeOrderRow.device == device.id,
        WipeOrderRow.digest == receipt.order_digest.hex(),
        col(WipeOrderRow.state).in_((SENT, SUPERSEDED, DONE)),
    )
    row = session.exec(query).first()
    return row, receipt if row is not None and receipt.device == device.id else None


def _summary(receipt: Receipt) -> dict[str, Any]:
    erased = [
        {
            "model": one.model,
            "releases": [release.hex() for release in one.releases],
            "storage_key": one.storage_key.hex() if one.storage_key else None,
        }
        for one in receipt.erased
    ]
    return {
        "erased": erased,
        "method": receipt.method,
        "assurance": receipt.assurance,
        "canary_unreadable": receipt.canary_unreadable,
        "files": receipt.files,
        "bytes": receipt.bytes_erased,
        "time": receipt.time_s,
    }
