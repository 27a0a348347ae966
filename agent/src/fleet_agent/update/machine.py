"""The machine: one event, one new state, the effects that make it true.

A candidate goes one of two ways. One that is *desired* is to replace the active release, and serves on probation first.
One that is wanted *beside* it (a trial) is brought up alike, and then runs beside the active release until a directive
desires it, which is a switch without another download, or names it no more. The active release never pays for a trial.

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
from fleet_agent.update.moves import (
    Move,
    begin,
    begin_trial,
    commit,
    end_candidate,
    give_up,
    note,
    refuse,
    serve_candidate,
    settle,
    stage,
    with_copy,
)
from fleet_agent.update.state import RUNNING, UNDERWAY, Copy, Phase, State

REPAIRS = 2
"""How often damaged bytes of one candidate are fetched again before it is refused."""
RESTARTS = 3
"""How often a candidate that a restart interrupted is tried again: a first release on probation, or one on trial.

On trial only restarts that follow each other count: a device may be switched off every night of a long trial.
"""

RETRIED_AT_BOOT = frozenset({"disk-full", "memory", "no-variant", str(Rule.GRANT_OPEN)})
"""Refusals that were the device's state, not the release's fault: worth another try after a restart.

A grant: the power may have gone before a directive with another one was followed.
"""

Step = tuple[State | None, tuple[do.Effect, ...]]


def step(state: State | None, event: on.Event) -> Step:
    """The new state (None: the model is gone from the device) and what is to be done about it."""
    if state is None:
        if not isinstance(event, on.Desired):
            return None, ()
        state = State()
    return _HANDLERS[type(event)](state, event)


def _booted(state: State, _: on.Booted) -> Step:
    state, effects = _after_restart(replace(state, stopped_first=False))
    if state.active is not None and not state.halted:
        # What is known to be good comes back first.
        effects = (do.Serve(state.active), *(effect for effect in effects if effect != do.Serve(state.active)))
    return state, effects


def _after_restart(state: State) -> Move:
    if state.phase == Phase.PROBATION:
        return _interrupted_probation(state)
    if state.phase == Phase.TRIAL:
        return _interrupted_trial(state)
    if state.phase in RUNNING or state.phase == Phase.VERIFIED:
        return stage(state)
    if state.phase in UNDERWAY and state.candidate is not None:
        # The grant is in the directive, the manifest may be in the slot; chunks with a receipt are not fetched again.
        return replace(state, phase=Phase.PLANNED, trial=None), (do.Plan(state.candidate),)
    if state.phase == Phase.REFUSED and state.code in RETRIED_AT_BOOT and state.candidate is not None:
        # Refused is what was desired or wanted beside it, for anything else would have forgiven it.
        return begin(replace(state, failed=None), state.candidate)
    return state, ()


def _interrupted_probation(state: State) -> Move:
    """A release that was on trial when the device stopped may be why it stopped: back to the known-good one."""
    if state.active is None and state.restarts < RESTARTS:
        return stage(replace(state, restarts=state.restarts + 1))
    return give_up(state, Phase.ROLLED_BACK, "restarted", "the device restarted during the probation")


def _interrupted_trial(state: State) -> Move:
    """A candidate on trial may be why the device stopped, but power fails too: not refused for the first restarts."""
    if state.restarts < RESTARTS:
        return stage(replace(state, restarts=state.restarts + 1))
    return refuse(state, "restarted", f"the device restarted {RESTARTS + 1} times soon after the trial began")


def _desired(state: State, event: on.Desired) -> Step:
    # A wipe rotates the KEM key, after which the old grant opens nothing and the server sends another.
    granted = event.new_grant and state.code == Rule.GRANT_OPEN
    changed = event.release != state.desired or granted
    floor = event.floor if event.new_epoch else max(state.floor, event.floor)
    state = replace(state, desired=event.release, floor=floor)
    if changed:
        state = replace(state, failed=None)
    if state.beside == event.release:
        # Promoted: from here on it is a candidate like any that is desired, wherever its trial has got to.
        state = replace(state, beside=None)
    if state.failed == event.release:
        return state, ()
    if state.candidate == event.release and state.phase in UNDERWAY:
        return serve_candidate(state) if state.phase == Phase.TRIAL else (state, ())
    active = state.copy(state.active)
    serves = active is not None and active.release == event.release
    if serves and state.on_trial:
        return state, ()
    ended = end_candidate(state)
    state = replace(state, trial=None, stopped_first=False)
    if serves:
        return _settled(state, ended, "the release that serves was desired again")
    state, begun = begin(replace(state, phase=Phase.PLANNED), event.release)
    return state, (*ended, *begun)


def _settled(state: State, ended: tuple[do.Effect, ...], why: str) -> Step:
    """Stay with the active release, which is desired; a trial that waited for this begins."""
    active = state.copy(state.active)
    assert active is not None
    if state.candidate is not None and state.candidate == state.beside == state.failed:
        # The report goes on saying why the candidate was refused, for as long as a directive wants it.
        return state, ended
    kept = (*ended, note("update-committed", active.release, "kept", why)) if ended else ()
    state, begun = begin_trial(settle(state))
    return state, (*kept, *begun)


def _trial(state: State, event: on.Trial) -> Step:
    if event.release == state.desired:
        return _no_trial(state, on.NoTrial())
    granted = event.new_grant and state.code == Rule.GRANT_OPEN
    ended: tuple[do.Effect, ...] = ()
    if event.release != state.beside or granted:
        state, ended = _without_trial(state)
    same = (event.mode, event.share) == (state.mode, state.share)
    floor = max(state.floor, event.floor)
    state = replace(state, beside=event.release, mode=event.mode, share=event.share, floor=floor)
    if state.phase == Phase.TRIAL and state.trial is not None and not same:
        return state, (do.Try(state.trial, state.run, state.mode, state.share),)
    state, begun = begin_trial(state)
    return state, (*ended, *begun)


def _no_trial(state: State, _: on.NoTrial) -> Step:
    return _without_trial(state)


def _without_trial(state: State) -> Move:
    """Take the candidate of a trial away, and forget what was held against it."""
    if state.beside is None:
        return state, ()
    candidate = state.candidate is not None and state.candidate == state.beside
    ended = end_candidate(state) if state.on_trial else ()
    failed = None if state.failed == state.beside else state.failed
    state = replace(state, beside=None, failed=failed)
    return settle(state) if candidate else state, ended


def _undesired(state: State, _: on.Undesired) -> Step:
    active = state.copy(state.active)
    gone = note("model-removed", active.release if active else state.candidate)
    return None, (do.CancelFetch(), do.Unserve(), do.Retire("a"), do.Retire("b"), do.Remove(), gone)


def _planned(state: State, event: on.Planned) -> Step:
    if state.phase != Phase.PLANNED or event.release != state.candidate:
        return state, ()
    if event.counter < state.floor:
        return refuse(state, "floor", f"security counter {event.counter} is below the floor {state.floor}")
    slot = state.spare
    old = state.copy(slot)
    copy = Copy(release=event.release, version=event.version, variant=event.variant, counter=event.counter)
    state = replace(with_copy(state, slot, copy), phase=Phase.DOWNLOADING, trial=slot)
    recheck = state.repairs > 0 and old is not None and old.release == event.release
    planned = note("update-planned", event.release, event.variant, f"version {event.version}")
    return state, (planned, do.Retire(slot), do.Download(slot, event.release, recheck))


def _plan_refused(state: State, event: on.PlanRefused) -> Step:
    if state.phase != Phase.PLANNED or event.release != state.candidate:
        return state, ()
    return refuse(state, event.code, event.text)


def _downloaded(state: State, event: on.Downloaded) -> Step:
    copy = state.copy(state.trial)
    if state.phase != Phase.DOWNLOADING or event.release != state.candidate or copy is None or state.trial is None:
        return state, ()
    return stage(with_copy(state, state.trial, replace(copy, complete=True)))


def _download_refused(state: State, event: on.DownloadRefused) -> Step:
    slot = state.trial
    if state.phase != Phase.DOWNLOADING or event.release != state.candidate or slot is None:
        return state, ()
    state, effects = refuse(with_copy(state, slot, None), event.code, event.text)
    return state, (*effects, do.Discard(slot))


def _staged(state: State, event: on.Staged) -> Step:
    # While the lease is over nothing was asked to be staged, so nothing can have been.
    if state.phase != Phase.VERIFIED or state.halted or event.run != state.run or state.trial is None:
        return state, ()
    return replace(state, phase=Phase.STAGED), (do.Load(state.trial, state.run),)


def _no_room(state: State, event: on.NoRoom) -> Step:
    if state.phase != Phase.STAGED or event.run != state.run or state.trial is None:
        return state, ()
    if state.active is None or state.stopped_first or state.on_trial:
        return refuse(state, "memory", event.text)
    effects = (
        note("note", state.candidate, "stop-then-start", event.text),
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
    state = with_copy(state, slot, replace(copy, tested=True))
    if not state.on_trial:
        return serve_candidate(state)
    begun = note("note", state.candidate, "trial", f"on trial ({state.mode}) beside the release that serves")
    return replace(state, phase=Phase.TRIAL), (do.Try(slot, state.run, state.mode, state.share), begun)


def _trial_failed(state: State, event: on.TrialFailed) -> Step:
    slot, candidate = state.trial, state.candidate
    copy = state.copy(slot)
    underway = state.phase in RUNNING or state.phase == Phase.VERIFIED
    if not underway or event.run != state.run or slot is None or copy is None or candidate is None:
        return state, ()
    if state.phase == Phase.PROBATION:
        return give_up(state, Phase.ROLLED_BACK, event.code, event.text)
    if not event.damaged:
        return refuse(state, event.code, event.text)
    if state.repairs >= REPAIRS:
        state, effects = refuse(with_copy(state, slot, None), event.code, event.text)
        return state, (*effects, do.Discard(slot))
    found = note("object-corrupt", candidate, event.code, event.text)
    state = with_copy(state, slot, replace(copy, complete=False, tested=False, committed=False))
    state = replace(state, phase=Phase.PLANNED, trial=None, repairs=state.repairs + 1)
    return state, (found, do.Retire(slot), do.Plan(candidate))


def _trial_stable(state: State, event: on.TrialStable) -> Step:
    if state.phase != Phase.TRIAL or event.run != state.run:
        return state, ()
    return replace(state, restarts=0), ()


def _probation_passed(state: State, event: on.ProbationPassed) -> Step:
    if state.phase != Phase.PROBATION or event.run != state.run:
        return state, ()
    return commit(state)


def _probation_failed(state: State, event: on.ProbationFailed) -> Step:
    if state.phase != Phase.PROBATION or event.run != state.run:
        return state, ()
    return give_up(state, Phase.ROLLED_BACK, event.code, event.text)


def _active_damaged(state: State, event: on.ActiveDamaged) -> Step:
    """Serve the other good copy if there is one, and fetch what is damaged again."""
    copy = state.copy(event.slot)
    if event.slot != state.active or copy is None or (state.phase in UNDERWAY and not state.on_trial):
        # A candidate underway is about to replace it; if it fails, the damage will be found again.
        return state, ()
    ended = end_candidate(state) if state.on_trial else ()
    state = replace(state, trial=None)
    found = note("object-corrupt", copy.release, "damaged", event.text)
    state = with_copy(state, event.slot, replace(copy, complete=False, tested=False, committed=False))
    other = state.copy(state.spare)
    fallback = state.spare if other and other.complete and other.committed and other.counter >= state.floor else None
    effects: tuple[do.Effect, ...] = (*ended, found, do.Retire(event.slot))
    if fallback is not None:
        effects = (*ended, found, *(() if state.halted else (do.Serve(fallback),)), do.Retire(event.slot))
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
    told = note("lease-expired", active.release if active else None, "stopped", "no directive came in time")
    state = replace(state, halted=True, phase=phase, stopped_first=False, run=state.run + 1)
    return state, (do.Unserve(), do.Retire("a"), do.Retire("b"), told)


def _lease_renewed(state: State, _: on.LeaseRenewed) -> Step:
    if not state.halted:
        return state, ()
    state = replace(state, halted=False)
    serve: tuple[do.Effect, ...] = (do.Serve(state.active),) if state.active else ()
    if state.phase == Phase.VERIFIED:
        state, staged = stage(state)
        serve = (*serve, *staged)
    return state, serve


# Each handler takes the one event type that stands beside it, which a type checker cannot see through a table.
_HANDLERS: dict[type, Callable[[State, Any], Step]] = {
    on.Booted: _booted,
    on.Desired: _desired,
    on.Undesired: _undesired,
    on.Trial: _trial,
    on.NoTrial: _no_trial,
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
    on.TrialStable: _trial_stable,
    on.ProbationPassed: _probation_passed,
    on.ProbationFailed: _probation_failed,
    on.ActiveDamaged: _active_damaged,
    on.LeaseEnded: _lease_ended,
    on.LeaseRenewed: _lease_renewed,
}
