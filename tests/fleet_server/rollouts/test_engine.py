"""The rollout engine, by example: what operators expect of stages, gate, offline devices, orders and endings."""

from dataclasses import replace

import pytest

from fleet_server.rollouts import engine
from fleet_server.rollouts.spec import Selector, Stage
from fleet_server.rollouts.terms import (
    FINAL,
    Announce,
    Assign,
    Fact,
    NotAllowedNowError,
    RaiseFloor,
    Restore,
    Rollout,
    State,
)
from tests.fleet_server.rollouts.world import NEW, OLD, Device, World, spec


def test_stages_widen_one_after_the_other_and_the_floor_rises_only_at_the_end() -> None:
    world = World(10, spec(Stage(percent=10, soak_s=30), Stage(percent=50), Stage(percent=100)))
    assert len(world.having("assigned")) == 1
    world.commit_all()
    world.look(1)
    assert (world.rollout.state, world.having("assigned")) == (State.SOAKING, [])
    world.look(29)
    assert world.rollout.stage == 0
    world.look(1)
    assert (world.rollout.stage, len(world.having("assigned"))) == (1, 4)
    world.commit_all()
    world.look(1)
    assert (world.rollout.stage, len(world.having("assigned"))) == (2, 5)
    assert world.floors == {}
    world.commit_all()
    world.look(1)
    assert world.rollout.state is State.COMPLETED
    assert world.floors == dict.fromkeys(world.devices, 5)
    assert {device.desired for device in world.devices.values()} == {NEW}


def test_the_order_is_fixed_for_a_rollout_and_differs_between_rollouts() -> None:
    names = [f"dev-{n}" for n in range(50)]
    first = sorted(names, key=lambda name: engine.order(1, name))
    assert first == sorted(set(names), key=lambda name: engine.order(1, name))
    assert first != sorted(names, key=lambda name: engine.order(2, name))


def test_delivery_is_not_success() -> None:
    world = World(1, spec(min_served=10))
    device = world.devices["dev-000"]
    device.fact = replace(device.fact, heard=2, active=NEW, candidate=NEW, phase="probation", served=50)
    world.look(1)
    assert world.having("assigned") == ["dev-000"]
    device.fact = replace(device.fact, candidate=None, phase="committed", served=9)
    world.look(1)
    assert world.having("assigned") == ["dev-000"]
    device.fact = replace(device.fact, served=10)
    world.look(1)
    assert world.having("succeeded") == ["dev-000"]


def test_what_a_device_said_before_it_saw_its_directive_proves_nothing() -> None:
    """A device that once refused this very release still says so until it has heard of the new attempt."""
    world = World(1, spec())
    device = world.devices["dev-000"]
    device.fact = replace(device.fact, candidate=NEW, phase="refused")
    world.look(1)
    assert world.having("assigned") == ["dev-000"]
    device.fail("refused")
    world.look(1)
    assert world.having("failed") == ["dev-000"]
    assert world.rollout.members["dev-000"].reason == "refused: latency"


def test_the_gate_breaks_on_completed_devices_in_the_middle_of_a_stage() -> None:
    """Two of the first five fail while 95 have not answered: the share is 3/5, not 98/100."""
    world = World(100, spec(min_samples=5, on_breach="pause"))
    names = world.having("assigned")
    assert len(names) == 100
    for name in names[:3]:
        world.devices[name].commit()
    world.devices[names[3]].fail()
    world.look(1)
    assert world.rollout.state is State.RUNNING, "four samples are below min_samples"
    world.devices[names[4]].fail()
    world.look(1)
    assert world.rollout.state is State.PAUSED
    text = "stage 1: 3 of 5 succeeded, the gate asks for 90 %"
    assert world.rollout.reason == f"{text}; {names[3]}: rolled-back: latency"


