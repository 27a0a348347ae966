"""Every state that the update machine can be in, found by walking the machine itself with two releases.

A new phase, event or effect shows up here without anybody listing it: the alphabet is checked against the events that
there are, and what was found against the phases.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import get_args

from fleet_agent.update import effects as do
from fleet_agent.update import events as on
from fleet_agent.update.machine import REPAIRS, RESTARTS, step
from fleet_agent.update.state import Copy, Phase, State

RELEASES = (bytes([1]) * 32, bytes([2]) * 32)
COUNTERS = {RELEASES[0]: 1, RELEASES[1]: 2}
LEVELS = 15
"""So many steps from a model that is not there, most kinds have been seen; the soak walks to the end (35 or so)."""


@dataclass(frozen=True)
class Kind:
    """What is alike about two steps that are killed alike: where they start, what happens, where they lead, by what."""

    before: tuple[object, ...]
    event: str
    after: tuple[object, ...]
    effects: tuple[str, ...]


@dataclass(frozen=True)
class Sight:
    """A step of one kind, the first of it that the walk came to."""

    kind: Kind
    state: State | None
    event: on.Event


def alphabet(state: State | None) -> Iterator[on.Event]:
    """What may happen to a model in ``state``: news that counts, from directives, disk, workers and the lease."""
    for release in RELEASES:
        for floor in (0, COUNTERS[release]):
            yield on.Desired(release, floor)
        yield on.Trial(release, 0, "shadow", 1000)
    if state is None:
        return
    yield from (on.Booted(), on.Undesired(), on.NoTrial(), on.LeaseEnded(), on.LeaseRenewed())
    candidate, run = state.candidate, state.run
    if candidate is not None:
        yield on.Planned(candidate, "1.0.0", "onnx", COUNTERS[candidate])
        yield from (on.PlanRefused(candidate, code, "no") for code in ("signature", "grant-open"))
        yield on.Downloaded(candidate)
        yield on.DownloadRefused(candidate, "disk-full", "no")
    for kind in (on.Staged, on.Loaded, on.TestStarted, on.TestPassed, on.TrialStable, on.ProbationPassed):
        yield kind(run)
    yield on.NoRoom(run, "no room")
    yield from (on.TrialFailed(run, "load", "no", damaged) for damaged in (False, True))
    yield on.ProbationFailed(run, "latency", "slow")
    if state.active is not None:
        yield on.ActiveDamaged(state.active, "bit rot")
    if state.code == "grant-open":
        for release in RELEASES:
            yield on.Desired(release, 0, new_grant=True)
            yield on.Trial(release, 0, "shadow", 1000, new_grant=True)


def restarted_on_trial() -> Sight:
    """A step deeper than LEVELS: the restart is no longer held against the candidate on trial."""
    a, b = (
        Copy(release=release, version="1.0.0", variant="onnx", counter=COUNTERS[release], complete=True, tested=True)
        for release in RELEASES
    )
    state = State(
        phase=Phase.TRIAL, a=replace(a, committed=True), b=b, active="a", trial="b", desired=a.release,
        candidate=b.release, beside=b.release, run=2, restarts=RESTARTS,
    )  # fmt: skip
    event = on.TrialStable(state.run)
    after, _ = step(state, event)
    return Sight(Kind(_shape(state), "TrialStable", _shape(after), ()), state, event)


def plain(state: State | None) -> State | None:
    """The state without what makes any two of them differ, and counters either at rest or at their end."""
    if state is None:
        return None
    restarts, repairs = (end if n else 0 for n, end in ((state.restarts, RESTARTS), (state.repairs, REPAIRS)))
    return replace(state, run=0, text="", mode="shadow", share=1000, restarts=restarts, repairs=repairs)


def _shape(state: State | None) -> tuple[object, ...]:
    if state is None:
        return ()
    return state.phase, state.active is not None, state.on_trial, state.halted, state.stopped_first


def states(*, everything: bool = False) -> Iterator[tuple[State | None, list[Sight]]]:
    """Walk breadth first from a model that is not there; each state, once, with the steps of new kinds out of it.

    It ends after LEVELS steps, or, with ``everything``, when there is no other state.
    """
    seen: set[State | None] = {None}
    kinds: set[Kind] = set()
    level: list[State | None] = [None]
    levels = 0
    while level and (everything or levels < LEVELS):
        levels += 1
        further = []
        for state in level:
            sights = []
            for event in alphabet(state):
                after, effects = step(state, event)
                kind = Kind(
                    _shape(state), type(event).__name__, _shape(after), tuple(type(one).__name__ for one in effects)
                )
                if kind not in kinds:
                    kinds.add(kind)
                    sights.append(Sight(kind, state, event))
                if (bare := plain(after)) not in seen:
                    seen.add(bare)
                    further.append(bare)
            yield state, sights
        level = further


def names(union: object) -> set[str]:
    """Names of a union's classes: of all events that there are, or all effects."""
    return {one.__name__ for one in get_args(union)}


EVENTS, EFFECTS = names(on.Event), names(do.Effect)
