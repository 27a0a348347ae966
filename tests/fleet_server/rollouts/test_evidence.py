"""What lets a candidate on trial pass: evidence of its own for each gate, said lately, and no device's word alone."""

from dataclasses import replace

import pytest

from dunlin_contract.sketch import Sketch
from fleet_server.rollouts import trials
from fleet_server.rollouts.spec import Gate, Stage
from fleet_server.rollouts.terms import Announce, Compared, State
from tests.fleet_server.rollouts.test_engine import compare_all, trying
from tests.fleet_server.rollouts.world import EVIDENT_S, NEW, OLD, World, spec


def _say(world: World, name: str, **seen: object) -> None:
    """Have a device on trial say something else of some of what it counted."""
    device = world.devices[name]
    device.compare()
    device.fact = replace(device.fact, compared=replace(device.fact.compared, **seen))


# --- a gate needs its own evidence ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "gate", "seen", "lacks"),
    [
        (
            "canary",
            {"candidate_p95_ratio_max": 1.5},
            {"serving_us": {}},
            "0 of 20 latencies of the release that",
        ),
        ("shadow", {"candidate_p95_ratio_max": 1.5}, {"candidate_us": {}}, "0 of 20 latencies of the candidate"),
        (
            "shadow",
            {"agreement_min": 0.99, "error_share_max": 1.0},
            {"pairs": 0, "agreed": 0, "errors": 50},
            "0 of 20 requests were answered by both releases",
        ),
    ],
)
@pytest.mark.parametrize(("on_breach", "state"), [("pause", State.PAUSED), ("abort", State.ABORTED)])
def test_a_gate_without_its_evidence_waits_to_the_deadline_and_is_broken_then(
    mode: str, gate: dict[str, float], seen: dict[str, object], lacks: str, on_breach: str, state: State
) -> None:
    world = trying(mode=mode, on_breach=on_breach, **gate)
    for name in world.having("trying"):
        _say(world, name, **seen)
    world.look(1)
    world.look(129)
    assert (world.rollout.state, world.having("assigned")) == (State.SOAKING, [])
    world.look(1)
    assert world.rollout.state is state
    assert f"stage 1 starves: {lacks}" in world.rollout.reason
    assert ("then resume" in world.rollout.reason) == (on_breach == "pause")


def test_agreement_is_judged_from_enough_answers_on_and_not_from_enough_requests() -> None:
    world = trying(agreement_min=0.9, error_share_max=1.0, on_breach="abort")
    compare_all(world, pairs=9, agreed=0, errors=90)
    assert world.rollout.state is State.SOAKING
    compare_all(world, pairs=10, agreed=0, errors=90)
    assert world.rollout.state is State.ABORTED


def test_a_stage_whose_only_device_left_takes_another_instead_of_passing() -> None:
    world = World(10, spec(Stage(count=1, soak_s=30), Stage(percent=100, soak_s=30), mode="shadow"))
    (one,) = world.having("trying")
    world.devices[one].compare()
    world.look(1)
    world.devices[one].fact = replace(world.devices[one].fact, gone=True, eligible=False)
    effects = world.look(30)
    assert (world.rollout.stage, world.rollout.state) == (0, State.RUNNING)
    (other,) = world.having("trying")
    assert other != one
    (text,) = [effect.text for effect in effects if isinstance(effect, Announce)]
    assert text == "stage 1 takes others in their place: 0 of 1 devices have answered"
    compare_all(world)
    world.look(30)
    assert world.having("assigned") == [other]


def test_a_later_stage_whose_devices_have_all_left_waits_for_others_and_says_so() -> None:
    world = World(10, spec(Stage(count=1), Stage(count=2, soak_s=30), Stage(percent=100)))
    world.commit_all()
    world.look(1)
    (one,) = world.having("assigned")
    world.devices[one].commit()
    world.look(1)
    assert (world.rollout.stage, world.rollout.state) == (1, State.SOAKING)
    world.devices[one].fact = replace(world.devices[one].fact, gone=True, eligible=False)
    for name in world.having("waiting"):
        world.online(name, False)
    world.look(30)
    assert (world.rollout.stage, world.rollout.state) == (1, State.RUNNING)
    world.look(100)
    assert world.rollout.state is State.PAUSED
    assert "stage 2 starves: all devices that it took have left" in world.rollout.reason


# --- evidence is recent -----------------------------------------------------------------------------------------------


def test_devices_that_went_away_promote_nothing() -> None:
    world = trying()
    compare_all(world)
    for name in world.devices:
        world.online(name, False)
    world.look(30)
    assert world.having("assigned") == []
    world.look(100)
    assert "0 of 20 requests were compared; 2 devices have said nothing lately" in world.rollout.reason