def test_a_settled_stage_is_judged_even_below_min_samples() -> None:
    world = World(20, spec(Stage(count=1), Stage(percent=100), min_samples=5, on_breach="abort"))
    world.devices[world.having("assigned")[0]].fail()
    world.look(1)
    assert world.rollout.state is State.ABORTED


def test_a_device_that_never_answers_fails_at_its_deadline_and_may_still_come_good() -> None:
    world = World(2, spec(min_success=0.5))
    silent, good = world.having("assigned")
    world.devices[good].commit()
    world.look(99)
    assert world.having("assigned") == [silent]
    world.look(1)
    assert world.having("failed") == [silent]
    assert world.rollout.members[silent].reason == "deadline: not done in 100 s, the device has not seen its directive"
    assert world.rollout.state is State.COMPLETED
    assert world.devices[silent].desired == OLD, "what failed goes back to what it ran"

    soaking = World(2, spec(Stage(percent=100, soak_s=500), min_success=0.5))
    silent, good = soaking.having("assigned")
    soaking.devices[good].commit()
    soaking.look(100)
    assert soaking.having("failed") == [silent]
    soaking.devices[silent].commit()
    soaking.look(1)
    assert soaking.having("failed") == []


def test_a_failure_after_the_commit_counts_in_the_soak_and_in_later_stages() -> None:
    world = World(4, spec(Stage(count=1, soak_s=50), Stage(percent=100, soak_s=50), on_breach="revert"))
    first = world.having("assigned")[0]
    world.commit_all()
    world.look(1)
    world.look(50)
    assert world.rollout.stage == 1
    world.devices[first].fail()
    world.look(1)
    assert world.rollout.state is State.REVERTING


def test_offline_devices_wait_in_a_bucket_and_never_block() -> None:
    world = World(0, spec(Stage(percent=50, soak_s=10), Stage(percent=100, soak_s=10)))
    world.devices = {f"dev-{n}": Device() for n in range(4)}
    ordered = sorted(world.devices, key=lambda name: engine.order(7, name))
    world.rollout = Rollout(7, world.rollout.spec, 5, since=world.now)
    world.online(ordered[0], False)
    world.online(ordered[3], False)
    world.look()
    assert world.having("offline") == [ordered[0]], "the stage takes the next in its place"
    assert world.having("assigned") == sorted(ordered[1:3])
    world.commit_all()
    world.look(1)
    world.look(10)
    assert (world.rollout.stage, world.rollout.state) == (1, State.SOAKING), "nobody of the last stage is online"
    world.look(10)
    assert world.rollout.state is State.COMPLETED

    world.online(ordered[0], True)
    world.look(5)
    assert world.having("assigned") == [ordered[0]], "it gets the release when it is back"
    world.commit_all()
    world.look(1)
    assert ordered[0] in world.floors


def test_a_returning_device_does_not_widen_a_stage_that_is_full() -> None:
    world = World(0, spec(Stage(count=1, soak_s=50), Stage(percent=100)))
    world.devices = {f"dev-{n}": Device() for n in range(3)}
    ordered = sorted(world.devices, key=lambda name: engine.order(7, name))
    world.online(ordered[0], False)
    world.look()
    assert world.having("assigned") == [ordered[1]]
    world.online(ordered[0], True)
    world.look(1)
    assert world.having("assigned") == [ordered[1]]
    assert world.having("offline") == []


def test_a_stage_without_evidence_starves_aloud() -> None:
    world = World(0, spec(Stage(count=1), Stage(percent=100)))
    world.devices = {"dev-0": Device()}
    world.online("dev-0", False)
    world.look()
    world.look(99)
    assert world.rollout.state is State.RUNNING
    effects = world.look(1)
    assert world.rollout.state is State.PAUSED
    assert "starves" in world.rollout.reason
    assert [effect.kind for effect in effects if isinstance(effect, Announce)] == ["pause"]


