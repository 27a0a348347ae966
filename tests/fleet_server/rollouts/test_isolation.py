"""One device that cannot be told anything must not stand in the way of the others."""

import pytest

from dunlin_contract.limits import LIMITS
from fleet_server.db.models import DeviceRow
from fleet_server.services import directives
from fleet_server.ticker import Ticker, upkeep
from tests.fleet_server.rollouts.fleet import Fleet
from tests.fleet_server.test_directives import desire


def test_a_device_that_claims_the_last_number_stops_no_rollout(small_fleet: Fleet) -> None:
    fleet = small_fleet
    good, liar = fleet.add("cam-1", "cam-2")
    liar.report(LIMITS.sequence - 1)  # answered with the last directive that this epoch has
    assert liar.device.directive().seq == LIMITS.sequence
    rollout = fleet.start(fleet.push("1.0.0"), stages=[{"percent": 100}])
    good.follow()
    fleet.tick(1)
    assert fleet.parts(rollout) == {"cam-1": "succeeded", "cam-2": "assigned"}
    fleet.tick(600)
    assert fleet.parts(rollout)["cam-2"] == "failed"


def test_a_device_that_claims_the_last_number_stops_no_upkeep(small_fleet: Fleet) -> None:
    fleet = small_fleet
    liar, good = fleet.add("cam-1", "cam-2")
    liar.report(LIMITS.sequence - 1)
    before = good.device.directive().seq
    with fleet.world.ctx.db.write() as session:
        directives.invalidate_all(session)
    assert Ticker(fleet.world.ctx, []).once(upkeep)
    assert good.device.directive().seq == before + 1


def test_a_device_with_as_many_models_as_a_directive_can_name_is_left_out(small_fleet: Fleet) -> None:
    fleet = small_fleet
    good, full = fleet.add("cam-1", "cam-2")
    for number in range(LIMITS.models):
        desire(fleet.world, full.name, fleet.push("1.0.0", name=f"model-{number}"), model=f"model-{number}")
    rollout = fleet.start(fleet.push("1.0.0"), stages=[{"percent": 100}])
    assert fleet.parts(rollout) == {good.name: "assigned"}
    assert len(full.device.directive().desired) == LIMITS.models
    assert fleet.start(fleet.push("2.0.0", name="model-0"), stages=[{"percent": 100}])  # it may change one of them


def test_what_was_read_before_the_lock_is_read_again(fleet: Fleet) -> None:
    """On PostgreSQL another transaction may number a directive between a look at a device and its lock."""
    (agent,) = fleet.add("cam-1")
    db = fleet.world.ctx.db
    if db.is_sqlite:
        pytest.skip("SQLite has one writer: nothing changes between its look and its lock")
    with db.write() as session:
        looked = session.get(DeviceRow, "cam-1")
        assert looked is not None
        with db.write() as other:
            directives.issue(other, fleet.world.ctx, "cam-1", fleet.world.clock.now)
        numbered = agent.device.row().seq
        assert directives.issue(session, fleet.world.ctx, "cam-1", fleet.world.clock.now) == numbered + 1
