"""Devices: what they are, what they run, and what they were told."""

from collections.abc import Iterable, Sequence

from sqlmodel import Session, col, select

from dunlin_contract.sketch import Sketch
from fleet_server.api.views import quality
from fleet_server.api.views.activity import alarm
from fleet_server.api.views.captures import capture
from fleet_server.api.views.releases import versions
from fleet_server.api.views.shape import LISTED, Json
from fleet_server.db.models import (
    ClaimTokenRow,
    DeviceModelRow,
    DeviceRow,
    ModelTelemetryRow,
    ReleaseRow,
    WipeOrderRow,
)
from fleet_server.services import alarms, captures, devices, gateways, releases, roots, wipes

CAPTURES = 10  # newest capture orders that one answer about a device shows


def device_line(row: DeviceRow, models: Iterable[DeviceModelRow], behind: int = 0) -> Json:
    """A device in a list. ``behind``: how many devices it is the gateway of."""
    return {
        "id": row.id,
        "kind": "computer" if row.gateway is None else "microcontroller",
        "gateway": row.gateway,
        "behind": behind,
        "state": row.state,
        "online": row.online,
        "last_seen": row.last_seen,
        "created": row.created,
        "tags": row.tags,
        "hardware_class": row.hardware_class,
        "arch": row.arch,
        "agent_version": row.agent_version,
        "models": {model.model: model_state(model) for model in models},
    }


def device_lines(session: Session, rows: Sequence[DeviceRow]) -> list[Json]:
    """Devices in a list, in one query for all their models and one for all who are behind them."""
    query = select(DeviceModelRow).where(col(DeviceModelRow.device).in_([row.id for row in rows]))
    models: dict[str, list[DeviceModelRow]] = {}
    for model in session.exec(query.order_by(DeviceModelRow.model)):
        models.setdefault(model.device, []).append(model)
    behind = gateways.counts(session, (row.id for row in rows))
    return [device_line(row, models.get(row.id, ()), behind.get(row.id, 0)) for row in rows]


def device(session: Session, row: DeviceRow, now: float) -> Json:
    """One device with all that is known of it."""
    models = devices.models_of(session, row.id)
    names = [digest for model in models for digest in (model.desired, model.active, model.previous, model.candidate)]
    behind = gateways.children(session, row.id)
    counted = quality.of_device(session, row.id, now)
    return device_line(row, models, len(behind)) | {
        "description": devices.describe(row),
        "through": _through(session, row),
        "children": device_lines(session, behind[:LISTED]),
        "alarms": [alarm(one) for one in alarms.of_device(session, row.id)],
        "needs": _needs(session, models),
        "uptime_s": row.uptime_s,
        "temperature_dc": row.temperature_dc,
        "temperature_at": row.temperature_at,
        "hardware": quality.hardware_of(session, row, now),
        "load_permille": row.load_permille,
        "memory_bytes": row.memory_bytes,
        "status_at": row.status_at,
        "reported_at": row.reported_at,
        "root_version": row.root_version,
        "told": {"epoch": row.epoch, "seq": row.seq, "issued": row.directive_issued, "expires": row.directive_expires},
        "heard": {"epoch": row.reported_epoch, "seq": row.reported_seq},
        "certificate_not_after": row.certificate_not_after,
        "wipes": [wipe(session, one) for one in wipes.of_device(session, row.id)],
        "captures": [capture(session, one, now) for one in captures.page(session, row.id, limit=CAPTURES)],
        "telemetry": telemetry(session, row.id),
        "quality": counted,
        "versions": versions(session, [*names, *(one["release"] for one in counted)]),
    }


def _through(session: Session, row: DeviceRow) -> Json | None:
    """The gateway of a device, and how that stands."""
    gateway = session.get(DeviceRow, row.gateway) if row.gateway is not None else None
    return None if gateway is None else {"id": gateway.id, "state": gateway.state, "online": gateway.online}


def _needs(session: Session, models: Iterable[DeviceModelRow]) -> Json:
    """Digest -> what a release that is on the device takes there, by the variant that it runs."""
    found: Json = {}
    for model in models:
        row = session.get(ReleaseRow, model.active) if model.active is not None else None
        variants = releases.manifest_of(row).variants if row is not None else ()
        for fit in (variant.fit for variant in variants if variant.kind == model.variant):
            sizes = {"flash_bytes": fit.flash_bytes, "arena_bytes": fit.arena_bytes, "memory_bytes": fit.memory_bytes}
            found[model.active or ""] = sizes
    return found


def _slots(row: DeviceModelRow) -> list[Json]:
    """The two places that a model has on a device: what serves, and what lies beside it or is on its way in."""
    beside = {"holds": "empty", "release": None}
    if row.candidate is not None and row.candidate != row.active:
        beside = {"holds": "candidate", "release": row.candidate}
    elif row.previous is not None:
        beside = {"holds": "previous", "release": row.previous}
    return [{"holds": "active" if row.active is not None else "empty", "release": row.active}, beside]


def model_state(row: DeviceModelRow) -> Json:
    """What is desired and reported of one model on one device; digests name releases."""
    return {
        "desired": row.desired,
        "trial": row.trial,
        "trial_mode": row.trial_mode if row.trial is not None else None,
        "active": row.active,
        "previous": row.previous,
        "candidate": row.candidate,
        "slots": _slots(row),
        "phase": row.phase,
        "error_code": row.error_code,
        "error_text": row.error_text,
        "variant": row.variant,
        "served": row.served,
        "chunks_have": row.chunks_have,
        "chunks_need": row.chunks_need,
        "rejected": row.rejected,
        "floor": row.floor,
        "lease": {"seconds": row.lease_s, "action": row.lease_action} if row.lease_s else None,
        "assigned_by": row.assigned_by,
        "assigned_at": row.assigned_at,
        "reported_at": row.reported_at,
    }


def telemetry(session: Session, device_id: str) -> list[Json]:
    """Counters per model and release; latencies are microseconds."""
    rows = session.exec(select(ModelTelemetryRow).where(ModelTelemetryRow.device == device_id))
    listed: list[Json] = []
    for row in rows:
        sketch = Sketch({int(bucket): count for bucket, count in row.latency_us.items()})
        listed.append(
            {
                "model": row.model,
                "release": row.release,
                "count": row.count,
                "errors": row.errors,
                "p50_us": sketch.quantile(0.5),
                "p95_us": sketch.quantile(0.95),
                "at": row.at,
            }
        )
    return listed


def claim_token(row: ClaimTokenRow) -> Json:
    """A claim token without its secret, which is not kept."""
    return {
        "id": row.id,
        "tags": row.tags,
        "auto_approve": row.auto_approve,
        "created": row.created,
        "created_by": row.created_by,
        "expires": row.expires,
        "used_at": row.used_at,
        "used_by": row.used_by,
    }


def wipe(session: Session, row: WipeOrderRow) -> Json:
    """A wipe order, its signatures so far and the device's receipt."""
    signatures = wipes.signatures(session, row.id)
    root, _ = roots.current(session)
    return {
        "id": row.id,
        "device": row.device,
        "state": row.state,
        "scope": row.scope or [],
        "reason": row.reason,
        "digest": row.digest,
        "created": row.created,
        "created_by": row.created_by,
        "signatures": [{"kid": one.kid, "at": one.at} for one in signatures],
        "needed": wipes.needed(root),
        "sent_at": row.sent_at,
        "receipt": row.receipt_summary,
        "receipt_ok": row.receipt_ok,
        "receipt_at": row.receipt_at,
    }
