"""What a device's sensors say: the newest, and the highest of each hour of the last day."""

from typing import Any

from sqlalchemy import delete
from sqlmodel import Session, col, select

from dunlin_contract.telemetry import Hardware
from fleet_server.db.models import DeviceRow, HardwareWindowRow

WINDOW_S = 3600
KEPT = 24  # windows, the running one among them
NOW_BITS = 0xFFFF  # of `throttled`: what is so now; the higher ones: what was so since boot


def receive(session: Session, row: DeviceRow, said: Hardware, now: float) -> None:
    """Store what telemetry brings. The caller adds ``row`` to the session."""
    row.hardware, row.hardware_at = as_json(said), now
    if said.temperature_dc is not None:
        row.temperature_dc, row.temperature_at = said.temperature_dc, now
    start = int(now) // WINDOW_S * WINDOW_S
    window = session.get(HardwareWindowRow, (row.id, start))
    if window is None:
        old = col(HardwareWindowRow.start) <= start - KEPT * WINDOW_S
        session.exec(delete(HardwareWindowRow).where(col(HardwareWindowRow.device) == row.id, old))
        window = HardwareWindowRow(device=row.id, start=start)
    window.temperature_dc = _higher(window.temperature_dc, said.temperature_dc)
    window.power_mw = _higher(window.power_mw, said.power_mw)
    window.gpu_permille = _higher(window.gpu_permille, said.gpu_permille)
    window.slowed = window.slowed or bool(said.throttled & NOW_BITS)
    session.add(window)


def last_day(session: Session, device: str, now: float) -> list[HardwareWindowRow]:
    """A device's windows, the oldest first."""
    since = int(now) // WINDOW_S * WINDOW_S - (KEPT - 1) * WINDOW_S
    query = select(HardwareWindowRow).where(HardwareWindowRow.device == device, col(HardwareWindowRow.start) >= since)
    return list(session.exec(query.order_by(col(HardwareWindowRow.start))))


def as_json(said: Hardware) -> dict[str, Any]:
    """As it is stored and answered."""
    return {
        "temperature_dc": said.temperature_dc,
        "throttled": said.throttled,
        "power_mw": said.power_mw,
        "gpu_permille": said.gpu_permille,
        "power_mode": said.power_mode,
        "policy": said.policy,
    }


def _higher(before: int | None, now: int | None) -> int | None:
    return now if before is None else before if now is None else max(before, now)