def test_a_selector_stage_takes_its_own() -> None:
    lab = Stage(selector=Selector(tags={"site": "lab"}))
    world = World(0, spec(lab, Stage(percent=100)))
    world.devices = {
        f"dev-{n}": Device(fact=Fact(active=OLD, heard=1, tags={"site": "lab" if n < 2 else "shop"})) for n in range(5)
    }
    world.look()
    assert world.having("assigned") == ["dev-0", "dev-1"]


def test_pause_stops_assigning_and_its_time_counts_against_nobody() -> None:
    world = World(2, spec(Stage(count=1), Stage(percent=100)))
    world.look(50)
    world.order("pause")
    world.look(1000)
    assert world.having("failed") == []
    world.order("resume")
    world.look(49)
    assert len(world.having("assigned")) == 1
    world.look(1)
    assert len(world.having("failed")) == 1


def test_resuming_accepts_the_failures_so_far_and_no_others() -> None:
    world = World(3, spec(Stage(count=1), Stage(count=2), Stage(percent=100), min_success=1))
    world.devices[world.having("assigned")[0]].fail()
    world.look(1)
    assert world.rollout.state is State.PAUSED
    world.order("resume")
    world.look(1)
    assert (world.rollout.state, world.rollout.stage) == (State.RUNNING, 1)
    world.devices[world.having("assigned")[0]].fail()
    world.look(1)
    assert world.rollout.state is State.PAUSED


def test_revert_takes_every_device_back_to_what_it_ran() -> None:
    world = World(4, spec(Stage(count=2, soak_s=60), Stage(percent=100), on_breach="revert"))
    good, bad = world.having("assigned")
    world.devices[good].commit()
    world.devices[bad].fail()
    effects = world.look(1)
    assert [effect for effect in effects if isinstance(effect, Restore)] == [Restore(good, OLD), Restore(bad, OLD)]
    assert world.rollout.state is State.REVERTING
    assert world.rollout.members[bad].reason == "rolled-back: latency", "why it failed stays readable"
    world.look(1)
    assert world.having("reverted") == []
    world.devices[good].commit()
    world.devices[bad].commit()
    world.look(1)
    assert world.rollout.state is State.REVERTED
    assert world.having("reverted") == [good, bad]
    assert not any(isinstance(effect, RaiseFloor) for effect in world.effects)


def test_reverting_ends_at_its_deadline_and_the_late_answer_is_still_recorded() -> None:
    world = World(1, spec())
    world.commit_all()
    world.rollout = replace(world.rollout, spec=spec(Stage(percent=100, soak_s=900)))
    world.look(1)
    world.order("revert")
    world.look(100)
    assert world.rollout.state is State.REVERTED
    assert "not confirmed by 1 of 1 devices" in world.rollout.reason
    world.devices["dev-000"].commit()
    world.look(1)
    assert world.having("reverted") == ["dev-000"]


def test_a_device_without_the_model_loses_it_again_on_revert() -> None:
    world = World(0, spec(Stage(percent=100, soak_s=60)))
    world.devices = {"dev-0": Device(desired=None, fact=Fact(heard=1))}
    world.look()
    world.commit_all()
    world.look(1)
    assert Restore("dev-0", None) in world.order("revert")
    world.commit_all()
    world.look(1)
    assert world.rollout.state is State.REVERTED


def test_abort_leaves_nobody_half_way() -> None:
    world = World(3, spec(min_success=0.0))
    done, failed, midway = world.having("assigned")
    world.devices[done].commit()
    world.devices[failed].fail()
    world.look(1)
    world.order("abort")
    assert world.rollout.state is State.ABORTED
    assert [world.devices[name].desired for name in (done, failed, midway)] == [NEW, OLD, OLD]
    assert world.having("reverting") == [midway]
    world.devices[midway].commit()
    world.look(1)
    assert world.having("reverted") == [midway]


