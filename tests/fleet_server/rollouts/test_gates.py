"""Gates by drift and by heat: what they see, whom they count, what they do to a stage, and what they wait for."""

import pytest

from dunlin_contract.drift import Baseline
from dunlin_contract.drift import Feature as BaselineFeature
from fleet_server.api import views
from fleet_server.errors import InvalidError
from fleet_server.rollouts import gates, service
from fleet_server.rollouts.preview import preview
from fleet_server.rollouts.spec import RolloutSpec, Stage
from fleet_server.rollouts.terms import State
from tests.fleet_server.children import behind
from tests.fleet_server.field import say
from tests.fleet_server.rollouts.fleet import Fleet
from tests.fleet_server.rollouts.world import EVEN, Device, World, spec

BASELINE = Baseline(
    features=(BaselineFeature(side="input", tensor="x", what="mean", edges=(0.5,), expected=EVEN),)
).to_bytes()


def started(count: int = 1, *stages: Stage, **gate: float) -> World:
    """A rollout whose devices all have the release, and soak it."""
    world = World(count, spec(*(stages or (Stage(percent=100, soak_s=60),)), **gate))  # type: ignore[arg-type]
    world.look()
    world.commit_all()
    world.look()
    return world


def waiting(count: int, *stages: Stage, **gate: float) -> World:
    """A rollout that has not seen its devices yet."""
    world = World(0, spec(*stages, **gate))  # type: ignore[arg-type]
    world.devices = {f"dev-{n:03}": Device() for n in range(count)}
    return world


# --- drift ------------------------------------------------------------------------------------------------------------


def test_a_release_whose_inputs_have_drifted_breaks_the_gate() -> None:
    world = started(3, drift_psi_max=0.25)
    for device in world.devices.values():
        device.count(100, 400)
    world.look(1)
    assert world.rollout.state is State.PAUSED
    assert "input x mean has drifted on 3 of 3 devices: PSI 0.4" in world.rollout.reason
    assert "of 1500 samples, the gate allows 0.25" in world.rollout.reason


def test_what_is_within_the_gate_goes_through() -> None:
    world = started(3, drift_psi_max=0.5)
    for device in world.devices.values():
        device.count(100, 400)
    world.look(60)
    assert world.rollout.state is State.COMPLETED


def test_devices_are_judged_together() -> None:
    """One camera may look at something else for a while: the release has not drifted for that."""
    world = started(3, drift_psi_max=0.25)
    for place, device in enumerate(world.devices.values()):
        device.count(*((0, 600) if place == 0 else (700, 500)))
    world.look(60)
    assert world.rollout.state is State.COMPLETED


def test_a_device_that_makes_its_baseline_up_counts_as_one_device() -> None:
    world = started(11, drift_psi_max=0.25)
    first, *others = world.devices.values()
    for device in others:
        device.count(300, 300)
    first.count(0, 10**9, name="mine")
    world.look(1)
    assert world.rollout.state is State.SOAKING
    others[0].count(0, 10**9, name="mine")  # two of eleven are more than a tenth
    world.look(1)
    assert world.rollout.state is State.PAUSED
    assert "mine has drifted on 2 of 11 devices" in world.rollout.reason


def test_the_stage_waits_for_samples_and_starves_without_them() -> None:
    world = started(2, drift_psi_max=0.25)
    for device in world.devices.values():
        device.count(100, 149)
    world.look(61)
    assert world.rollout.state is State.SOAKING
    world.look(100)
    assert world.rollout.state is State.PAUSED
    assert "starves: 498 of 500 samples were counted for drift; send requests" in world.rollout.reason
    world.order("resume")
    for device in world.devices.values():
        device.count(130, 130)
    world.look(1)
    world.look(60)
    assert world.rollout.state is State.COMPLETED


def test_fewer_samples_are_enough_where_the_gate_says_so() -> None:
    world = started(1, drift_psi_max=0.25, min_drift_samples=20)
    world.devices["dev-000"].count(1, 19)
    world.look(1)
    assert world.rollout.state is State.PAUSED


def test_who_can_count_nothing_is_not_waited_for() -> None:
    world = World(2, spec(Stage(percent=100, soak_s=60), drift_psi_max=0.25))
    for device in world.devices.values():
        device.micro = True
    world.look()
    world.commit_all()
    world.look()
    world.look(60)
    assert world.rollout.state is State.COMPLETED


