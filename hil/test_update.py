"""A release replaces another: whole, resumed, and back again."""

import pytest

from demo.board import Simulated
from hil.fleet import V1, V2, Rig, World, same
from hil.lies import Stop
from hil.releases import build_with_wrong_answers, digits

TRIAL = ["downloading", "verified", "staged", "loaded", "testing", "probation", "committed"]
"""Phases of an update that a status line may show, in order. Some are over before one can be printed."""


@pytest.mark.smoke
def test_update(serving: Rig, world: World) -> None:
    serving.update(V2)
    believed = serving.believed()
    assert (believed["variant"], believed["error_code"]) == ("tflm-int8", "")
    assert believed["previous"] == world.digests[V1]
    committed = [one["release"] for one in serving.events("update-committed")]
    assert committed == [world.digests[V1], world.digests[V2]]
    serving.nothing_lost()
    if isinstance(serving.board, Simulated):
        seen = serving.board.seen
        after = [phase for phase in seen.phases() if phase in TRIAL]
        first = after.index("committed") + 1
        assert after[first:] == sorted(after[first:], key=TRIAL.index)
        assert after[-1] == "committed"
        tested = [test for test in seen.self_tests if same(test["release"], world.digests[V2])]
        assert [test["ok"] for test in tested] == [True]
        serving.goes_on(world.digests[V2])


def test_back_to_the_release_before_needs_no_download(serving: Rig, world: World) -> None:
    """It is in the other slot."""
    serving.update(V2)
    with world.bundle(V1) as bundle:
        leaves = set(bundle.leaves)
    before = len(serving.line.heard.gets)
    serving.update(V1)
    assert [name.hex() for name, _ in serving.line.heard.gets[before:] if name in leaves] == []


def test_resume_after_a_reset(simulated: Rig, world: World) -> None:
    """Power fails in the middle of a download: what was kept is not asked for again."""
    board = simulated.simulated
    with world.bundle(V2) as bundle:
        leaves = set(bundle.leaves)
    stop = Stop(leaves, pieces=70)
    simulated.line.down = stop
    rollout = simulated.roll_out(world.digests[V2])
    assert stop.reached.wait(60 * board.patience)
    have = board.wait("some chunks", lambda seen: seen.status.have, 30)
    assert have >= 3
    board.stop()
    begun = {name for name, _ in simulated.line.heard.gets if name in leaves}
    asked = len(simulated.line.heard.gets)
    simulated.line.tell_the_truth()
    board.start()
    test = board.wait("the self-test after the reset", lambda seen: seen.self_tests[:1])[0]
    assert test["ok"]
    assert same(test["release"], world.digests[V1])
    simulated.settles(world.digests[V2])
    world.fleet.wait_rollout(rollout, "completed")
    again = {name for name, _ in simulated.line.heard.gets[asked:]}
    assert len(begun & again) <= len(begun) - have
    simulated.nothing_lost()


def test_resets_while_it_only_serves(serving: Rig, world: World) -> None:
    if not serving.board.has_power_switch:
        pytest.skip(f"{serving.board.name} cannot be switched off from here")
    serving.board.stop()
    serving.board.start()
    serving.settles(world.digests[V1])
    serving.update(V2)
    serving.nothing_lost()


def test_a_wrong_model_never_serves(serving: Rig, world: World) -> None:
    """Its answers are not those that the packager recorded."""
    bad = world.release(digits("3.0.0", 2, world.hardware), build_with_wrong_answers)
    rollout = serving.roll_out(bad)
    event = serving.wait_event("update-refused", "self-test")
    assert event["release"] == bad
    serving.settles(world.digests[V1], "refused")
    assert serving.believed()["error_code"] == "self-test"
    serving.abort(rollout)
    if isinstance(serving.board, Simulated):
        assert all(not same(status.serving, bad) for status in serving.board.seen.statuses)
        serving.goes_on(world.digests[V1])
    serving.update(V2)
    serving.nothing_lost()


def test_a_release_that_keeps_restarting_the_board_is_rolled_back(simulated: Rig, world: World) -> None:
    """Power fails in the trial, three times: the release may be why."""
    board = simulated.simulated
    board.stop()
    board.words["predict"] = None  # a probation ends by inferences: this one does not
    board.start()
    simulated.roll_out(world.digests[V2])
    board.wait("the probation", lambda seen: seen.status.phase == "probation")
    for _ in range(3):
        board.stop()
        board.start()
        board.wait("the self-test after the reset", lambda seen: seen.self_tests)
        if board.wait("what it serves", lambda seen: seen.status.serving) != world.digests[V2]:
            break
    simulated.settles(world.digests[V1], "rolled-back")
    assert simulated.wait_event("update-rolled-back")["code"] == "restarted"
    simulated.nothing_lost()
