"""Numbered events: what devices tell of themselves, stored once each."""

from sqlalchemy import delete
from sqlmodel import Session, col, select

from dunlin_contract.event import Event
from fleet_server.context import Context
from fleet_server.db.engine import touch
from fleet_server.db.models import DeviceRow, EventRow
from fleet_server.services import streams, wipes
from fleet_server.services.streams import AckDue

KEPT = 10_000  # events kept per device, so that no device can fill the disk
_PRUNE_EVERY = 500


def receive(session: Session, ctx: Context, row: DeviceRow, event: Event, now: float) -> AckDue:
    """Store one event of `row`'s device. Idempotent; repeated events are acknowledged again."""

    def store(stream: str, unseen: bool) -> bool:
        known = select(EventRow.id).where(EventRow.device == row.id, EventRow.stream == stream, EventRow.n == event.n)
        if not unseen and session.exec(known).first() is not None:
            return False
        _store(session, ctx, row, event, stream, now)
        return True

    return streams.receive(session, KIND, row, event.stream, (event.n, event.n), store, now)


def page(session: Session, device: str | None = None, before: int | None = None, limit: int = 100) -> list[EventRow]:
    """Up to `limit` events, newest first, of one device or of all, older than row `before`."""
    query = select(EventRow).order_by(col(EventRow.id).desc()).limit(limit)
    if device is not None:
        query = query.where(EventRow.device == device)
    if before is not None:
        query = query.where(col(EventRow.id) < before)
    return list(session.exec(query))


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


def _prune(session: Session, device: str) -> None:
    newest = select(EventRow.id).where(EventRow.device == device).order_by(col(EventRow.id).desc())
    oldest_kept = session.exec(newest.offset(KEPT - 1).limit(1)).first()
    if oldest_kept is not None:
        session.exec(delete(EventRow).where(col(EventRow.device) == device, col(EventRow.id) < oldest_kept))


KIND = streams.Kind(EventRow, _PRUNE_EVERY, _prune)
