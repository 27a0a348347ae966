"""The whole supervisor, killed or without power at each write of each scenario, and brought back.

After each: what was known to be good serves before there is any network, every step of the scenario ends where it ends
without a kill, and the server's view is the device's: the same phases, the same releases, every event once.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from fleet_agent.journal import Write
from fleet_agent.supervisor.updates import Updates
from fleet_agent.update import effects as do_effects
from fleet_agent.update import events as on
from fleet_agent.update.state import Phase
from tests.agent.kill import walk
from tests.agent.kill.device import Director, Life
from tests.agent.kill.disk import Disk, Image
from tests.agent.kill.scenarios import ALL, Scenario, Step

SOAK = "DUNLIN_SOAK" in os.environ
OFTEN = 1 if SOAK else 4
"""Every image in the soak; every fourth else."""
_SERVES_S = 30.0


@pytest.fixture(name="folder")
def _folder() -> Iterator[Path]:
    """In memory: what a disk would do is acted."""
    folder = Path("/dev/shm") / f"dunlin-kill-{os.getpid()}"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def go(life: Life, steps: list[Step], first: int) -> None:
    """From within step ``first`` to the end."""
    for number in range(first, len(steps)):
        step = steps[number]
        if number > first:
            life.director.step = number
            step.say()
        assert life.loop.until(lambda step=step: not step.astray(life), step.seconds), (  # type: ignore[misc]
            f"step {number}: {step.astray(life)}"
        )


def ends(life: Life) -> dict[str, tuple[object, ...]]:
    return {
        name: (state.phase, (copy := state.copy(state.active)) and copy.release, state.failed, state.code)
        for name, state in life.states.items()
    }


def on_probation(life: Life) -> set[str]:
    return {name for name, state in life.states.items() if state.phase == Phase.PROBATION}


def good(life: Life) -> dict[str, bytes]:
    """What has to serve at once: what is known to be good, unless it is to go, or its lease has ended."""
    journal, directive = life.agent._journal, life.agent._directives.directive
    if directive is None or journal.fact("wipe") is not None or life.director.behaviour.rotten:
        return {}
    return {
        name: copy.release
        for name, state in life.states.items()
        if name in directive.desired and not state.halted and (copy := state.copy(state.active)) is not None
    }


def revived(director: Director, image: Image, folder: Path, steps: list[Step]) -> tuple[Life, set[str]]:
    """Bring the device back on the disk that was found, first without a network; returns its life at its end."""
    image.restore(folder)
    director.back_to(image.moment)
    life = Life(director, folder)
    probation, wanted = on_probation(life), good(life)

    def serves() -> bool:
        return life.serving.first.keys() >= wanted.keys()

    assert life.loop.until(serves, _SERVES_S), f"nothing serves, {life.states}"
    assert wanted.items() <= life.serving.first.items(), "something else served before what is known to be good"
    life.link.plug()
    go(life, steps, director.step)
    return life, probation


def check_leftovers(life: Life, folder: Path) -> None:
    """No file of a model that is gone, and no key."""
    names = set(life.states)
    models = {entry.name for entry in (folder / "models").iterdir()} if (folder / "models").is_dir() else set()
    keys = {path.stem for path in (folder / "keystore").glob("*.storage")}
    assert models <= names
    assert keys <= names


@contextmanager
def staged(folder: Path, scenario: Scenario) -> Iterator[tuple[Director, list[Step], int]]:
    """A device that is off, for which the stage is set; the number of the first step to be killed in."""
    (folder / "owner").mkdir()
    director = Director(folder / "owner")
    director.state = folder / "first"
    director.enrol()
    steps = list(scenario(director))
    first = sum(step.setting for step in steps)
    with mock.patch.object(os, "statvfs", director.room):
        life = Life(director, director.state)
        life.link.plug()
        steps[0].say()
        go(life, steps[:first], 0)
        life.close()
        director.step = first
        steps[first].say()
        yield director, steps, first


def live(director: Director, steps: list[Step], first: int) -> dict[str, tuple[object, ...]]:
    """Start the device and go through the scenario, unharmed; how it ends."""
    life = Life(director, director.state)
    with closing(life):
        life.link.plug()
        go(life, steps, first)
        return ends(life)


@pytest.mark.parametrize("scenario", ALL, ids=lambda scenario: scenario.__name__)
def test_killed_at_each_write(folder: Path, scenario: Scenario, record_property: Any) -> None:
    with staged(folder, scenario) as (director, steps, first):
        disk = Disk(director.state, director.moment)
        with disk.watched():
            plain = live(director, steps, first)
        chosen = disk.images[::OFTEN]
        for number, image in enumerate(chosen):
            place = folder / str(number)
            try:
                life, probation = revived(director, image, place, steps)
                with closing(life):
                    same_end(plain, ends(life), probation)
                    check_leftovers(life, place)
            except AssertionError as error:
                raise AssertionError(f"{image.what}: {error}") from error
            shutil.rmtree(place)
        record_property("killed: disks found after a kill or a power cut in a scenario", len(chosen))


def test_the_scenarios_come_through_every_phase_event_effect_and_kind_of_write(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever adds one finds out here that no scenario is killed in it."""
    phases: set[str] = set()
    events: set[str] = set()
    effects: set[str] = set()
    writes: set[str] = set()
    feed, do = Updates.feed, Updates._do

    def fed(self: Updates, model: str, event: on.Event) -> None:
        events.add(type(event).__name__)
        feed(self, model, event)
        phases.update(state.phase for state in self.states.values())

    def done(self: Updates, model: str, effect: do_effects.Effect) -> None:
        effects.add(type(effect).__name__)
        do(self, model, effect)
        phases.update(state.phase for state in self.states.values())

    monkeypatch.setattr(Updates, "feed", fed)
    monkeypatch.setattr(Updates, "_do", done)
    kinds = {name for name in vars(Write) if not name.startswith("_")}
    for name in kinds:
        monkeypatch.setattr(Write, name, noted(writes, name))
    for number, scenario in enumerate(ALL):
        place = folder / f"unharmed-{number}"
        place.mkdir()
        with staged(place, scenario) as (director, steps, first):
            live(director, steps, first)
    missed = set(Phase) - phases, walk.EVENTS - events, walk.EFFECTS - effects, kinds - writes
    assert missed == (set(), set(), set(), set())


def noted(seen: set[str], name: str) -> Any:
    """A method of the journal's, told of when it is called."""
    real = getattr(Write, name)

    def call(self: Write, *rest: Any) -> None:
        seen.add(name)
        real(self, *rest)

    return call


def same_end(plain: Mapping[str, Any], now: Mapping[str, Any], probation: set[str]) -> None:
    """Where the scenario ends; but a release on probation when the power went may be why it went.

    Then the one before stays, or is desired again by then.
    """
    for name in probation & now.keys():
        phase, _, _, code = now[name]
        if (phase, code) in {(Phase.ROLLED_BACK, "restarted"), (Phase.COMMITTED, "")}:
            plain = {**plain, name: now[name]}
    assert now == plain
