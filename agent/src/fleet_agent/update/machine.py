"""The machine: one event, one new state, the effects that make it true.

Two promises hold for every sequence of events (tests/agent/test_update_machine.py):
requests go only to a release that is complete and passed its self-test here, and once a good release is there, it or a
tested candidate on probation serves, except while two versions do not fit into memory together (stop-then-start) and
after a lease has ended.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from dunlin_contract.rules import Rule
from fleet_agent.update import effects as do
from fleet_agent.update import events as on
from fleet_agent.update.state import RUNNING, UNDERWAY, Copy, Phase, State

REPAIRS = 2
"""How often damaged bytes of one candidate are fetched again before it is refused."""
RESTARTS = 3
"""How often a first release, with nothing to fall back on, is tried again after a restart during its trial."""

RETRIED_AT_BOOT = frozenset({"disk-full", "memory", "no-variant"})
"""Refusals that were the device's state, not the release's fault: worth another try after a restart."""

Step = tuple[State | None, tuple[do.Effect, ...]]


def step(state: State | None, event: on.Event) -> Step:
    """The new state (None: the model is gone from the device) and what is to be done about it."""
    if state is None:
        if not isinstance(event, on.Desired):
            return None, ()
        state = State()
    return _HANDLERS[type(event)](state, event)


def _note(kind: str, release: bytes | None, code: str = "", text: str = "") -> do.Note:
    return do.Note(kind, release, code, text)


def _with_copy(state: State, slot: str, copy: Copy | None) -> State:
    return replace(state, a=copy) if slot == "a" else replace(state, b=copy)


def _booted(state: State, _: on.Booted) -> Step:
    state, effects = _after_restart(replace(state, stopped_first=False))
    if state.active is not None and not state.halted:
        # What is known to be good comes back first.
        effects = (do.Serve(state.active), *(effect for effect in effects if effect != do.Serve(state.active)))
    return state, effects


def _after_restart(state: State) -> tuple[State, tuple[do.Effect, ...]]:
    if state.phase == Phase.PROBATION:
        return _interrupted_probation(state)
    if state.phase in RUNNING or state.phase == Phase.VERIFIED:
        return _stage(state)
    if state.phase in UNDERWAY and state.candidate is not None:
        # The grant is in the directive, the manifest may be in the slot; chunks with a receipt are not fetched again.
        return replace(state, phase=Phase.PLANNED, trial=None), (do.Plan(state.candidate),)
    if state.phase == Phase.REFUSED and state.code in RETRIED_AT_BOOT and state.desired is not None:
        return _begin(replace(state, failed=None), state.desired)
    return state, ()


def _interrupted_probation(state: State) -> tuple[State, tuple[do.Effect, ...]]:
    """A release that was on trial when the device stopped may be why it stopped: back to the known-good one."""
    if state.active is None and state.restarts < RESTARTS:
        return _stage(replace(state, restarts=state.restarts + 1))
    return _give_up(state, Phase.ROLLED_BACK, "restarted", "the device restarted during the probation")


def _stage(state: State) -> tuple[State, tuple[do.Effect, ...]]:
    slot = state.trial
    assert slot is not None
    state = replace(state, phase=Phase.VERIFIED, run=state.run + 1)
    return state, () if state.halted else (do.Stage(slot, state.run),)


def _begin(state: State, release: bytes) -> tuple[State, tuple[do.Effect, ...]]:
    """Start towards ``release``: from the other slot if it is all there, else from its manifest."""
    state = replace(state, candidate=release, repairs=0, restarts=0, code="", text="")
    spare = state.copy(state.spare)
    if spare is not None and spare.release == release and spare.complete:
        if spare.counter < state.floor:
            return _refuse(state, "floor", f"security counter {spare.counter} is below the floor {state.floor}")
        return _stage(replace(state, trial=state.spare))
    return replace(state, phase=Phase.PLANNED, trial=None), (do.Plan(release),)


def _refuse(state: State, code: str, text: str) -> tuple[State, tuple[do.Effect, ...]]:
    return _give_up(state, Phase.REFUSED, code, text)


def _give_up(state: State, phase: Phase, code: str, text: str) -> tuple[State, tuple[do.Effect, ...]]:
    """End the candidate and remember it as failed."""
    effects = (*_end_trial(state), _note(f"update-{phase}", state.candidate, code, text))
    state = replace(state, phase=phase, failed=state.candidate, code=code, text=text, trial=None, stopped_first=False)
    return state, effects


def _end_trial(state: State) -> tuple[do.Effect, ...]:
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


def _desired(state: State, event: on.Desired) -> Step:
    # A wipe rotates the KEM key, after which the old grant opens nothing and the server sends another.
    granted = event.new_grant and state.code == Rule.GRANT_OPEN
    changed = event.release != state.desired or granted
    floor = event.floor if event.new_epoch else max(state.floor, event.floor)
    state = replace(state, desired=event.release, floor=floor)
    if changed:
        state = replace(state, failed=None)
    if state.failed == event.release or (state.candidate == event.release and state.phase in UNDERWAY):
        return state, ()
    ended = _end_trial(state)
    state = replace(state, trial=None, stopped_first=False)
    active = state.copy(state.active)
    if active is not None and active.release == event.release:
        kept = _note("update-committed", event.release, "kept", "the release that serves was desired again")
        settled = replace(state, phase=Phase.COMMITTED, candidate=None, code="", text="")
        return settled, (*ended, kept) if ended else ()
    state, begun = _begin(replace(state, phase=Phase.PLANNED), event.release)
    return state, (*ended, *begun)


def _undesired(state: State, _: on.Undesired) -> Step:
    active = state.copy(state.active)
    gone = _note("model-removed", active.release if active else state.candidate)
    return None, (do.CancelFetch(), do.Unserve(), do.Retire("a"), do.Retire("b"), do.Remove(), gone)


def _planned(state: State, event: on.Planned) -> Step:
    if state.phase != Phase.PLANNED or event.release != state.candidate:
        return state, ()
    if event.counter < state.floor:
        return _refuse(state, "floor", f"security counter {event.counter} is below the floor {state.floor}")
    slot = state.spare
    old = state.copy(slot)
    copy = Copy(release=event.release, version=event.version, variant=event.variant, counter=event.counter)
    state = replace(_with_copy(state, slot, copy), phase=Phase.DOWNLOADING, trial=slot)
    recheck = state.repairs > 0 and old is not None and old.release == event.release
    planned = _note("update-planned", event.release, event.variant, f"version {event.version}")
    return state, (planned, do.Retire(slot), do.Download(slot, event.release, recheck))


def _plan_refused(state: State, event: on.PlanRefused) -> Step:
    if state.phase != Phase.PLANNED or event.release != state.candidate:
        return state, ()
    return _refuse(state, event.code, event.text)


def _downloaded(state: State, event: on.Downloaded) -> Step:
    copy = state.copy(state.trial)
    if state.phase != Phase.DOWNLOADING or event.release != state.candidate or copy is None or state.trial is None:
        return state, ()
    return _stage(_with_copy(state, state.trial, replace(copy, complete=True)))


def _download_refused(state: State, event: on.DownloadRefused) -> Step:
    slot = state.trial
    if state.phase != Phase.DOWNLOADING or event.release != state.candidate or slot is None:
        return state, ()
    state, effects = _refuse(_with_copy(state, slot, None), event.code, event.text)
    return state, (*effects, do.Discard(slot))


def _staged(state: State, event: on.Staged) -> Step:
    # While the lease is over nothing was asked to be staged, so nothing can have been.
    if state.phase != Phase.VERIFIED or state.halted or event.run != state.run or state.trial is None:
        return state, ()
    return replace(state, phase=Phase.STAGED), (do.Load(state.trial, state.run),)


def _no_room(state: State, event: on.NoRoom) -> Step:
    if state.phase != Phase.STAGED or event.run != state.run or state.trial is None:
        return state, ()
    if state.active is None or state.stopped_first:
        return _refuse(state, "memory", event.text)
    effects = (
        _note("note", state.candidate, "stop-then-start", event.text),
        do.Unserve(),
        do.Retire(state.active),
        do.Load(state.trial, state.run),
    )
    return replace(state, stopped_first=True), effects


def _loaded(state: State, event: on.Loaded) -> Step:
    if state.phase != Phase.STAGED or event.run != state.run or state.trial is None:
        return state, ()
    return replace(state, phase=Phase.LOADED), (do.Test(state.trial, state.run),)


def _test_started(state: State, event: on.TestStarted) -> Step:
    if state.phase != Phase.LOADED or event.run != state.run:
        return state, ()
    return replace(state, phase=Phase.TESTING), ()


def _test_passed(state: State, event: on.TestPassed) -> Step:
    slot = state.trial
    copy = state.copy(slot)
    if state.phase != Phase.TESTING or event.run != state.run or slot is None or copy is None:
        return state, ()
    state = _with_copy(state, slot, replace(copy, tested=True))
    if copy.committed:
        # It came through a probation here before: going back to it is one local switch.
        state, effects = _commit(state)
        return state, (do.Serve(slot), *effects)
    note = _note("update-probation", state.candidate)
    return replace(state, phase=Phase.PROBATION), (do.Serve(slot), do.Watch(slot, state.run), note)


def _commit(state: State) -> tuple[State, tuple[do.Effect, ...]]:
    slot, old, copy = state.trial, state.active, state.copy(state.trial)
    assert slot is not None
    assert copy is not None
    state = _with_copy(state, slot, replace(copy, committed=True))
    state = replace(
        state, phase=Phase.COMMITTED, active=slot, trial=None, candidate=None, code="", text="", stopped_first=False
    )
    retired: tuple[do.Effect, ...] = (do.Retire(old),) if old else ()
    return state, (*retired, _note("update-committed", copy.release))


def _trial_failed(state: State, event: on.TrialFailed) -> Step:
    slot, candidate = state.trial, state.candidate
    copy = state.copy(slot)
    underway = state.phase in RUNNING or state.phase == Phase.VERIFIED
    if not underway or event.run != state.run or slot is None or copy is None or candidate is None:
        return state, ()
    if state.phase == Phase.PROBATION:
        return _give_up(state, Phase.ROLLED_BACK, event.code, event.text)
    if not event.damaged:
        return _refuse(state, event.code, event.text)
    if state.repairs >= REPAIRS:
        state, effects = _refuse(_with_copy(state, slot, None), event.code, event.text)
        return state, (*effects, do.Discard(slot))
    note = _note("object-corrupt", candidate, event.code, event.text)
    state = _with_copy(state, slot, replace(copy, complete=False, tested=False, committed=False))
    state = replace(state, phase=Phase.PLANNED, trial=None, repairs=state.repairs + 1)
    return state, (note, do.Retire(slot), do.Plan(candidate))


def _probation_passed(state: State, event: on.ProbationPassed) -> Step:
    if state.phase != Phase.PROBATION or event.run != state.run:
        return state, ()
    return _commit(state)


def _probation_failed(state: State, event: on.ProbationFailed) -> Step:
    if state.phase != Phase.PROBATION or event.run != state.run:
        return state, ()
    return _give_up(state, Phase.ROLLED_BACK, event.code, event.text)


def _active_damaged(state: State, event: on.ActiveDamaged) -> Step:
    """Serve the other good copy if there is one, and fetch what is damaged again."""
    copy = state.copy(event.slot)
    if event.slot != state.active or copy is None or state.phase in UNDERWAY:
        # A candidate underway is about to replace it; if it fails, the damage will be found again.
        return state, ()
    note = _note("object-corrupt", copy.release, "damaged", event.text)
    state = _with_copy(state, event.slot, replace(copy, complete=False, tested=False, committed=False))
    other = state.copy(state.spare)
    fallback = state.spare if other and other.complete and other.committed and other.counter >= state.floor else None
    effects: tuple[do.Effect, ...] = (note, do.Retire(event.slot))
    if fallback is not None:
        effects = (note, *(() if state.halted else (do.Serve(fallback),)), do.Retire(event.slot))
    state = replace(state, active=fallback)
    wanted = state.desired
    if wanted is None or wanted == state.failed or (other is not None and fallback and other.release == wanted):
        return replace(state, phase=Phase.COMMITTED if fallback else Phase.IDLE, candidate=None), effects
    state = replace(state, phase=Phase.PLANNED, candidate=wanted, trial=None, repairs=1)
    return state, (*effects, do.Plan(wanted))


def _lease_ended(state: State, _: on.LeaseEnded) -> Step:
    if state.halted:
        return state, ()
    phase = Phase.VERIFIED if state.phase in RUNNING else state.phase
    active = state.copy(state.active)
    note = _note("lease-expired", active.release if active else None, "stopped", "no directive came in time")
    state = replace(state, halted=True, phase=phase, stopped_first=False, run=state.run + 1)
    return state, (do.Unserve(), do.Retire("a"), do.Retire("b"), note)


def _lease_renewed(state: State, _: on.LeaseRenewed) -> Step:
    if not state.halted:
        return state, ()
    state = replace(state, halted=False)
    serve: tuple[do.Effect, ...] = (do.Serve(state.active),) if state.active else ()
    if state.phase == Phase.VERIFIED:
        state, staged = _stage(state)
        serve = (*serve, *staged)
    return state, serve


# Each handler takes the one event type that stands beside it, which a type checker cannot see through a table.
_HANDLERS: dict[type, Callable[[State, Any], Step]] = {
    on.Booted: _booted,
    on.Desired: _desired,
    on.Undesired: _undesired,
    on.Planned: _planned,
    on.PlanRefused: _plan_refused,
    on.Downloaded: _downloaded,
    on.DownloadRefused: _download_refused,
    on.Staged: _staged,
    on.Loaded: _loaded,
    on.TestStarted: _test_started,
    on.TestPassed: _test_passed,
    on.NoRoom: _no_room,
    on.TrialFailed: _trial_failed,
    on.ProbationPassed: _probation_passed,
    on.ProbationFailed: _probation_failed,
    on.ActiveDamaged: _active_damaged,
    on.LeaseEnded: _lease_ended,
    on.LeaseRenewed: _lease_renewed,
}
