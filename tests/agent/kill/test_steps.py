"""Every kind of step of the update machine, killed before its journal write, after it, and after each of its effects.

The steps are found by walking the machine (see ``walk``); nobody picked them. Each goes through the real journal and
the real executor of effects. After the kill the agent starts again with the directive that is in force: what was known
to be good serves first, nothing is done on the strength of what was not written, and the model ends where the directive
wants it, or where the journal says why not.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from fleet_agent.update.machine import step
from fleet_agent.update.state import UNDERWAY, Phase, State
from tests.agent.kill import walk
from tests.agent.kill.simulated import KilledError
from tests.agent.kill.walk import Sight
from tests.agent.kill.world import MODEL, Bench, Disk, Knife, Life, directive

SOAK = "DUNLIN_SOAK" in os.environ
SHARDS = 4


def sights(*, everything: bool = SOAK) -> list[Sight]:
    return [*(sight for _, found in walk.states(everything=everything) for sight in found), walk.restarted_on_trial()]


def settled(state: State | None, desired: dict[str, Any], trials: dict[str, Any]) -> str:
    """Why a device that nothing happens to any more is not where the directive wants it; empty when it is."""
    if not desired:
        return "" if state is None else "the model is still there"
    if state is None:
        return "the model is not there"
    if state.halted:
        return ""
    active = state.copy(state.active)
    release = desired[MODEL].release
    if state.phase in UNDERWAY - {Phase.TRIAL}:
        return f"it stays {state.phase}"
    if (active is None or active.release != release) and state.failed != release:
        return "the desired release neither serves nor failed"
    if MODEL not in trials or active is None or active.release != release:
        return ""
    beside = trials[MODEL].candidate.release
    tried = state.phase == Phase.TRIAL and state.candidate == beside
    return "" if tried or state.failed == beside else "the release to try is neither on trial nor failed"


def killed(bench: Bench, sight: Sight, knife: Knife) -> None:
    """Let the step happen, killed where the knife says, and live on until nothing happens any more."""
    folder, disk = bench.fresh(sight.state), Disk.of(sight.state)
    desired, trials = directive(sight.state, sight.event, step(sight.state, sight.event)[0])
    life = Life(folder, disk, knife)
    life.amidst(sight.state, sight.event)
    disk.witness(sight.state, sight.event)
    life.updates._desired, life.updates._trials = desired, trials
    with suppress(KilledError):
        life.updates.feed(MODEL, sight.event)
    life.close()

    again = Life(folder, disk, Knife())
    known = again.state
    again.updates.boot(desired, trials)
    if known is not None and known.active is not None and not known.halted:
        assert again.asked_to_serve[:1] == [known.active], "what is known to be good did not come back first"
    again.updates.follow(desired, trials, renewed=frozenset())
    again.settle()
    assert settled(again.state, desired, trials) == "", f"{known} became {again.state}"
    assert again.serving == (again.state.serving if again.state is not None else None)
    numbers = [n for n, _ in again.journal.events(0, 1000)]
    assert numbers == list(range(1, len(numbers) + 1))
    again.close()
    shutil.rmtree(folder)


def test_the_walk_knows_every_event_and_comes_to_every_phase_and_effect() -> None:
    found = sights()
    assert {sight.kind.event for sight in found} == walk.EVENTS
    assert {effect for sight in found for effect in sight.kind.effects} == walk.EFFECTS
    assert set(Phase) == {sight.state.phase for sight in found if sight.state is not None}


@pytest.mark.parametrize("shard", range(SHARDS))
def test_each_kind_of_step_killed_at_each_write(
    tmp_path: Path, shard: int, record_property: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleet_agent.supervisor.updates.log", lambda _: None)
    bench, points = Bench(tmp_path), 0
    for sight in sights()[shard::SHARDS]:
        count = Knife()
        killed(bench, sight, count)
        for at in range(1, count.points + 1):
            knife = Knife(at)
            try:
                killed(bench, sight, knife)
            except AssertionError as error:
                raise AssertionError(f"killed at point {at} of {sight}: {error}") from error
            assert knife.cut, "the step did not come to this point again"
        points += count.points
    record_property("killed: kinds of steps, at each write and effect", points)