def test_a_wiped_device_drops_out_and_counts_nowhere() -> None:
    world = World(2, spec(min_success=1))
    gone, stays = world.having("assigned")
    world.devices[gone].fact = replace(world.devices[gone].fact, gone=True)
    world.devices[stays].commit()
    world.look(1)
    assert world.having("dropped") == [gone]
    assert world.rollout.state is State.COMPLETED
    world.look(1)
    assert world.devices[gone].seq == 2, "nothing more is said to it"


def test_waiting_devices_follow_the_selection() -> None:
    world = World(3, spec(Stage(count=1), Stage(percent=100)))
    leaver = world.having("waiting")[0]
    world.devices[leaver].fact = replace(world.devices[leaver].fact, eligible=False)
    world.devices["newcomer"] = Device()
    world.look(1)
    assert leaver not in world.rollout.members
    assert "newcomer" in world.having("waiting")


def test_late_comers_get_a_completed_release_and_go_back_if_it_fails_on_them() -> None:
    world = World(1, spec())
    world.commit_all()
    world.look(1)
    world.devices |= {"late-good": Device(), "late-bad": Device(), "late-silent": Device()}
    effects = world.look(1)
    assert {effect.device for effect in effects if isinstance(effect, Assign)} == {
        "late-good",
        "late-bad",
        "late-silent",
    }
    world.devices["late-good"].commit()
    world.devices["late-bad"].fail()
    effects = world.look(1)
    assert RaiseFloor("late-good", 5) in effects
    assert Restore("late-bad", OLD) in effects
    assert Restore("late-silent", OLD) in world.look(100)
    assert world.rollout.state is State.COMPLETED


def test_a_partial_rollout_has_no_late_comers() -> None:
    world = World(3, spec(Stage(count=2)))
    world.commit_all()
    world.look(1)
    assert world.rollout.state is State.COMPLETED
    world.devices["late"] = Device()
    assert world.look(1) == []


def test_a_forgotten_pause_ends_in_an_abort() -> None:
    world = World(2, spec())
    world.order("pause")
    world.look(engine.PAUSE_LIMIT_S - 1)
    assert world.rollout.state is State.PAUSED
    world.look(1)
    assert world.rollout.state is State.ABORTED


def _in(state: State) -> World:
    world = World(2, spec(Stage(count=1, soak_s=60), Stage(percent=100)))
    if state is State.SOAKING:
        world.commit_all()
        world.look(1)
    elif state in (State.PAUSED, State.ABORTED, State.REVERTING):
        world.order({State.PAUSED: "pause", State.ABORTED: "abort", State.REVERTING: "revert"}[state])
    elif state is State.REVERTED:
        world.order("revert")
        world.look(100)
    elif state is State.COMPLETED:
        for _ in range(4):
            world.commit_all()
            world.look(60)
    assert world.rollout.state is state
    return world


NEXT = {
    (State.RUNNING, "pause"): State.PAUSED,
    (State.RUNNING, "abort"): State.ABORTED,
    (State.RUNNING, "revert"): State.REVERTING,
    (State.SOAKING, "pause"): State.PAUSED,
    (State.SOAKING, "abort"): State.ABORTED,
    (State.SOAKING, "revert"): State.REVERTING,
    (State.PAUSED, "resume"): State.RUNNING,
    (State.PAUSED, "abort"): State.ABORTED,
    (State.PAUSED, "revert"): State.REVERTING,
}


@pytest.mark.parametrize("action", ["pause", "resume", "abort", "revert"])
@pytest.mark.parametrize("state", State)
def test_every_order_in_every_state(state: State, action: str) -> None:
    world = _in(state)
    wanted = NEXT.get((state, action))
    if wanted is None:
        before = world.rollout
        with pytest.raises(NotAllowedNowError, match=f"cannot {action} a rollout that is {state}"):
            world.order(action)
        assert world.rollout == before
    else:
        world.order(action)
        assert world.rollout.state is wanted


