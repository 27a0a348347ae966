"""What devices count of their inputs and outputs, kept by windows of time, so that it merges over days and devices.

Telemetry brings counts since a worker's start. What is new in them goes into the window of the moment; a fall tells of
a new worker, whose counts are all new. A window is forgotten after `KEPT_S`. Telemetry that was lost costs nothing: the
next one has its counts too, at worst in a later window.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import delete
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from dunlin_contract.limits import LIMITS
from dunlin_contract.telemetry import ModelTelemetry
from fleet_server import drift
from fleet_server.db.models import DEVICE_ACTIVE, DeviceRow, ModelTelemetryRow, QualityWindowRow, RolloutDeviceRow
from fleet_server.drift import Drift

WINDOW_S = 6 * 3600
KEPT_S = 7 * 86_400
MOST_WINDOWS = LIMITS.models * KEPT_S // WINDOW_S
"""Kept per device: names of models and releases are the device's own words."""
DAY_S = 86_400.0
MOST_ROWS = 4000
"""Windows that one answer about a release merges: the newest, which are nearly all of a thousand devices' last day."""
MOST_ROWS_A_TICK = 1000
"""The same of a rollout, which is looked at every second: one at least of each of a thousand devices."""


@dataclass(frozen=True, slots=True)
class Quality:
    """What one release on one device counted: its features, and its answers by confidence (20 counts or none)."""

    drift: Drift
    confidence: tuple[int, ...]
    at: float  # when it last said so


def receive(session: Session, row: ModelTelemetryRow, one: ModelTelemetry, now: float) -> None:
    """Add what telemetry brings of a release to the window of ``now``. ``row`` still has the numbers before these."""
    began_anew = one.count < row.count
    seen, before = drift.sent(one.drift), Drift() if began_anew else drift.stored(row.drift)
    answers, answered = one.confidence, () if began_anew else tuple(row.confidence)
    more = seen.since(before)
    fresh: tuple[int, ...] = drift.difference(answers, answered) if _continues(answers, answered) else answers
    if seen.features or began_anew:
        row.drift = seen.as_json()
    if answers or began_anew:
        row.confidence = list(answers)
    if any(feature.samples for feature in more.features) or any(fresh):
        _add(session, row, more, fresh, now)


def of_device(session: Session, device: str, now: float) -> dict[tuple[str, str], Quality]:
    """(model, release) -> what a device counted in its last day."""
    query = _newest().where(QualityWindowRow.device == device, col(QualityWindowRow.at) >= now - DAY_S)
    kept: dict[tuple[str, str], list[QualityWindowRow]] = {}
    for row in session.exec(query):
        kept.setdefault((row.model, row.release), []).append(row)
    return {name: _together(rows) for name, rows in kept.items()}


def of_release(session: Session, release: str, now: float) -> dict[str, Quality]:
    """Device of the fleet -> what it counted of a release in the last day."""
    query = (
        _newest()
        .join(DeviceRow, col(DeviceRow.id) == col(QualityWindowRow.device))
        .where(
            DeviceRow.state == DEVICE_ACTIVE,
            QualityWindowRow.release == release,
            col(QualityWindowRow.at) >= now - DAY_S,
        )
    )
    return _by_device(session.exec(query.limit(MOST_ROWS)))


def of_rollout(session: Session, rollout: int, release: str) -> dict[str, Quality]:
    """Device -> what it counted of a rollout's release since that assigned it, in a window's precision."""
    query = (
        _newest()
        .join(RolloutDeviceRow, col(RolloutDeviceRow.device) == col(QualityWindowRow.device))
        .where(
            RolloutDeviceRow.rollout == rollout,
            QualityWindowRow.release == release,
            col(QualityWindowRow.at) >= col(RolloutDeviceRow.assigned_at),
        )
    )
    return _by_device(session.exec(query.limit(MOST_ROWS_A_TICK)))


def _continues(after: tuple[int, ...], before: tuple[int, ...]) -> bool:
    return len(after) == len(before) and not drift.fell(after, before)


def _add(session: Session, row: ModelTelemetryRow, more: Drift, fresh: tuple[int, ...], now: float) -> None:
    start = int(now) // WINDOW_S * WINDOW_S
    window = session.get(QualityWindowRow, (row.device, row.model, row.release, start))
    if window is None:
        _make_room(session, row.device, now)
        window = QualityWindowRow(device=row.device, model=row.model, release=row.release, start=start, at=now)
    if more.features:
        counted = drift.stored(window.drift)
        # Another baseline under the same release is no continuation of the one before it.
        window.drift = (counted + more if counted.baseline == more.baseline else more).as_json()
    if fresh:
        window.confidence = list(drift.added(fresh, window.confidence) if window.confidence else fresh)
    window.at = now
    session.add(window)


def _make_room(session: Session, device: str, now: float) -> None:
    of_device = col(QualityWindowRow.device) == device
    session.exec(delete(QualityWindowRow).where(of_device, col(QualityWindowRow.start) < int(now) - KEPT_S))
    newest = select(QualityWindowRow).where(of_device).order_by(col(QualityWindowRow.at).desc())
    for old in session.exec(newest.offset(MOST_WINDOWS - 1)).all():
        session.delete(old)


def _newest() -> SelectOfScalar[QualityWindowRow]:
    return select(QualityWindowRow).order_by(col(QualityWindowRow.at).desc())


def _by_device(rows: Iterable[QualityWindowRow]) -> dict[str, Quality]:
    kept: dict[str, list[QualityWindowRow]] = {}
    for row in rows:
        kept.setdefault(row.device, []).append(row)
    return {device: _together(windows) for device, windows in kept.items()}


def _together(rows: list[QualityWindowRow]) -> Quality:
    """One device's windows, the newest first; of several baselines the newest counts."""
    counted = [seen for seen in (drift.stored(row.drift) for row in rows) if seen.features]
    same = [seen for seen in counted if seen.baseline == counted[0].baseline]
    answers = [row.confidence for row in rows if row.confidence]
    confidence = tuple(answers[0]) if answers else ()
    for more in answers[1:]:
        confidence = drift.added(confidence, more)
    return Quality(sum(same[1:], start=same[0]) if same else Drift(), confidence, rows[0].at)
