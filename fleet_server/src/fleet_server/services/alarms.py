"""What about a device wants a person: kept, one row a kind, until somebody dismisses it or it has passed by itself.

An alarm never changes what the server does: what raised it was refused already.
"""

import logging

from sqlalchemy import delete, or_
from sqlmodel import Session, col, func, select

from fleet_server.context import Context
from fleet_server.db.engine import touch
from fleet_server.db.models import DEVICE_ACTIVE, DeviceAlarmRow, DeviceRow
from fleet_server.errors import ConflictError
from fleet_server.services import audit, devices, settings

log = logging.getLogger(__name__)

OLD_REPORT = "old-report"  # a report that is older than one that is known came again
WRONG_GATEWAY = "wrong-gateway"  # somebody else than its gateway speaks for it
NOT_SIGNED = "not-signed"  # what was said in its name does not hold by its key
OVERDUE = "overdue"  # it counts as online, and nothing is heard of it
KINDS = (OLD_REPORT, WRONG_GATEWAY, NOT_SIGNED, OVERDUE)

_TEXT = 256  # characters kept
_OVERDUE_REPORTS = 2  # reports that a device may miss in a row
_WATCHED = 500  # devices a tick, so that a broken uplink does not hold the database for long


def sound(session: Session, device: str, kind: str, text: str, now: float) -> None:
    """Raise an alarm, or count it once more. The caller holds the device's row, or `OVERDUE` as the only one."""
    row = session.get(DeviceAlarmRow, (device, kind))
    if row is None:
        row = DeviceAlarmRow(device=device, kind=kind, text="", first_at=now, last_at=now)
    row.text, row.count, row.last_at = text[:_TEXT], row.count + 1, now
    session.add(row)
    log.warning("device %s: %s", device, text)
    touch(session, f"device:{device}")


def of_device(session: Session, device: str) -> list[DeviceAlarmRow]:
    """A device's alarms, the latest first."""
    query = select(DeviceAlarmRow).where(DeviceAlarmRow.device == device)
    return list(session.exec(query.order_by(col(DeviceAlarmRow.last_at).desc(), col(DeviceAlarmRow.kind))))


def latest(session: Session, limit: int) -> list[DeviceAlarmRow]:
    """The whole fleet's alarms, the latest first."""
    newest = col(DeviceAlarmRow.last_at).desc()
    return list(session.exec(select(DeviceAlarmRow).order_by(newest, col(DeviceAlarmRow.device)).limit(limit)))


def counts(session: Session) -> dict[str, int]:
    """Kind -> how many devices have such an alarm."""
    counted = select(DeviceAlarmRow.kind, func.count()).group_by(col(DeviceAlarmRow.kind))
    return dict.fromkeys(KINDS, 0) | dict(session.exec(counted).all())


def dismiss(session: Session, device: str, actor: str, now: float) -> DeviceRow:
    """Somebody has seen to a device's alarms: they are gone until something raises them again.

    Raises: NotFoundError, ConflictError (there is none).
    """
    row = devices.get(session, device, lock=True)
    present = {one.kind: one.count for one in of_device(session, device)}
    if not present:
        raise ConflictError(f"device {device} has no alarm: nothing to dismiss")
    clear(session, device, *present)
    audit.record(session, actor, "device.dismiss", f"device:{device}", present, now)
    return row


def clear(session: Session, device: str, *kinds: str) -> None:
    """Take these alarms back: their cause is gone."""
    of_kinds = col(DeviceAlarmRow.kind).in_(kinds)
    session.exec(delete(DeviceAlarmRow).where(col(DeviceAlarmRow.device) == device, of_kinds))
    touch(session, f"device:{device}")


def watch(session: Session, ctx: Context, now: float) -> None:
    """Raise and take back the alarm for devices that count as online while nothing is heard of them.

    So a gateway, or anybody else on the way, that lets a device look connected and keeps back what it says is noticed.
    """
    wanted = settings.get(session)
    patience_s = _OVERDUE_REPORTS * (wanted.report_interval_s + wanted.report_jitter_s)
    before = now - patience_s
    there = (col(DeviceRow.status_at) < before) & (DeviceRow.state == DEVICE_ACTIVE) & col(DeviceRow.online)
    # Each by itself is a range of an index, their OR is not.
    unheard = (col(DeviceRow.last_seen) < before, col(DeviceRow.last_seen).is_(None))
    raised = select(DeviceAlarmRow.device).where(DeviceAlarmRow.kind == OVERDUE)
    over = select(DeviceRow.id).where(col(DeviceRow.id).in_(raised), ~(there & or_(*unheard)))
    for device in session.exec(over).all():
        clear(session, device, OVERDUE)
    # Whoever has not listened all that time has missed it perhaps himself.
    if not ctx.link.connected or now - ctx.link.since < patience_s:
        return
    for silent in unheard:
        query = select(DeviceRow).where(there, silent, col(DeviceRow.id).not_in(raised)).limit(_WATCHED)
        for row in session.exec(query).all():
            behind = f", although gateway {row.gateway} says that it is connected" if row.gateway is not None else ""
            minutes = round(patience_s / 60)
            sound(session, row.id, OVERDUE, f"it has said nothing for {minutes} min{behind}: look after its line", now)
