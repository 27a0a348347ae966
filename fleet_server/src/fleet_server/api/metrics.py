"""The fleet's counters in Prometheus' text exposition format 0.0.4."""

from collections.abc import Iterable

from sqlmodel import Session, col, func, select

from fleet_server.context import Context
from fleet_server.db.models import DeviceRow, EventRow, OutboxRow, RolloutRow
from fleet_server.services import alarms

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[dict[str, str], int]


def render(session: Session, ctx: Context) -> str:
    """Every metric with its help and type."""
    by_state = select(DeviceRow.state, DeviceRow.online, func.count())
    devices = session.exec(by_state.group_by(col(DeviceRow.state), col(DeviceRow.online)))
    rollouts = session.exec(select(RolloutRow.state, func.count()).group_by(col(RolloutRow.state)))
    pending = session.exec(select(func.count()).select_from(OutboxRow)).one()
    events = session.exec(select(func.max(EventRow.id))).one()
    return "".join(
        (
            _metric(
                "dunlin_devices",
                "gauge",
                "Devices by state and connection",
                [({"state": state, "online": str(online).lower()}, count) for state, online, count in devices],
            ),
            _metric(
                "dunlin_device_alarms",
                "gauge",
                "Devices with an alarm of a kind",
                [({"kind": kind}, count) for kind, count in alarms.counts(session).items()],
            ),
            _metric("dunlin_rollouts", "gauge", "Rollouts by state", [({"state": state}, n) for state, n in rollouts]),
            _metric("dunlin_outbox_pending", "gauge", "Messages owed to the broker", [({}, pending)]),
            _metric("dunlin_events_ingested_total", "counter", "Device events ever stored", [({}, events or 0)]),
            _metric(
                "dunlin_broker_connected",
                "gauge",
                "1 while the server is connected to its broker",
                [({}, int(ctx.link.connected))],
            ),
        )
    )


def _metric(name: str, kind: str, text: str, samples: Iterable[Sample]) -> str:
    lines = [f"# HELP {name} {text}\n", f"# TYPE {name} {kind}\n"]
    for labels, value in samples:
        inside = ",".join(f'{key}="{value}"' for key, value in labels.items())
        lines.append(f"{name}{{{inside}}} {value}\n" if inside else f"{name} {value}\n")
    return "".join(lines)
