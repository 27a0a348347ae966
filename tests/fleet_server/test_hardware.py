"""What a device's sensors say: the newest, and the highest of each hour of the last day."""

import pytest
from sqlmodel import func, select

from dunlin_contract.telemetry import Hardware, Telemetry
from fleet_server.db.models import HardwareWindowRow
from fleet_server.services import devices, hardware, reports
from fleet_server.services.hardware import KEPT, WINDOW_S
from tests.fleet_server.world import NOW, Device, World


@pytest.fixture(autouse=True)
def device(world: World) -> Device:
    """One device; the clock stands at the beginning of an hour."""
    world.clock.now = NOW // WINDOW_S * WINDOW_S + 60.0
    return world.device()


def say(world: World, **values: object) -> None:
    said = Hardware(**values)  # type: ignore[arg-type]
    with world.ctx.db.write() as session:
        numbers = Telemetry(models={}, memory_bytes=1, load_permille=1, hardware=said)
        reports.telemetry(session, devices.get(session, "cam-1", lock=True), numbers, world.clock.now)


def test_the_newest_is_kept_whole_and_the_hour_keeps_the_highest(world: World) -> None:
    say(world, temperature_dc=700, throttled=0x50005, power_mw=4000, gpu_permille=900)
    world.clock.now += 60
    say(world, temperature_dc=655, throttled=0x50000, power_mode="15W", policy="reduced")
    with world.ctx.db.read() as session:
        row = devices.get(session, "cam-1")
        (hours,) = hardware.last_day(session, "cam-1", world.clock.now)
    assert row.hardware == {
        "temperature_dc": 655,
        "throttled": 0x50000,
        "power_mw": None,
        "gpu_permille": None,
        "power_mode": "15W",
        "policy": "reduced",
    }
    assert (row.temperature_dc, row.temperature_at, row.hardware_at) == (655, world.clock.now, world.clock.now)
    assert (hours.temperature_dc, hours.power_mw, hours.gpu_permille, hours.slowed) == (700, 4000, 900, True)


def test_a_day_is_kept(world: World) -> None:
    begun = int(world.clock.now) // WINDOW_S * WINDOW_S
    for place in range(KEPT + 3):
        say(world, temperature_dc=-place)
        world.clock.now += WINDOW_S
    world.clock.now -= WINDOW_S
    with world.ctx.db.read() as session:
        found = hardware.last_day(session, "cam-1", world.clock.now)
        later = hardware.last_day(session, "cam-1", world.clock.now + 5 * WINDOW_S)
    assert [(row.start, row.temperature_dc, row.slowed) for row in found] == [
        (begun + place * WINDOW_S, -place, False) for place in range(3, KEPT + 3)
    ]
    assert len(later) == KEPT - 5
    with world.ctx.db.read() as session:
        assert session.exec(select(func.count()).select_from(HardwareWindowRow)).one() == KEPT


def test_a_report_without_a_temperature_leaves_the_last_one(world: World, device: Device) -> None:
    say(world, temperature_dc=700)
    say(world, throttled=2**32 - 1)
    with world.ctx.db.write() as session:
        row = devices.get(session, "cam-1", lock=True)
        reports.reported(session, world.ctx, row, device.report(0), world.clock.now + 100)
        assert (row.temperature_dc, row.temperature_at) == (700, world.clock.now)
        reports.reported(session, world.ctx, row, device.report(0, temperature_dc=610), world.clock.now + 200)
        assert (row.temperature_dc, row.temperature_at) == (610, world.clock.now + 200)