# --- heat -------------------------------------------------------------------------------------------------------------


def test_devices_that_grow_too_hot_break_the_gate_when_they_are_too_many() -> None:
    world = started(10, temperature_max_c=70)
    names = list(world.devices)
    for name in names:
        world.devices[name].measure(60, world.now)
    world.devices[names[3]].measure(71, world.now)
    world.look(1)
    assert world.rollout.state is State.SOAKING
    world.devices[names[4]].measure(75.5, world.now)
    world.look(1)
    assert world.rollout.state is State.PAUSED
    assert world.rollout.reason == "stage 1: 2 of 10 devices are hotter than 70 °C; dev-004: 75.5 °C"


def test_exactly_as_hot_as_allowed_is_allowed() -> None:
    world = started(1, temperature_max_c=70)
    world.devices["dev-000"].measure(70, world.now)
    world.look(60)
    assert world.rollout.state is State.COMPLETED


def test_what_was_measured_before_is_not_held_against_the_release() -> None:
    world = World(1, spec(Stage(percent=100, soak_s=60), temperature_max_c=70))
    world.devices["dev-000"].commit()
    world.devices["dev-000"].measure(90, world.now - 1)
    world.look()
    assert world.rollout.state is State.SOAKING


def test_whoever_resumes_has_seen_the_heat_and_only_what_is_measured_then_counts() -> None:
    world = started(1, temperature_max_c=70)
    world.devices["dev-000"].measure(90, world.now)
    world.look(1)
    assert world.rollout.state is State.PAUSED
    world.now += 1
    world.order("resume")
    world.look(1)
    assert world.rollout.state is State.SOAKING
    world.devices["dev-000"].measure(90, world.now + 1)
    world.look(1)
    assert world.rollout.state is State.PAUSED


def test_a_hot_device_waits_its_turn_out_and_joins_when_it_is_cooler() -> None:
    world = waiting(2, Stage(percent=100, soak_s=60), temperature_max_c=70)
    hot = "dev-001"
    world.devices[hot].measure(80, world.now)
    world.look()
    assert world.having("offline") == [hot]
    assert world.rollout.members[hot].reason == "waits until it is cooler: 80 °C, the gate allows 70 °C"
    assert len(world.having("assigned")) == 1
    world.devices[hot].measure(69, world.now)
    world.look(1)
    assert len(world.having("assigned")) == 2
    assert world.rollout.members[hot].reason == ""


def test_a_stage_whose_devices_are_all_too_hot_starves_and_says_so() -> None:
    world = waiting(2, temperature_max_c=70)
    for _ in range(3):
        for device in world.devices.values():
            device.measure(80, world.now)
        world.look(50)
    assert world.rollout.state is State.PAUSED
    assert "0 of 1 devices have answered; the others are offline or too hot" in world.rollout.reason


def test_a_device_that_cooled_down_waits_its_turn_without_a_word() -> None:
    world = waiting(2, Stage(count=1, soak_s=60), Stage(percent=100), temperature_max_c=70)
    for celsius, offline in ((80, 2), (60, 0)):
        for device in world.devices.values():
            device.measure(celsius, world.now)
        world.look(1)
        assert len(world.having("offline")) == offline
    (other,) = world.having("waiting")
    assert world.rollout.members[other].reason == ""


def test_a_hot_device_joins_after_completion_when_it_is_cooler() -> None:
    world = waiting(2, temperature_max_c=70)
    hot, cool = world.devices
    world.devices[hot].measure(80, world.now)
    world.look()
    world.devices[cool].commit()
    world.look(1)
    assert (world.rollout.state, world.having("offline")) == (State.COMPLETED, [hot])
    world.look(1)
    assert world.having("offline") == [hot]
    world.look(gates.FRESH_S)
    assert world.having("assigned") == [hot], "nobody knows any more how hot it is"


# --- over real rows ---------------------------------------------------------------------------------------------------


def reason(fleet: Fleet, rollout: int) -> str:
    with fleet.world.ctx.db.read() as session:
        return service.get(session, rollout).reason


