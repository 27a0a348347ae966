"""Results and captures that devices send: stored once each, within a cap per device."""

from sqlalchemy import delete
from sqlmodel import Session, col, select

from dunlin_contract.results import Result
from fleet_server.context import Context
from fleet_server.db.engine import touch
from fleet_server.db.models import DeviceRow, ResultRow
from fleet_server.errors import NotFoundError
from fleet_server.services import streams
from fleet_server.services.streams import AckDue

KEPT = 5000  # rows kept per device, beside `results_bytes`
KINDS = ("result", "capture", "gap")
_PRUNE_EVERY = 50


def receive(session: Session, ctx: Context, row: DeviceRow, result: Result, now: float) -> AckDue:
    """Store one result of `row`'s device. Idempotent; repeated ones are acknowledged again."""

    def prune(session: Session, device: str) -> None:
        _prune(session, device, ctx.config.results_bytes)

    def store(stream: str, unseen: bool) -> bool:
        known = None if unseen else _known(session, row.id, stream, result)
        if known is not None and not (known.first and result.first and result.first < known.first):
            return False
        # A gap that grew at its beginning takes the place of what it was.
        _write(session, known or _new(row.id, stream, result, now), result, now)
        return True

    first = result.n if result.first is None else result.first
    kind = streams.Kind(ResultRow, _PRUNE_EVERY, prune)
    return streams.receive(session, kind, row, result.stream, (first, result.n), store, now)


def page(
    session: Session,
    device: str | None = None,
    model: str | None = None,
    kind: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[ResultRow]:
    """Up to `limit` results, newest first, of one device, model or kind or of all, older than row `before`."""
    query = select(ResultRow).order_by(col(ResultRow.id).desc()).limit(limit)
    if device is not None:
        query = query.where(ResultRow.device == device)
    if model is not None:
        query = query.where(ResultRow.model == model)
    if kind is not None:
        query = query.where(ResultRow.kind == kind)
    if before is not None:
        query = query.where(col(ResultRow.id) < before)
    return list(session.exec(query))


def get(session: Session, result: int) -> ResultRow:
    """One of them. Raises: NotFoundError."""
    row = session.get(ResultRow, result)
    if row is None:
        raise NotFoundError(f"there is no result {result}: only each device's newest are kept")
    return row


def _known(session: Session, device: str, stream: str, result: Result) -> ResultRow | None:
    """The row with this number. A gap says nothing of those of its numbers that came all the same."""
    kinds = ("gap",) if result.kind == "gap" else ("result", "capture")
    query = select(ResultRow).where(ResultRow.device == device, ResultRow.stream == stream, ResultRow.n == result.n)
    return session.exec(query.where(col(ResultRow.kind).in_(kinds))).first()


def _new(device: str, stream: str, result: Result, now: float) -> ResultRow:
    return ResultRow(
        device=device,
        stream=stream,
        n=result.n,
        kind=result.kind,
        time=float(result.time_s),
        uptime_s=result.uptime_s,
        received=now,
        model=result.model,
        release=result.release.hex() if result.release is not None else None,
        source=result.source,
        reason=result.reason,
        size=0,
        record=b"",
    )


def _write(session: Session, row: ResultRow, result: Result, now: float) -> None:
    row.record = result.to_bytes()
    row.first, row.size, row.received = result.first, len(row.record), now
    session.add(row)
    touch(session, f"result:{row.device}")


def _prune(session: Session, device: str, most_bytes: int) -> None:
    """Keep the newest that fit into the caps."""
    newest = select(ResultRow.id, ResultRow.size).where(ResultRow.device == device)
    left = most_bytes
    oldest: int | None = None
    for place, (number, size) in enumerate(session.exec(newest.order_by(col(ResultRow.id).desc()).limit(KEPT + 1))):
        left -= size
        if place == KEPT or left < 0:
            oldest = number
            break
    if oldest is not None:
        session.exec(delete(ResultRow).where(col(ResultRow.device) == device, col(ResultRow.id) <= oldest))
