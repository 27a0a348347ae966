"""What happened: events, alarms, and what people did."""

from fleet_server.api.views.shape import Json
from fleet_server.db.models import AuditRow, DeviceAlarmRow, EventRow


def alarm(row: DeviceAlarmRow) -> Json:
    """Something about a device that wants a person."""
    return {
        "device": row.device,
        "kind": row.kind,
        "text": row.text,
        "count": row.count,
        "first_at": row.first_at,
        "last_at": row.last_at,
    }


def event(row: EventRow) -> Json:
    """One event; ``time`` is by the device's clock, ``received`` by ours."""
    return {
        "id": row.id,
        "device": row.device,
        "n": row.n,
        "kind": row.kind,
        "time": row.time,
        "received": row.received,
        "model": row.model,
        "release": row.release,
        "code": row.code,
        "text": row.text,
    }


def audit_line(row: AuditRow) -> Json:
    """Who did what."""
    return {
        "id": row.id,
        "at": row.at,
        "actor": row.actor,
        "action": row.action,
        "target": row.target,
        "detail": row.detail,
    }
