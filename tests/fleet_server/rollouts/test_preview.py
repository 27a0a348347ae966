"""Before a rollout starts: who takes part, who is left out and why, and what is refused."""

import dataclasses

import pytest

from dunlin_contract.fit import RuntimeInfo
from fleet_server.errors import InvalidError, NotFoundError
from tests.fleet_server.rollouts.fleet import TWO_STAGES, Fleet, forecast, running
from tests.fleet_server.world import DESCRIPTION


def test_a_device_is_in_one_rollout_of_a_model_at_a_time(small_fleet: Fleet) -> None:
    fleet = small_fleet
    fleet.add("cam-1", "cam-2")
    first = fleet.start(fleet.push("1.0.0"), selector={"devices": ["cam-1"]})
    second = fleet.push("2.0.0", counter=2)
    plan = forecast(fleet, second)
    assert (plan.matched, plan.eligible) == (2, 1)
    assert [(one.device, one.why, one.reasons) for one in plan.excluded] == [
        ("cam-1", "busy", (f"it takes part in rollout {first}",))
    ]
    other = fleet.start(second)
    assert set(fleet.parts(other)) == {"cam-2"}
    fleet.start(fleet.push("1.0.0", name="faces"))


def test_the_preview_says_who_is_left_out_and_why(small_fleet: Fleet) -> None:
    fleet = small_fleet
    old = fleet.push("1.0.0", counter=1)
    fleet.add("has-new", "floored", "plain")
    new = running(fleet, "2.0.0", counter=2)
    old_runtime = dataclasses.replace(DESCRIPTION, runtimes=(RuntimeInfo(name="litert", version=(2, 0, 0)),))
    fleet.add("no-runtime", description=old_runtime)
    fleet.add("fresh", "away")
    fleet.agents["away"].connect(False)
    plan = forecast(fleet, new)
    assert {one.device: one.why for one in plan.excluded} == {
        "has-new": "already",
        "floored": "already",
        "plain": "already",
        "no-runtime": "unfit",
    }
    assert [one.reasons for one in plan.excluded if one.device == "no-runtime"] == [
        ("onnx-int8: runtime onnxruntime is not installed",)
    ]
    assert (plan.matched, plan.eligible, plan.offline) == (6, 2, ("away",))
    assert plan.bytes_total == 2 * plan.bytes_per_device["onnx-int8"] > 2 * 2000
    downgrade = forecast(fleet, old)
    lines = {one.device: one.reasons[0] for one in downgrade.excluded if one.why == "floor"}
    assert set(lines) == {"has-new", "floored", "plain"}
    assert lines["plain"] == "security counter 1 is below its floor 2: build the release with a higher one"


def test_what_cannot_work_is_refused_before_it_starts(small_fleet: Fleet) -> None:
    fleet = small_fleet
    release = fleet.push("1.0.0")
    with pytest.raises(InvalidError, match="no active device matches"):
        fleet.start(release)
    fleet.add("cam-1", "cam-2", "cam-3")
    with pytest.raises(InvalidError, match="stage 1 would starve: the gate waits for 2 devices"):
        fleet.start(release, stages=TWO_STAGES, gate={"min_samples": 2})
    with pytest.raises(NotFoundError, match="there is no release"):
        fleet.start("0" * 64)
    fleet.world.clock.now += 10**7
    with pytest.raises(InvalidError, match="past its not-after"):
        fleet.start(release)


def test_stages_are_forecast_as_running_totals(small_fleet: Fleet) -> None:
    fleet = small_fleet
    fleet.add("a", "b", "c", "d", tags={"ring": "late"})
    fleet.add("e", tags={"ring": "canary"})
    stages = [{"selector": {"tags": {"ring": "canary"}}}, {"percent": 40}, {"percent": 41}, {"count": 4, "soak_s": 9}]
    plan = forecast(fleet, fleet.push("1.0.0"), stages=stages)
    assert [(one.adds, one.total) for one in plan.stages] == [(1, 1), (1, 2), (1, 3), (1, 4)]
    assert plan.warnings == ("1 devices stay without it: the last stage does not take everyone",)
    assert plan.at_least_s == 9
