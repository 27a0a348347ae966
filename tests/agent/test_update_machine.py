"""The update machine: its promises under every order of events, and the paths that people ask about."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet_agent.update import effects as do
from fleet_agent.update import events as on
from fleet_agent.update.machine import REPAIRS, RESTARTS, step
from fleet_agent.update.state import RUNNING, UNDERWAY, Phase, State

V1, V2, V3 = (bytes([n]) * 32 for n in (1, 2, 3))
NEW, NEWER = bytes([9]) * 32, bytes([10]) * 32
COUNTERS = {V1: 1, V2: 2, V3: 3, NEW: 9, NEWER: 10}


@dataclass
class Device:
    """Does what effects say, as an executor would, and remembers what really was verified and tested."""

    state: State | None = None
    held: dict[str, bytes] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)
    passed: set[str] = field(default_factory=set)
    running: set[str] = field(default_factory=set)
    serving: str | None = None
    effects: list[do.Effect] = field(default_factory=list)
    notes: list[do.Note] = field(default_factory=list)

    def feed(self, event: on.Event) -> tuple[do.Effect, ...]:
        before = self.state
        if isinstance(event, on.Booted):
            self.running.clear()
            self.serving = None
        if (
            isinstance(event, on.ActiveDamaged)
            and before
            and event.slot == before.active
            and (before.phase not in UNDERWAY or before.on_trial)
        ):
            # While a candidate is underway the machine waits; whoever starts the damaged copy finds out again.
            self.whole.discard(event.slot)
            self.passed.discard(event.slot)
        self.state, effects = step(self.state, event)
        if before is not None and self.state is not None:
            self._witness(before, self.state, event)
        for effect in effects:
            self._do(effect)
        self.effects.extend(effects)
        return effects

    def _witness(self, before: State, after: State, event: on.Event) -> None:
        """Only the world makes a copy whole or tested; the machine may only take note of it."""
        slot = before.trial or ""
        if isinstance(event, on.Downloaded) and after.phase == Phase.VERIFIED and before.phase == Phase.DOWNLOADING:
            self.whole.add(slot)
        if isinstance(event, on.TestPassed) and before.phase == Phase.TESTING and event.run == before.run:
            assert slot in self.running, "a self-test passed in a worker that was not there"
            self.passed.add(slot)

    def _do(self, effect: do.Effect) -> None:
        match effect:
            case do.Download(slot, release, _):
                assert slot != self.serving, "the slot that serves was overwritten"
                assert self.state is not None
                assert slot != self.state.active, "the known-good slot was overwritten"
                if self.held.get(slot) != release:
                    self.passed.discard(slot)
                self.whole.discard(slot)
                self.held[slot] = release
            case do.Discard(slot):
                assert slot != self.serving
                self.held.pop(slot, None)
                self.whole.discard(slot)
                self.passed.discard(slot)
            case do.Load(slot, _):
                assert slot in self.whole, "an incomplete release was loaded"
                self.running.add(slot)
            case do.Try(slot, run, _, _):
                assert slot in self.running & self.whole & self.passed, "an untested release was tried"
                assert slot != self.serving, "the candidate on trial serves"
                assert self.state is not None
                assert run == self.state.run
            case do.Serve(slot):
                assert slot in self.whole, "an incomplete release was to serve"
                assert slot in self.passed, "an untested release was to serve"
                self.running.add(slot)
                self.serving = slot
            case do.Unserve():
                self.serving = None
            case do.Retire(slot):
                self.running.discard(slot)
                if self.serving == slot:
                    self.serving = None
            case do.Remove():
                self.held.clear()
                self.whole.clear()
                self.passed.clear()
            case do.Note():
                self.notes.append(effect)
            case _:
                pass


def drive(device: Device, release: bytes, until: Phase = Phase.COMMITTED) -> None:
    """The straight way of ``release`` up to ``until``; to a trial, beside what is desired."""
    if until == Phase.TRIAL:
        device.feed(on.Trial(release, 0, "shadow", 1000))
    else:
        device.feed(on.Desired(release, 0))

    def run() -> int:
        assert device.state is not None
        return device.state.run

    for phase, event in (
        (Phase.PLANNED, lambda: on.Planned(release, "1.0.0", "onnx", COUNTERS[release])),
        (Phase.DOWNLOADING, lambda: on.Downloaded(release)),
        (Phase.VERIFIED, lambda: on.Staged(run())),
        (Phase.STAGED, lambda: on.Loaded(run())),
        (Phase.LOADED, lambda: on.TestStarted(run())),
        (Phase.TESTING, lambda: on.TestPassed(run())),
        (Phase.PROBATION, lambda: on.ProbationPassed(run())),
    ):
        assert device.state is not None
        if device.state.phase == until:
            return
        if device.state.phase == phase:
            device.feed(event())
    assert device.state is not None
    assert device.state.phase == until


def committed(release: bytes = V1) -> Device:
    device = Device()
    drive(device, release)
    return device


def now(device: Device) -> State:
    assert device.state is not None
    return device.state


def test_nothing_is_staged_while_the_lease_is_over() -> None:
    device = Device()
    drive(device, V1, Phase.DOWNLOADING)
    device.feed(on.Downloaded(V1))
    device.feed(on.LeaseEnded())
    device.feed(on.Staged(now(device).run))
    assert now(device).phase == Phase.VERIFIED
    device.feed(on.LeaseRenewed())
    device.feed(on.Staged(now(device).run))
    assert now(device).phase == Phase.STAGED


releases = st.sampled_from([V1, V2, V3])
slots = st.sampled_from(["a", "b"])


@st.composite
def an_event(draw: st.DrawFn) -> tuple[str, bytes, int, bool]:
    """A kind of event, a release, how stale its run is, and whether damage comes with it."""
    kinds = [
        "boot", "desired", "desired", "undesired", "trial", "trial", "no-trial", "planned", "planned",
        "plan-refused", "downloaded", "downloaded",
        "download-refused", "staged", "staged", "loaded", "loaded", "test-started", "test-passed", "test-passed",
        "no-room", "trial-failed", "trial-stable", "probation-passed", "probation-failed", "active-damaged",
        "lease-ended", "lease-renewed", "on", "on", "on", "on",
    ]  # fmt: skip
    return draw(st.sampled_from(kinds)), draw(releases), draw(st.sampled_from([0, 0, 0, -1, 1])), draw(st.booleans())


def build(state: State | None, kind: str, release: bytes, stale: int, damaged: bool) -> on.Event:
    run = max(0, (state.run if state else 0) + stale)
    candidate = (state.candidate if state else None) or release
    if kind == "on" and state is not None:
        # The next event on the straight way, so that long runs are common.
        beside = "trial" if damaged else "desired"
        kind = {
            Phase.PLANNED: "planned", Phase.DOWNLOADING: "downloaded", Phase.VERIFIED: "staged",
            Phase.STAGED: "loaded", Phase.LOADED: "test-started", Phase.TESTING: "test-passed",
            Phase.PROBATION: "probation-passed",
        }.get(Phase(state.phase), beside)  # fmt: skip
        run = state.run
        release = candidate if kind not in ("desired", "trial") else release
    events: dict[str, on.Event] = {
        "boot": on.Booted(),
        "desired": on.Desired(release, COUNTERS[release] if damaged else 0, stale > 0),
        "on": on.Desired(release, 0),
        "undesired": on.Undesired(),
        "trial": on.Trial(release, COUNTERS[release] if damaged else 0, "split" if stale else "shadow", 500 + stale),
        "no-trial": on.NoTrial(),
        "planned": on.Planned(release, "1.0.0", "onnx", COUNTERS[release]),
        "plan-refused": on.PlanRefused(release, "signature", "no"),
        "downloaded": on.Downloaded(release),
        "download-refused": on.DownloadRefused(release, "disk-full", "no"),
        "staged": on.Staged(run),
        "loaded": on.Loaded(run),
        "test-started": on.TestStarted(run),
        "test-passed": on.TestPassed(run),
        "no-room": on.NoRoom(run, "no room"),
        "trial-failed": on.TrialFailed(run, "load", "no", damaged),
        "trial-stable": on.TrialStable(run),
        "probation-passed": on.ProbationPassed(run),
        "probation-failed": on.ProbationFailed(run, "latency", "slow"),
        "active-damaged": on.ActiveDamaged((state.active if state else None) or "a", "bit rot"),
        "lease-ended": on.LeaseEnded(),
        "lease-renewed": on.LeaseRenewed(),
    }
    return events[kind]


def trying(phase: Phase) -> Device:
    """V1 serves; V2, wanted beside it, has come as far as ``phase``."""
    device = committed()
    device.feed(on.Trial(V2, 0, "shadow", 1000))
    while now(device).phase != phase:
        device.feed(build(device.state, "on", V2, 0, damaged=False))
    return device


# Few random orders of events come as far as a trial: most begin near one.
TRYING = [phase for phase in Phase if phase in UNDERWAY and phase != Phase.PROBATION]
starts = st.sampled_from(
    [Device, committed, *(partial(trying, phase) for phase in [*TRYING, Phase.TRIAL, Phase.TRIAL])]
)


@settings(max_examples=1000, deadline=None)
@given(starts, st.lists(an_event(), max_size=40))
def test_any_events_keep_a_good_release_serving_and_let_nothing_untested_serve(
    start: Callable[[], Device], sequence: list[tuple[str, bytes, int, bool]]
) -> None:
    device = start()
    for kind, release, stale, damaged in sequence:
        before = device.state
        device.feed(build(before, kind, release, stale, damaged))
        state = device.state
        if state is None:
            assert device.serving is None
            continue
        assert State.from_bytes(state.to_bytes()) == state
        had_good = before is not None and before.active is not None
        if had_good and kind not in {"undesired", "active-damaged"}:
            assert state.active is not None, "a good release was lost"
        assert device.serving == state.serving
        if state.active is not None and not state.halted and not state.stopped_first:
            assert device.serving is not None, "a good release is there and nothing serves"
        if device.serving is not None:
            assert device.serving in device.whole & device.passed
        if state.phase in RUNNING:
            assert state.trial is not None
            assert state.trial != state.active
        if state.on_trial:
            assert not state.stopped_first, "the release that serves was stopped for a trial"
            active = state.copy(state.active)
            assert active is not None
            assert active.release == state.desired, "a trial beside a release that is not desired"
        if state.phase == Phase.TRIAL:
            assert state.on_trial
            assert device.serving == state.active
        if before is not None and before.on_trial and kind not in {"active-damaged", "lease-ended", "undesired"}:
            served = before.copy(before.active) if not before.halted else None
            promoted = kind in {"desired", "on"} and state.serving == before.trial
            assert served is None or promoted or state.serving == before.active, "the desired release paid for a trial"


@settings(max_examples=300, deadline=None)
@given(starts, st.lists(an_event(), max_size=30))
def test_every_state_still_reaches_a_commit(
    start: Callable[[], Device], sequence: list[tuple[str, bytes, int, bool]]
) -> None:
    """No order of events wedges the device: a new release goes through afterwards, and another by way of a trial."""
    device = start()
    for kind, release, stale, damaged in sequence:
        device.feed(build(device.state, kind, release, stale, damaged))
    device.feed(on.LeaseRenewed())
    device.feed(on.NoTrial())
    drive(device, NEW)
    assert device.serving == now(device).active
    assert device.held[now(device).active or ""] == NEW
    drive(device, NEWER, Phase.TRIAL)
    assert device.held[device.serving or ""] == NEW
    drive(device, NEWER)
    assert device.held[device.serving or ""] == NEWER


def test_the_straight_way() -> None:
    device = committed()
    assert [type(effect) for effect in device.effects if not isinstance(effect, do.Note)] == [
        do.Plan, do.Retire, do.Download, do.Stage, do.Load, do.Test, do.Serve, do.Watch,
    ]  # fmt: skip
    assert now(device).active == "a"
    assert [note.kind for note in device.notes] == ["update-planned", "update-probation", "update-committed"]


def test_the_old_worker_stays_through_probation_and_comes_back_at_once() -> None:
    device = committed()
    drive(device, V2, Phase.PROBATION)
    assert device.running == {"a", "b"}
    effects = device.feed(on.ProbationFailed(now(device).run, "latency", "p95 900 us over 100 us"))
    assert effects[:2] == (do.Serve("a"), do.Retire("b"))
    assert now(device).phase == Phase.ROLLED_BACK
    assert now(device).failed == V2


def test_a_failed_release_is_not_tried_again_until_another_is_desired() -> None:
    device = committed()
    drive(device, V2, Phase.PROBATION)
    device.feed(on.ProbationFailed(now(device).run, "crash", "died"))
    assert device.feed(on.Desired(V2, 0)) == ()
    assert device.feed(on.Booted()) == (do.Serve("a"),)
    device.feed(on.Desired(V1, 0))
    assert now(device).phase == Phase.COMMITTED
    assert do.Stage("b", now(device).run + 1) in device.feed(on.Desired(V2, 0))


def test_going_back_to_the_release_in_the_other_slot_downloads_nothing_and_has_no_probation() -> None:
    device = committed()
    drive(device, V2)
    device.effects.clear()
    drive(device, V1)
    kinds = [type(effect) for effect in device.effects if not isinstance(effect, do.Note)]
    assert kinds == [do.Stage, do.Load, do.Test, do.Serve, do.Retire]


def test_a_release_below_the_floor_is_refused_from_the_other_slot_too() -> None:
    device = committed()
    drive(device, V2)
    device.feed(on.Desired(V1, 2))
    assert (now(device).phase, now(device).code) == (Phase.REFUSED, "floor")
    assert device.serving == "b"


def test_the_floor_only_rises_but_for_a_new_epoch() -> None:
    device = committed()
    device.feed(on.Desired(V2, 2))
    device.feed(on.Desired(V1, 0))
    assert now(device).floor == 2
    device.feed(on.Desired(V1, 0, new_epoch=True))
    assert now(device).floor == 0


def test_desiring_the_serving_release_again_ends_a_probation_at_once() -> None:
    device = committed()
    drive(device, V2, Phase.PROBATION)
    effects = device.feed(on.Desired(V1, 0))
    assert effects[:2] == (do.Serve("a"), do.Retire("b"))
    assert now(device).phase == Phase.COMMITTED


@pytest.mark.parametrize("phase", [p for p in Phase if p in RUNNING or p == Phase.VERIFIED])
def test_a_restart_brings_back_the_good_release_first(phase: Phase) -> None:
    device = committed()
    drive(device, V2, phase)
    effects = device.feed(on.Booted())
    assert effects[0] == do.Serve("a")
    if phase == Phase.PROBATION:
        assert now(device).phase == Phase.ROLLED_BACK
        assert now(device).code == "restarted"
    else:
        assert effects[1:] == (do.Stage("b", now(device).run),)


def on_trial() -> Device:
    device = committed()
    drive(device, V2, Phase.TRIAL)
    return device


def test_a_candidate_on_trial_runs_beside_the_one_that_serves() -> None:
    device = on_trial()
    assert (device.serving, device.running) == ("a", {"a", "b"})
    assert device.effects[-2:] == [do.Try("b", now(device).run, "shadow", 1000), device.notes[-1]]
    assert device.feed(on.Desired(V1, 0)) == ()
    assert device.feed(on.Trial(V2, 0, "shadow", 1000)) == ()
    assert device.feed(on.Trial(V2, 0, "split", 100)) == (do.Try("b", now(device).run, "split", 100),)


def test_desiring_the_candidate_on_trial_switches_at_once_and_fetches_nothing() -> None:
    device = on_trial()
    effects = device.feed(on.Desired(V2, 0))
    assert effects[:2] == (do.Serve("b"), do.Watch("b", now(device).run))
    assert device.feed(on.NoTrial()) == ()
    assert now(device).phase == Phase.PROBATION
    device.feed(on.ProbationPassed(now(device).run))
    assert (now(device).active, device.running) == ("b", {"b"})


def test_a_trial_that_no_directive_names_any_more_ends_and_the_candidate_stays_on_the_disk() -> None:
    device = on_trial()
    assert device.feed(on.NoTrial()) == (do.Retire("b"),)
    assert (now(device).phase, now(device).candidate, now(device).beside) == (Phase.COMMITTED, None, None)
    assert do.Stage("b", now(device).run + 1) in device.feed(on.Trial(V2, 0, "standby", 1000))


def test_a_candidate_that_dies_on_trial_is_refused_and_stays_refused_while_it_is_wanted() -> None:
    device = on_trial()
    effects = device.feed(on.TrialFailed(now(device).run, "crash", "the worker died"))
    assert effects[0] == do.Retire("b")
    assert (now(device).phase, now(device).code, device.serving) == (Phase.REFUSED, "crash", "a")
    for event in (on.Desired(V1, 0), on.Trial(V2, 0, "shadow", 1000)):
        assert device.feed(event) == ()
    assert device.feed(on.NoTrial()) == ()
    assert (now(device).phase, now(device).code) == (Phase.COMMITTED, "")
    assert do.Stage("b", now(device).run + 1) in device.feed(on.Trial(V2, 0, "shadow", 1000))


def test_a_candidate_for_a_trial_that_does_not_fit_beside_is_refused_and_nothing_stops() -> None:
    device = committed()
    device.feed(on.Trial(V2, 0, "shadow", 1000))
    device.feed(on.Planned(V2, "1.0.0", "onnx", 2))
    device.feed(on.Downloaded(V2))
    device.feed(on.Staged(now(device).run))
    device.effects.clear()
    device.feed(on.NoRoom(now(device).run, "900 MB beside 800 MB"))
    assert [effect for effect in device.effects if not isinstance(effect, do.Note)] == [do.Retire("b")]
    assert (now(device).phase, now(device).code, device.serving) == (Phase.REFUSED, "memory", "a")


def test_a_trial_survives_restarts_but_not_without_end() -> None:
    device = on_trial()
    for _ in range(RESTARTS):
        assert device.feed(on.Booted()) == (do.Serve("a"), do.Stage("b", now(device).run))
        drive(device, V2, Phase.TRIAL)
    device.feed(on.Booted())
    assert (now(device).phase, now(device).code, device.serving) == (Phase.REFUSED, "restarted", "a")


def test_restarts_with_a_while_on_trial_between_them_are_not_held_against_the_candidate() -> None:
    device = on_trial()
    for _ in range(3 * RESTARTS):
        late = now(device).run
        device.feed(on.Booted())
        drive(device, V2, Phase.TRIAL)
        assert now(device).restarts == 1
        device.feed(on.TrialStable(late))
        assert now(device).restarts == 1
        device.feed(on.TrialStable(now(device).run))
    assert (now(device).phase, now(device).restarts) == (Phase.TRIAL, 0)


def test_a_trial_waits_until_the_desired_release_serves() -> None:
    device = committed()
    device.feed(on.Desired(V2, 0))
    assert device.feed(on.Trial(V3, 0, "shadow", 1000)) == ()
    device.feed(on.Planned(V2, "1.0.0", "onnx", 2))
    device.feed(on.Downloaded(V2))
    device.feed(on.Staged(now(device).run))
    device.feed(on.Loaded(now(device).run))
    device.feed(on.TestStarted(now(device).run))
    device.feed(on.TestPassed(now(device).run))
    assert do.Plan(V3) in device.feed(on.ProbationPassed(now(device).run))
    assert now(device).on_trial


def test_damage_of_the_release_that_serves_ends_the_trial_beside_it() -> None:
    device = on_trial()
    effects = device.feed(on.ActiveDamaged("a", "bit rot"))
    assert effects[0] == do.Retire("b")
    assert effects[2:] == (do.Retire("a"), do.Plan(V1))
    device.feed(on.Planned(V1, "1.0.0", "onnx", 1))
    device.feed(on.Downloaded(V1))
    drive(device, V1, Phase.PROBATION)
    assert do.Stage("b", now(device).run + 1) in device.feed(on.ProbationPassed(now(device).run))


def test_a_first_release_survives_restarts_of_its_trial_but_not_without_end() -> None:
    device = Device()
    drive(device, V1, Phase.PROBATION)
    for _ in range(RESTARTS):
        device.feed(on.Booted())
        assert now(device).phase == Phase.VERIFIED
        drive(device, V1, Phase.PROBATION)
    device.feed(on.Booted())
    assert now(device).phase == Phase.ROLLED_BACK


def test_damaged_bytes_are_fetched_again_and_then_refused() -> None:
    device = committed()
    drive(device, V2, Phase.VERIFIED)
    for _ in range(REPAIRS):
        device.feed(on.TrialFailed(now(device).run, "damaged", "bit rot", damaged=True))
        assert now(device).phase == Phase.PLANNED
        effects = device.feed(on.Planned(V2, "1.0.0", "onnx", 2))
        assert do.Download("b", V2, recheck=True) in effects
        device.feed(on.Downloaded(V2))
    device.feed(on.TrialFailed(now(device).run, "damaged", "bit rot", damaged=True))
    assert now(device).phase == Phase.REFUSED
    assert now(device).b is None


def test_damage_of_the_active_release_falls_back_and_repairs() -> None:
    device = committed()
    drive(device, V2)
    effects = device.feed(on.ActiveDamaged("b", "bit rot"))
    assert effects[1:] == (do.Serve("a"), do.Retire("b"), do.Plan(V2))
    assert now(device).active == "a"
    drive(device, V2)
    assert now(device).active == "b"


def test_no_room_for_two_stops_the_old_one_and_brings_it_back_after_a_failure() -> None:
    device = committed()
    drive(device, V2, Phase.STAGED)
    effects = device.feed(on.NoRoom(now(device).run, "needs 900 MB beside 800 MB, 1000 MB are free"))
    assert effects[1:] == (do.Unserve(), do.Retire("a"), do.Load("b", now(device).run))
    assert "900 MB" in device.notes[-1].text
    assert device.feed(on.TrialFailed(now(device).run, "load", "no"))[:2] == (do.Retire("b"), do.Serve("a"))


def test_an_ended_lease_stops_everything_and_a_directive_starts_it_again() -> None:
    device = committed()
    drive(device, V2, Phase.PROBATION)
    device.feed(on.LeaseEnded())
    assert (device.serving, device.running) == (None, set())
    assert device.feed(on.Booted()) == ()
    effects = device.feed(on.LeaseRenewed())
    assert effects == (do.Serve("a"), do.Stage("b", now(device).run))


def test_what_the_device_lacked_is_tried_again_after_a_restart_and_what_the_release_lacked_is_not() -> None:
    for code, tried in (("disk-full", True), ("signature", False)):
        device = committed()
        device.feed(on.Desired(V2, 0))
        device.feed(on.PlanRefused(V2, code, "no"))
        assert (do.Plan(V2) in device.feed(on.Booted())) is tried


def test_late_news_of_an_earlier_attempt_is_ignored() -> None:
    device = committed()
    drive(device, V2, Phase.TESTING)
    late = now(device).run
    device.feed(on.Desired(V3, 0))
    device.feed(on.Planned(V3, "1.0.0", "onnx", 3))
    device.feed(on.Downloaded(V3))
    assert replace(now(device)) == now(device)
    for event in (on.Staged(late), on.Loaded(late), on.TestPassed(late), on.TrialFailed(late, "crash", "")):
        assert device.feed(event) == ()


def test_a_release_refused_for_its_grant_is_tried_again_with_another_grant_and_no_other_refusal_is() -> None:
    for code, tried in (("grant-open", True), ("signature", False)):
        device = committed()
        device.feed(on.Desired(V2, 0))
        device.feed(on.PlanRefused(V2, code, "no"))
        assert device.feed(on.Desired(V2, 0)) == ()
        assert (do.Plan(V2) in device.feed(on.Desired(V2, 0, new_grant=True))) is tried