def push(fleet: Fleet, version: str = "1.0.0", counter: int = 1) -> str:
    return fleet.world.push(fleet.world.build(version=version, counter=counter, baseline=BASELINE))[0].digest


def test_drift_that_devices_send_aborts_the_rollout_and_is_shown(fleet: Fleet) -> None:
    one, two = fleet.add("cam-1", "cam-2")
    release = push(fleet)
    body = {"stages": [{"percent": 100, "soak_s": 600}], "on_breach": "abort"}
    rollout = fleet.start(release, gate={"drift_psi_max": 0.2, "temperature_max_c": 80}, **body)
    for agent in (one, two):
        agent.follow()
    fleet.tick(1)
    say(fleet.world, one.name, release, 300, 300)
    say(fleet.world, two.name, release, 300, 300)
    fleet.tick(1)
    assert fleet.state(rollout) == "soaking"
    with fleet.world.ctx.db.read() as session:
        line = views.rollout(session, service.get(session, rollout))
    assert (line["drift"]["feature"], line["drift"]["samples"]) == ("input x mean", 1200)
    say(fleet.world, two.name, release, 300, 1700)
    fleet.tick(1)
    assert fleet.state(rollout) == "aborted"
    assert "input x mean has drifted on 2 of 2 devices" in reason(fleet, rollout)


def test_heat_that_devices_send_pauses_the_rollout(fleet: Fleet) -> None:
    (agent,) = fleet.add("cam-1")
    release = fleet.push("1.0.0")
    say(fleet.world, agent.name, release, 1, 1, celsius=85)
    rollout = fleet.start(release, gate={"temperature_max_c": 80}, stages=[{"percent": 100, "soak_s": 600}])
    assert fleet.parts(rollout) == {"cam-1": "offline"}
    say(fleet.world, agent.name, release, 1, 1, celsius=60)
    fleet.tick(1)
    agent.follow()
    fleet.tick(1)
    fleet.world.clock.now += 1
    say(fleet.world, agent.name, release, 1, 1, celsius=81.5)
    fleet.tick(1)
    assert fleet.state(rollout) == "paused"
    assert "cam-1: 81.5 °C" in reason(fleet, rollout)


def test_counts_from_before_the_rollout_are_not_held_against_it(fleet: Fleet) -> None:
    (agent,) = fleet.add("cam-1")
    release = push(fleet)
    say(fleet.world, agent.name, release, 0, 5000)
    fleet.world.clock.now += 10
    rollout = fleet.start(release, gate={"drift_psi_max": 0.2}, stages=[{"percent": 100, "soak_s": 600}])
    agent.follow()
    fleet.tick(1)
    fleet.tick(1)
    assert fleet.state(rollout) == "soaking"


def test_a_gate_that_nobody_can_judge_is_refused_or_warned_of(fleet: Fleet) -> None:
    fleet.add("cam-1")
    blind = fleet.push("1.0.0")
    with pytest.raises(InvalidError, match="the release has no baseline"):
        fleet.start(blind, gate={"drift_psi_max": 0.2})
    gate = {"drift_psi_max": 0.2, "temperature_max_c": 80}
    ctx = fleet.world.ctx
    with ctx.db.read() as session:
        plan = preview(session, RolloutSpec.parse({"release": push(fleet, "1.1.0"), "gate": gate}), ctx.clock())
    assert plan.blockers == ()
    assert "1 of the devices have never said a temperature: the gate does not see how hot they are" in plan.warnings


def test_a_microcontroller_counts_nothing_and_holds_nothing_up(fleet: Fleet) -> None:
    (agent,) = behind(fleet, "gw-1", "mcu-1")
    built = fleet.world.build(runtime="tflm", baseline=BASELINE)
    release = fleet.world.push(built)[0].digest
    gate = {"drift_psi_max": 0.2}
    ctx = fleet.world.ctx
    with ctx.db.read() as session:
        plan = preview(session, RolloutSpec.parse({"release": release, "gate": gate}), ctx.clock())
    assert any("1 of the devices count nothing for drift" in line for line in plan.warnings)
    rollout = fleet.start(release, gate=gate)
    agent.follow()
    fleet.tick(1)
    fleet.tick(1)
    assert fleet.state(rollout) == "completed"
