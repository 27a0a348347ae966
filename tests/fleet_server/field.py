"""What devices in the field say of themselves: counts for drift, and what their sensors measure."""

from dunlin_contract.drift import SHARES
from dunlin_contract.telemetry import DriftCounts, Hardware, ModelTelemetry, Telemetry
from fleet_server.services import devices, reports
from tests.fleet_server.world import World

HALF = (SHARES - SHARES // 2, SHARES // 2)


def say(
    world: World,
    device: str,
    release: str,
    *counts: int,
    feature: str = "input x mean",
    expected: tuple[int, ...] = HALF,
    confidence: tuple[int, ...] = (),
    celsius: float | None = None,
    model: str = "digits",
    count: int | None = None,
    **hardware: object,
) -> None:
    """Send telemetry: counts of one feature since the worker's start, or none; with a temperature or `hardware`, those.

    `count`: inferences; else as many as were counted.
    """
    one = ModelTelemetry(
        release=bytes.fromhex(release),
        count=count if count is not None else sum(counts) or sum(confidence),
        errors=0,
        latency_us={},
        drift=(DriftCounts(feature=feature, counts=counts, expected=expected),) if counts else (),
        confidence=confidence,
    )
    measured = None
    if celsius is not None or hardware:
        tenths = None if celsius is None else round(celsius * 10)
        measured = Hardware(temperature_dc=tenths, **hardware)  # type: ignore[arg-type]
    numbers = Telemetry(models={model: one}, memory_bytes=1, load_permille=1, hardware=measured)
    with world.ctx.db.write() as session:
        row = devices.get(session, device, lock=True)
        reports.telemetry(session, row, Telemetry.from_bytes(numbers.to_bytes()), world.clock.now)
