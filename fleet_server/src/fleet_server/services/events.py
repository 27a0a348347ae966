"""Numbered events: each stored once, and acknowledged only as far as none before it is missing."""

from dataclasses import dataclass

from sqlalchemy import delete
from sqlmodel import Session, col, select

from dunlin_contract.event import Ack, Event
from dunlin_contract.topics import Address
from fleet_server.context import Context
from fleet_server.db.engine import touch
from fleet_server.db.models import DeviceRow, EventRow, EventStreamRow
from fleet_server.services import devices, wipes

KEPT = 10_000  # events kept per device, so that no device can fill the disk
STREAMS = 16  # streams kept per device; a device starts one when it is enrolled or lost its disk
_PRUNE_EVERY = 500


@dataclass(frozen=True, slots=True)
class AckDue:
    """An ack to send after the commit."""

    address: Address
    stream: str


def receive(session: Session, ctx: Context, row: DeviceRow, event: Event, now: float) -> AckDue:
    """Store one event of `row`'s device. Idempotent; repeated events are acknowledged again."""
    name = event.stream.hex()
    stream = session.get(EventStreamRow, (row.id, name)) or _new_stream(session, row.id, name, now)
    in_order = stream.n == stream.highest == event.n - 1
    repeated = not in_order and _is_stored(session, stream, event.n)
    if not repeated:
        _store(session, ctx, row, event, name, now)
        # Blocks of numbers, not certain numbers: the device chooses which it uses.
        if event.n // _PRUNE_EVERY != stream.highest // _PRUNE_EVERY:
            _prune(session, row.id)
        stream.highest = max(stream.highest, event.n)
    if in_order:
        stream.n = event.n
    elif stream.n < stream.highest:
        _pass_gap(session, stream, event.n if repeated else None)
    stream.updated = row.last_seen = now
    session.add_all((stream, row))
    return AckDue(devices.address_of(row), name)


def ack_for(session: Session, ctx: Context, due: AckDue) -> bytes | None:
    """The signed ack for what is committed of a stream; None while there is nothing to acknowledge."""
    stream = session.get(EventStreamRow, (due.address.device, due.stream))
    if stream is None or stream.n < 1:
        return None
    return ctx.keys.sign_ack(Ack(device=due.address.device, stream=bytes.fromhex(due.stream), n=stream.n).to_bytes())


def streams(session: Session, names: list[str]) -> list[EventStreamRow]:
    """The streams of these devices."""
    return list(session.exec(select(EventStreamRow).where(col(EventStreamRow.device).in_(names))))


def page(session: Session, device: str | None = None, before: int | None = None, limit: int = 100) -> list[EventRow]:
    """Up to `limit` events, newest first, of one device or of all, older than row `before`."""
    query = select(EventRow).order_by(col(EventRow.id).desc()).limit(limit)
    if device is not None:
        query = query.where(EventRow.device == device)
    if before is not None:
        query = query.where(col(EventRow.id) < before)
    return list(session.exec(query))


def _is_stored(session: Session, stream: EventStreamRow, n: int) -> bool:
    if n <= stream.n:
        return True
    if n > stream.highest:
        return False
    stored = select(EventRow.id).where(
        EventRow.device == stream.device, EventRow.stream == stream.stream, EventRow.n == n
    )
    return session.exec(stored).first() is not None


def _store(session: Session, ctx: Context, row: DeviceRow, event: Event, stream: str, now: float) -> None:
    session.add(
        EventRow(
            device=row.id,
            stream=stream,
            n=event.n,
            kind=event.kind,
            time=float(event.time_s),
            uptime_s=event.uptime_s,
            received=now,
            model=event.model,
            release=event.release.hex() if event.release is not None else None,
            code=event.code,
            text=event.text,
        )
    )
    touch(session, f"device:{row.id}", f"event:{row.id}")
    if event.receipt is not None:
        session.flush()
        wipes.receive(session, ctx, row, event.receipt, now)


def _pass_gap(session: Session, stream: EventStreamRow, repeated: int | None) -> None:
    """Move the stream on over every event that follows without a gap.

    A device repeats from the oldest event it still keeps. So when the lowest event above a gap comes again, what is
    missing below it was acknowledged by a past of this server that a restored backup has forgotten: it is gone.
    """
    above = select(EventRow.n).where(
        EventRow.device == stream.device, EventRow.stream == stream.stream, col(EventRow.n) > stream.n
    )
    for n in session.exec(above.order_by(col(EventRow.n))):
        if n != stream.n + 1 and n != repeated:
            break
        stream.n = n


def _new_stream(session: Session, device: str, name: str, now: float) -> EventStreamRow:
    of_device = select(EventStreamRow).where(EventStreamRow.device == device)
    known = list(session.exec(of_device.order_by(col(EventStreamRow.updated).desc())))
    for old in known[STREAMS - 1 :]:
        session.delete(old)
    stream = EventStreamRow(device=device, stream=name, updated=now)
    session.add(stream)
    session.flush()
    _prune(session, device)
    return stream


def _prune(session: Session, device: str) -> None:
    newest = select(EventRow.id).where(EventRow.device == device).order_by(col(EventRow.id).desc())
    oldest_kept = session.exec(newest.offset(KEPT - 1).limit(1)).first()
    if oldest_kept is not None:
        session.exec(delete(EventRow).where(col(EventRow.device) == device, col(EventRow.id) < oldest_kept))
