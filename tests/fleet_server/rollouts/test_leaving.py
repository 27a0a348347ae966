"""Devices that are wiped or rejected: they drop out of their rollouts, and get nothing by themselves."""

from typing import Any

import pytest

from fleet_server.rollouts import facts
from fleet_server.services import enrolment
from tests.fleet_server.rollouts.fleet import Fleet, forecast, running, wipe
from tests.fleet_server.world import ACTOR


def test_a_device_wiped_while_it_was_away_gets_nothing_when_it_is_back(small_fleet: Fleet) -> None:
    """Even one that its rollout named: it was named before the wipe."""
    fleet = small_fleet
    _, away = fleet.add("cam-1", "cam-2")
    away.connect(False)
    fleet.start(fleet.push("1.0.0"), selector={"devices": ["cam-1", "cam-2"]})
    fleet.agents["cam-1"].follow()
    fleet.tick(1)
    order = wipe(fleet, "cam-2")
    away.connect()
    away.tell("wiped", receipt=away.device.receipt(order))
    fleet.tick(1)
    assert away.desired() is None


def test_a_wiped_device_drops_out_and_gets_nothing_by_itself(fleet: Fleet) -> None:
    fleet.add("cam-1", "cam-2")
    running(fleet, "1.0.0")
    rollout = fleet.start(fleet.push("2.0.0", counter=2), stages=[{"percent": 100, "soak_s": 100}])
    gone = fleet.agents["cam-1"]
    order = wipe(fleet, "cam-1")
    fleet.tick(1)
    assert fleet.parts(rollout)["cam-1"] == "dropped"
    fleet.agents["cam-2"].follow()
    fleet.tick(1)
    fleet.tick(100)
    assert fleet.state(rollout) == "completed"
    gone.models = {}
    gone.report()
    gone.tell("wiped", receipt=gone.device.receipt(order))
    fleet.tick(1)
    assert gone.desired() is None

    again = fleet.push("3.0.0", counter=3)
    plan = forecast(fleet, again)
    assert [(one.device, one.why) for one in plan.excluded] == [("cam-1", "wiped")]
    fleet.start(again, selector={"devices": ["cam-1"]})
    assert gone.desired() == bytes.fromhex(again)


def test_a_wipe_that_is_signed_while_a_rollout_decides_wins(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """On PostgreSQL the order may be committed between the rollout's look at the fleet and its decision."""
    if fleet.world.ctx.db.is_sqlite:
        pytest.skip("SQLite has one writer: nothing changes while a rollout decides")
    (agent,) = fleet.add("cam-1")
    running(fleet, "1.0.0")
    orders: list[bytes] = []
    look = facts.observe

    def looked(*arguments: Any) -> Any:
        seen = look(*arguments)
        orders.append(wipe(fleet, "cam-1"))
        return seen

    release = fleet.push("2.0.0", counter=2)
    with monkeypatch.context() as patch:
        patch.setattr(facts, "observe", looked)
        fleet.start(release)
    agent.models = {}
    agent.report()
    agent.tell("wiped", receipt=agent.device.receipt(orders[0]))
    fleet.tick(1)
    assert agent.desired() is None


def test_a_rejected_device_drops_out(small_fleet: Fleet) -> None:
    fleet = small_fleet
    fleet.add("cam-1", "cam-2")
    rollout = fleet.start(fleet.push("1.0.0"))
    with fleet.world.ctx.db.write() as session:
        enrolment.reject(session, fleet.world.ctx, "cam-1", ACTOR, fleet.world.clock.now)
    fleet.agents["cam-2"].follow()
    fleet.tick(1)
    assert fleet.state(rollout) == "completed"
    assert fleet.parts(rollout) == {"cam-1": "dropped", "cam-2": "succeeded"}