def test_what_was_counted_before_an_outage_waits_for_what_is_counted_after_it() -> None:
    world = trying()
    compare_all(world)
    world.owed_until = world.now + 7200 + EVIDENT_S
    world.look(7200)
    world.look(EVIDENT_S - 1)
    assert (world.rollout.state, world.having("assigned")) == (State.SOAKING, [])
    compare_all(world)
    assert len(world.having("assigned")) == 2


def test_an_outage_delays_the_end_of_a_stage_without_evidence_and_no_more() -> None:
    world = trying()
    compare_all(world)
    world.owed_until = world.now + 7200 + EVIDENT_S
    world.look(7200 + EVIDENT_S)
    assert world.rollout.state is State.PAUSED


def test_what_devices_that_went_away_counted_does_not_hide_what_is_bad_now() -> None:
    world = trying(agreement_min=0.9, on_breach="abort")
    first, second = world.having("trying")
    world.devices[first].compare(pairs=900, agreed=900)
    world.devices[second].compare(pairs=0, agreed=0)
    world.look(1)
    world.online(first, False)
    world.devices[second].compare(pairs=50, agreed=10)
    world.look(1)
    assert world.rollout.state is State.ABORTED
    assert "agrees in 0.200 of 50 requests" in world.rollout.reason


# --- no device's word alone -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lie", [{"pairs": 10**12, "agreed": 10**12}, {"pairs": 1000, "agreed": 10**12}])
def test_one_device_does_not_outvote_a_stage(lie: dict[str, int]) -> None:
    world = trying(count=20, agreement_min=0.98, on_breach="abort")
    liar, *others = world.having("trying")
    for name in others:
        world.devices[name].compare(pairs=1000, agreed=0)
    _say(world, liar, **lie)
    world.look(1)
    assert world.rollout.state is State.ABORTED
    assert "agrees in 0.100 of 10000 requests" in world.rollout.reason


def test_a_device_weighs_a_stated_number_of_requests_and_its_shares_stay_as_they_were() -> None:
    serving, candidate = Sketch(), Sketch()
    for place in range(20_000):
        serving.add(1000 + place)
        candidate.add(2000 + 3 * place)
    seen = Compared(18_000, 9_000, 2_000, 4_000, candidate.counts, serving.counts)
    weighed = trials.together([seen], Gate())
    assert (weighed.pairs, weighed.agreed, weighed.errors, weighed.shed) == (900, 450, 100, 200)
    assert sum(weighed.candidate_us.values()) == sum(weighed.serving_us.values()) == trials.MOST_REQUESTS
    assert (weighed.candidate_p95_us, weighed.serving_p95_us) == (seen.candidate_p95_us, seen.serving_p95_us)
    assert trials.together([seen], Gate(min_pairs=5000)).requests == 5000
    small = Compared(7, 6, 1, 2, {3: 7}, {4: 9})
    assert trials.together([small], Gate()) == small
    assert trials.together([replace(seen, agreed=30_000)], Gate()).agreed == 900


# --- trials go on while a rollout is paused ---------------------------------------------------------------------------


def test_an_ab_test_that_waits_for_a_person_is_watched() -> None:
    world = trying(mode="ab", on_breach="abort")
    compare_all(world)
    world.look(30)
    assert world.rollout.state is State.PAUSED
    compare_all(world, pairs=10, errors=1000)
    assert world.rollout.state is State.ABORTED
    assert {(one.desired, one.trial) for one in world.devices.values()} == {(OLD, None)}


def test_a_breach_while_paused_is_told_once_and_the_pause_began_when_it_did() -> None:
    world = trying(mode="ab")
    compare_all(world)
    world.look(30)
    since = world.rollout.since
    told = []
    for errors in (1000, 2000):
        for name in world.having("comparing"):
            world.devices[name].compare(pairs=10, errors=errors)
        told += world.look(60)
    assert [effect.kind for effect in told if isinstance(effect, Announce)] == ["pause"]
    assert (world.rollout.state, world.rollout.since) == (State.PAUSED, since)
    assert "the candidate failed at 1980 of 2000 requests" in world.rollout.reason


def test_a_candidate_that_breaks_while_an_operator_has_paused_is_taken_back() -> None:
    world = trying(on_breach="revert")
    compare_all(world)
    world.order("pause")
    compare_all(world, errors=50)
    assert world.rollout.state is State.REVERTING


# --- who has failed is on trial no more -------------------------------------------------------------------------------


def test_a_device_that_gets_to_its_trial_too_late_is_told_to_end_it() -> None:
    world = trying(count=8, min_success=0.5)
    late, *others = world.having("trying")
    for name in others:
        world.devices[name].compare()
    world.look(1)
    assert world.devices[late].trial == NEW
    world.look(100)
    assert world.having("failed") == [late]
    assert (world.devices[late].desired, world.devices[late].trial) == (OLD, None)