@pytest.mark.parametrize(
    ("state", "at_deadline"),
    [
        (State.RUNNING, State.PAUSED),  # the silent device fails, which breaks the gate
        (State.SOAKING, State.RUNNING),  # the second stage begins
        (State.PAUSED, State.ABORTED),
        (State.REVERTING, State.REVERTED),
    ],
)
def test_every_state_that_is_not_final_leaves_at_its_deadline(state: State, at_deadline: State) -> None:
    world = _in(state)
    limit = engine.deadline(world.rollout)
    assert limit is not None
    world.look(limit - world.now - 1)
    assert world.rollout.state is state
    world.look(1)
    assert world.rollout.state is at_deadline


@pytest.mark.parametrize("state", sorted(FINAL))
def test_a_final_state_has_no_deadline_and_stays(state: State) -> None:
    world = _in(state)
    assert engine.deadline(world.rollout) is None
    world.look(10**7)
    assert world.rollout.state is state


def test_a_device_that_fails_again_after_an_excuse_counts_again() -> None:
    world = World(1, spec(Stage(percent=100, soak_s=500), min_success=1))
    device = world.devices["dev-000"]
    device.fail()
    world.look(1)
    world.order("resume")
    device.commit()
    world.look(1)
    assert world.rollout.state is State.SOAKING
    device.fail()
    world.look(1)
    assert world.rollout.state is State.PAUSED


def test_a_success_stays_one_when_the_device_counts_from_zero_again() -> None:
    """`served` restarts with the agent; that must not undo what was proven."""
    world = World(1, spec(Stage(percent=100, soak_s=500), min_served=10))
    device = world.devices["dev-000"]
    device.commit()
    device.fact = replace(device.fact, served=10)
    world.look(1)
    device.fact = replace(device.fact, served=0)
    world.look(1)
    assert world.having("succeeded") == ["dev-000"]


def test_a_device_is_not_back_while_it_still_tries_the_release() -> None:
    world = World(1, spec(Stage(percent=100, soak_s=60)))
    device = world.devices["dev-000"]
    world.order("revert")
    device.fact = replace(device.fact, heard=device.seq, active=OLD, candidate=NEW, phase="testing")
    world.look(1)
    assert world.having("reverting") == ["dev-000"]
    device.commit()
    world.look(1)
    assert world.having("reverted") == ["dev-000"]


# Trials.


def trying(count: int = 4, mode: str = "shadow", **more: object) -> World:
    """Half of the devices have the release on trial, with 30 s of soak."""
    world = World(count, spec(Stage(percent=50, soak_s=30), Stage(percent=100, soak_s=30), mode=mode, **more))  # type: ignore[arg-type]
    assert len(world.having("trying")) == count // 2
    return world


def compare_all(world: World, **seen: float) -> None:
    for name in (*world.having("trying"), *world.having("comparing")):
        world.devices[name].compare(**seen)  # type: ignore[arg-type]
    world.look(1)


def test_a_stage_on_trial_is_compared_while_it_soaks_and_then_promoted_and_soaks_again() -> None:
    world = trying()
    assert {device.desired for device in world.devices.values()} == {OLD}
    compare_all(world)
    assert (world.rollout.state, len(world.having("comparing"))) == (State.SOAKING, 2)
    world.look(29)
    assert world.having("assigned") == []
    world.look(1)
    assert (world.rollout.state, len(world.having("assigned"))) == (State.RUNNING, 2)
    assert [(one.desired, one.trial) for one in world.devices.values() if one.desired == NEW] == [(NEW, None)] * 2
    world.commit_all()
    world.look(1)
    assert world.rollout.state is State.SOAKING
    world.look(30)
    assert (world.rollout.stage, len(world.having("trying"))) == (1, 2)
    compare_all(world)
    world.look(30)
    world.commit_all()
    world.look(1)
    world.look(30)
    assert world.rollout.state is State.COMPLETED


