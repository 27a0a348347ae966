"""A device is believed about itself, and however much it says, what is kept of it has a bound."""

import secrets

from sqlmodel import func, select

from dunlin_contract.limits import LIMITS
from dunlin_contract.telemetry import ModelTelemetry, Telemetry
from fleet_server.db.models import ModelTelemetryRow
from fleet_server.services import devices, reports
from tests.fleet_server.world import World


def test_made_up_model_names_in_telemetry_do_not_fill_the_disk(sqlite_world: World) -> None:
    world = sqlite_world
    world.device()
    for round_ in range(12):
        models = {
            f"m-{round_}-{n}": ModelTelemetry(release=secrets.token_bytes(32), count=1, errors=0, latency_us={1: 1})
            for n in range(LIMITS.models)
        }
        with world.ctx.db.write() as session:
            row = devices.get(session, "cam-1", lock=True)
            numbers = Telemetry(models=models, memory_bytes=1, load_permille=1)
            reports.telemetry(session, row, numbers, world.clock.now + round_)
    with world.ctx.db.read() as session:
        kept = session.exec(select(func.count()).select_from(ModelTelemetryRow)).one()
        newest = set(session.exec(select(ModelTelemetryRow.model).where(ModelTelemetryRow.at == world.clock.now + 11)))
    assert kept <= LIMITS.models * (reports.TELEMETRY_RELEASES + 1)
    assert newest == set(models)
