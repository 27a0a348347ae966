"""What several events lead to: beginning with a candidate, ending it, committing it."""

from dataclasses import replace

from fleet_agent.update import effects as do
from fleet_agent.update.state import RUNNING, UNDERWAY, Copy, Phase, State

Move = tuple[State, tuple[do.Effect, ...]]


def note(kind: str, release: bytes | None, code: str = "", text: str = "") -> do.Note:
    """An event for the server."""
    return do.Note(kind, release, code, text)


def with_copy(state: State, slot: str, copy: Copy | None) -> State:
    """The state with another copy in ``slot``."""
    return replace(state, a=copy) if slot == "a" else replace(state, b=copy)


def stage(state: State) -> Move:
    """Bring the candidate up out of its slot, which is complete; later, while the lease is over."""
    slot = state.trial
    assert slot is not None
    state = replace(state, phase=Phase.VERIFIED, run=state.run + 1)
    return state, () if state.halted else (do.Stage(slot, state.run),)


def begin(state: State, release: bytes) -> Move:
    """Start towards ``release``: from the other slot if it is all there, else from its manifest."""
    state = replace(state, candidate=release, repairs=0, restarts=0, code="", text="")
    spare = state.copy(state.spare)
    if spare is not None and spare.release == release and spare.complete:
        if spare.counter < state.floor:
            return refuse(state, "floor", f"security counter {spare.counter} is below the floor {state.floor}")
        return stage(replace(state, trial=state.spare))
    return replace(state, phase=Phase.PLANNED, trial=None), (do.Plan(release),)


def begin_trial(state: State) -> Move:
    """Start towards the release wanted beside the desired one, once that serves and nothing else is underway."""
    active = state.copy(state.active)
    if state.beside in (None, state.failed) or state.phase in UNDERWAY:
        return state, ()
    if active is None or active.release != state.desired:
        return state, ()
    assert state.beside is not None
    return begin(state, state.beside)


def refuse(state: State, code: str, text: str) -> Move:
    """End a candidate that never served."""
    return give_up(state, Phase.REFUSED, code, text)


def give_up(state: State, phase: Phase, code: str, text: str) -> Move:
    """End the candidate and remember it as failed."""
    effects = (*end_candidate(state), note(f"update-{phase}", state.candidate, code, text))
    state = replace(state, phase=phase, failed=state.candidate, code=code, text=text, trial=None, stopped_first=False)
    return state, effects


def settle(state: State) -> State:
    """The active release is what is wanted, and no candidate is underway."""
    return replace(state, phase=Phase.COMMITTED, candidate=None, trial=None, code="", text="", stopped_first=False)


def end_candidate(state: State) -> tuple[do.Effect, ...]:
    """Effects that take the candidate away, the known-good release serving before, or, short of memory, right after."""
    if state.phase in {Phase.PLANNED, Phase.DOWNLOADING}:
        return (do.CancelFetch(),)
    if state.phase not in RUNNING | {Phase.VERIFIED} or state.trial is None:
        return ()
    back: tuple[do.Effect, ...] = (do.Serve(state.active),) if state.active and not state.halted else ()
    if state.stopped_first:
        return (do.Retire(state.trial), *back)
    if state.phase == Phase.PROBATION:
        return (*(back or (do.Unserve(),)), do.Retire(state.trial))
    return (do.Retire(state.trial),)


def serve_candidate(state: State) -> Move:
    """Let the tested candidate serve: on probation, unless it came through one here before."""
    slot, copy = state.trial, state.copy(state.trial)
    assert slot is not None
    assert copy is not None
    if copy.committed:
        state, effects = commit(state)
        return state, (do.Serve(slot), *effects)
    begun = note("update-probation", state.candidate)
    return replace(state, phase=Phase.PROBATION), (do.Serve(slot), do.Watch(slot, state.run), begun)


def commit(state: State) -> Move:
    """The candidate, which serves, is the known-good release from now on; a trial that waited for it begins."""
    slot, old, copy = state.trial, state.active, state.copy(state.trial)
    assert slot is not None
    assert copy is not None
    state = settle(replace(with_copy(state, slot, replace(copy, committed=True)), active=slot))
    retired: tuple[do.Effect, ...] = (do.Retire(old),) if old else ()
    state, begun = begin_trial(state)
    return state, (*retired, note("update-committed", copy.release), *begun)