@pytest.mark.parametrize(
    ("gate", "seen", "reason"),
    [
        ({}, {"pairs": 90, "errors": 10}, "failed at 20 of 200 requests, the gate allows 0.05"),
        ({"agreement_min": 0.99}, {"agreed": 97}, "agrees in 0.970 of 200 requests, the gate asks for 0.99"),
        ({"candidate_p95_ratio_max": 1.5}, {"slower": 2.0}, "times as long (95th percentile), the gate allows 1.5"),
    ],
)
def test_a_candidate_that_breaks_the_gate_aborts_and_every_device_keeps_what_serves(
    gate: dict[str, float], seen: dict[str, float], reason: str
) -> None:
    world = trying(on_breach="abort", **gate)
    compare_all(world, **seen)
    assert world.rollout.state is State.ABORTED
    assert reason in world.rollout.reason
    assert {(one.desired, one.trial) for one in world.devices.values()} == {(OLD, None)}
    assert len(world.having("reverting")) == 2
    world.commit_all()
    world.look(1)
    assert len(world.having("reverted")) == 2


@pytest.mark.parametrize(
    ("gate", "seen"),
    [
        ({}, {"pairs": 95, "errors": 5}),
        ({"agreement_min": 0.97}, {"agreed": 97}),
        ({"candidate_p95_ratio_max": 2.2}, {"slower": 2.0}),
        ({"agreement_min": 0.99, "min_pairs": 201}, {"agreed": 0}),
    ],
)
def test_a_candidate_within_its_gate_or_without_evidence_goes_on(
    gate: dict[str, float], seen: dict[str, float]
) -> None:
    world = trying(on_breach="abort", **gate)
    compare_all(world, **seen)
    assert world.rollout.state is State.SOAKING


def test_trials_without_requests_starve_and_pause() -> None:
    world = trying()
    compare_all(world, pairs=9)
    world.look(30)
    assert world.rollout.state is State.SOAKING
    world.look(100)
    assert world.rollout.state is State.PAUSED
    assert "18 of 20 requests were compared" in world.rollout.reason
    compare_all(world, pairs=20)
    world.order("resume")
    world.look(1)
    world.look(30)
    assert len(world.having("assigned")) == 2


def test_a_candidate_that_dies_on_trial_fails_its_device_with_the_reason() -> None:
    world = trying(on_breach="abort", min_success=1)
    first, second = world.having("trying")
    world.devices[first].fail("refused")
    world.devices[second].compare()
    world.look(1)
    assert world.rollout.members[first].reason == "refused: latency"
    assert world.rollout.state is State.ABORTED
    assert {(one.desired, one.trial) for one in world.devices.values()} == {(OLD, None)}


def test_an_ab_test_waits_for_a_person() -> None:
    world = trying(mode="ab")
    compare_all(world)
    world.look(30)
    assert world.rollout.state is State.PAUSED
    assert "promote the release, or abort" in world.rollout.reason
    world.order("promote")
    assert (world.rollout.state, len(world.having("assigned"))) == (State.RUNNING, 2)


def test_a_person_may_promote_before_the_soak_is_over_and_only_what_is_on_trial() -> None:
    world = trying()
    compare_all(world)
    world.order("promote")
    assert len(world.having("assigned")) == 2
    world.commit_all()
    world.look(1)
    assert world.rollout.state is State.SOAKING
    with pytest.raises(NotAllowedNowError, match="possible: pause, abort, revert"):
        world.order("promote")


def test_what_can_hold_no_second_release_takes_it_at_once() -> None:
    world = World(0, spec(mode="shadow"))
    world.devices = {"micro": Device(micro=True), "new": Device(desired=None, fact=Fact(heard=1)), "camera": Device()}
    world.look(1)
    assert (world.having("assigned"), world.having("trying")) == (["micro", "new"], ["camera"])


def test_a_device_that_never_gets_to_its_trial_fails_at_its_deadline() -> None:
    world = trying()
    world.look(99)
    assert len(world.having("trying")) == 2
    world.look(1)
    assert len(world.having("failed")) == 2
    assert world.rollout.state is State.PAUSED
