"""Runs the update machine for every model: an event, the journal, then the effects."""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from functools import partial

from dunlin_contract.directive import Desired, Trial
from dunlin_contract.event import Event
from dunlin_contract.rules import Rule
from dunlin_contract.settings import Settings
from dunlin_contract.sketch import Sketch
from fleet_agent import files
from fleet_agent.clock import Clock, SignedTime
from fleet_agent.errors import StorageError, line
from fleet_agent.journal import Journal
from fleet_agent.paths import Paths
from fleet_agent.slots import Plan, Slot
from fleet_agent.supervisor.directives import NEW_EPOCH
from fleet_agent.supervisor.downloads import Downloads
from fleet_agent.supervisor.front import Compared, Numbers
from fleet_agent.supervisor.instance import Outcome, since
from fleet_agent.supervisor.log import log
from fleet_agent.supervisor.loop import Loop, Timer
from fleet_agent.supervisor.planning import Planning, Refusal
from fleet_agent.supervisor.serving import Serving
from fleet_agent.supervisor.unlocking import Unlocker
from fleet_agent.update import effects as do
from fleet_agent.update import events as on
from fleet_agent.update.machine import step
from fleet_agent.update.probation import Observed, Verdict, judge, judge_answers
from fleet_agent.update.state import SLOTS, Phase, State

_LOOK_S = 0.5
_RETRY_S = 10.0
_COMPARED = 100
"""Permille of the requests that the release before answers too while its successor is on probation."""
_CRASH_LOOP = 3
_CRASH_MEMORY_S = 1800.0


@dataclass(slots=True)
class Tools:
    """What effects are done with."""

    loop: Loop
    paths: Paths
    journal: Journal
    clock: Clock
    time: SignedTime
    unlocker: Unlocker
    planning: Planning
    downloads: Downloads
    serving: Serving


class Updates:
    """All models of the device. ``changed`` is called after every change that the server should hear of."""

    def __init__(self, tools: Tools, settings: Callable[[], Settings], changed: Callable[[], None]) -> None:
        self._tools = tools
        self._settings = settings
        self._changed = changed
        self.states: dict[str, State] = tools.journal.models()
        self._desired: Mapping[str, Desired] = {}
        self._trials: Mapping[str, Trial] = {}
        self._trials_wait = False
        self._plans: dict[str, Plan] = {}
        self._watches: dict[str, Timer] = {}
        self._crashes: dict[str, list[float]] = {}
        self._front_failure = ""

    # What others tell.

    def boot(self, desired: Mapping[str, Desired], trials: Mapping[str, Trial]) -> None:
        """Take up every model where the journal left it; the rest is the last accepted directive's."""
        self._desired, self._trials = desired, trials
        self._sweep()
        for model in list(self.states):
            self.feed(model, on.Booted())

    def _sweep(self) -> None:
        """Finish removals that a power cut interrupted after their journal entry."""
        paths = self._tools.paths
        folders = {entry.name for entry in paths.models.iterdir()} if paths.models.is_dir() else set()
        for model in sorted((folders | {key.stem for key in paths.keystore.glob("*.storage")}) - set(self.states)):
            self._remove(model)

    def follow(self, desired: Mapping[str, Desired], trials: Mapping[str, Trial], *, renewed: Set[str]) -> None:
        """Follow a directive; ``renewed``: models whose lease holds."""
        before, self._desired = self._desired, desired
        trials_before, self._trials = self._trials, trials
        new_epoch = self._tools.journal.fact(NEW_EPOCH) is not None
        if new_epoch:
            self._forget_floors()
        for model in sorted(set(self.states) - set(desired)):
            self.feed(model, on.Undesired())
        for model, wanted in sorted(desired.items()):
            if model in renewed:
                self.feed(model, on.LeaseRenewed())
            granted = _new_grant(before.get(model), wanted)
            # A model that comes back has the floor that it left with.
            floor = wanted.floor if model in self.states else max(wanted.floor, self._tools.journal.floor(model))
            self.feed(model, on.Desired(wanted.release, floor, new_epoch, granted))
            trial = trials.get(model)
            if trial is None:
                self.feed(model, on.NoTrial())
            else:
                self._follow_trial(model, trial, trials_before.get(model))
        if new_epoch:
            self._followed_epoch()

    def _follow_trial(self, model: str, trial: Trial, last: Trial | None) -> None:
        """Unless trials wait: one that has not begun looks as if no directive named it."""
        state, candidate = self.states.get(model), trial.candidate
        if self._trials_wait and (state is None or state.beside != candidate.release):
            self.feed(model, on.NoTrial())
            return
        granted = _new_grant(last.candidate if last is not None else None, candidate)
        self.feed(model, on.Trial(candidate.release, candidate.floor, trial.mode, trial.share, granted))

    def defer_trials(self, wait: bool) -> None:
        """Begin no trial while the device is hot; those that run go on. ``wait`` False: begin what waited."""
        self._trials_wait = wait
        if not wait:
            for model, trial in self._trials.items():
                self._follow_trial(model, trial, trial)

    def _forget_floors(self) -> None:
        try:
            with self._tools.journal.transaction() as write:
                write.no_floors()
        except StorageError as error:
            log(f"{error}; floors of models that are gone stay as they are")

    def _followed_epoch(self) -> None:
        try:
            with self._tools.journal.transaction() as write:
                write.fact(NEW_EPOCH, None)
        except StorageError as error:
            log(f"{error}; the next directive begins the epoch once more")

    def drop(self, model: str) -> None:
        """Forget a model that is being wiped; its files and its journal are the wipe's."""
        tools = self._tools
        tools.planning.cancel(model)
        tools.downloads.cancel(model)
        tools.serving.kill(model)
        self._unwatch(model)
        self._plans.pop(model, None)
        self.states.pop(model, None)

    def feed(self, model: str, event: on.Event) -> None:
        """One step of a model's machine: decided, journaled, done."""
        before = self.states.get(model)
        state, effects = step(before, event)
        if state == before and not effects:
            return
        try:
            with self._tools.journal.transaction() as write:
                if state != before:
                    write.model(model, state)
                for effect in effects:
                    if isinstance(effect, do.Note):
                        write.event(self._event(model, effect))
        except StorageError as error:
            # Nothing happened yet, and nothing will before it is written.
            log(f"{error}; trying again")
            self._tools.loop.after(_RETRY_S, partial(self._feed_again, model, event))
            return
        if state is None:
            self.states.pop(model, None)
        else:
            self.states[model] = state
            if before is None or state.phase != before.phase:
                log(f"{model}: {state.phase}{f' ({state.code}: {state.text})' if state.code else ''}")
        for effect in effects:
            self._do(model, effect)
        self._changed()

    def _feed_again(self, model: str, event: on.Event) -> None:
        """Unless what was desired then is not desired any more: an older directive must not come after a newer."""
        wanted, trial = self._desired.get(model), self._trials.get(model)
        match event:
            case on.Desired(release) if wanted is None or wanted.release != release:
                return
            case on.Undesired() if wanted is not None:
                return
            case on.Trial(release) if trial is None or trial.candidate.release != release:
                return
            case on.NoTrial() if trial is not None:
                return
        self.feed(model, event)

    def worker_died(self, model: str, slot: str, text: str) -> bool:
        state = self.states.get(model)
        if state is None:
            return False
        if slot == state.trial:
            self.feed(model, on.TrialFailed(state.run, "crash", line(f"the worker died: {text}")))
            return False
        if slot != state.active or state.halted or state.stopped_first:
            return False
        self._crashed(model, self._release(state, slot), "crash", text)
        return True

    def start_failed(self, model: str, slot: str, outcome: Outcome) -> bool:
        state = self.states.get(model)
        if state is None or slot != state.active:
            return False
        if outcome.damaged:
            self.feed(model, on.ActiveDamaged(slot, outcome.text))
            state = self.states.get(model)
            return state is not None and state.active == slot
        self._crashed(model, self._release(state, slot), outcome.code, outcome.text)
        return True

    def front_failed(self, code: str, text: str) -> None:
        if text != self._front_failure:
            self._front_failure = text
            log(text)
            self._tell(None, do.Note("note", None, code, line(text)))

    def note(self, kind: str, code: str, text: str, model: str | None = None) -> None:
        """Tell the server something that is no step of an update."""
        self._tell(model, do.Note(kind, None, code, line(text)))

    # Doing.

    def _crashed(self, model: str, release: bytes | None, code: str, text: str) -> None:
        """Tell of the first crashes one by one, then that it goes on, and then nothing for a while."""
        now = self._tools.clock.since_boot()
        recent = [*(at for at in self._crashes.get(model, []) if now - at < _CRASH_MEMORY_S), now]
        self._crashes[model] = recent
        log(f"{model}: a worker crashed: {text}")
        if len(recent) <= _CRASH_LOOP:
            what = "crash-loop" if len(recent) == _CRASH_LOOP else code
            self._tell(model, do.Note("worker-crashed", release, what, line(text)))

    def _tell(self, model: str | None, note: do.Note) -> None:
        try:
            with self._tools.journal.transaction() as write:
                write.event(self._event(model, note))
        except StorageError as error:
            log(str(error))
        self._changed()

    def _event(self, model: str | None, note: do.Note) -> Event:
        return Event(
            stream=b"\0" * 16,
            n=1,
            kind=note.kind,
            time_s=self._tools.time.best(),
            uptime_s=int(self._tools.clock.since_boot()),
            model=model,
            release=note.release,
            code=note.code,
            text=line(note.text),
        )

    def _slot(self, model: str, slot: str) -> Slot:
        return Slot(self._tools.paths, self._tools.journal, model, slot)

    @staticmethod
    def _release(state: State, slot: str) -> bytes | None:
        copy = state.copy(slot)
        return copy.release if copy else None

    def _do(self, model: str, effect: do.Effect) -> None:  # noqa: C901 - one short case an effect
        tools = self._tools
        match effect:
            case do.Plan(release):
                self._plan(model, release)
            case do.Download(slot, release, recheck):
                self._download(model, slot, release, recheck=recheck)
            case do.CancelFetch():
                tools.planning.cancel(model)
                tools.downloads.cancel(model)
            case do.Stage(slot, run):
                copy = self.states[model].copy(slot)
                assert copy is not None
                tools.serving.stage(self._slot(model, slot), copy, partial(self._stepped, model, run, on.Staged(run)))
            case do.Load(slot, run):
                tools.serving.load(model, slot, partial(self._stepped, model, run, on.Loaded(run)))
            case do.Test(slot, run):
                started = partial(self.feed, model, on.TestStarted(run))
                tools.serving.test(model, slot, started, partial(self._stepped, model, run, on.TestPassed(run)))
            case do.Serve(slot):
                copy = self.states[model].copy(slot)
                assert copy is not None
                tools.serving.serve(self._slot(model, slot), copy)
            case do.Try(slot, run, mode, share):
                tools.serving.try_beside(model, slot, mode, share)
                self._watch_trial(model, slot, run)
            case do.Watch(slot, run):
                self._watch_probation(model, slot, run)
            case do.Unserve():
                tools.serving.unserve(model)
            case do.Retire(slot):
                tools.serving.retire(model, slot)
            case do.Discard(slot):
                self._slot(model, slot).erase()
            case do.Remove():
                self._remove(model)
            case _:
                assert isinstance(effect, do.Note), "only a note is done already: it went into the journal"

    def _plan(self, model: str, release: bytes) -> None:
        wanted = self._wanted(model, release)
        if wanted is None:
            # A damaged release that no directive names any more: its objects are nowhere to be asked for.
            refused = on.PlanRefused(release, "not-desired", "no directive names this release any more")
            self._tools.loop.post(partial(self.feed, model, refused))
            return
        slots = [self._slot(model, slot) for slot in SLOTS]
        self._tools.planning.begin(model, wanted, slots, partial(self._planned, model, wanted))

    def _wanted(self, model: str, release: bytes) -> Desired | None:
        """What the directive in force says of a release that it names."""
        trial = self._trials.get(model)
        named = (self._desired.get(model), trial.candidate if trial is not None else None)
        return next((one for one in named if one is not None and one.release == release), None)

    def _planned(self, model: str, planned: Desired, result: Plan | Refusal) -> None:
        release = planned.release
        if isinstance(result, Refusal):
            if result.code == Rule.GRANT_OPEN and _new_grant(planned, self._wanted(model, release)):
                # Another one came meanwhile.
                self._plan(model, release)
                return
            self.feed(model, on.PlanRefused(release, result.code, result.text))
            return
        self._plans[model] = result
        manifest, variant = result.layout.manifest, result.layout.variant
        self.feed(model, on.Planned(release, manifest.version, variant.kind, manifest.counter))

    def _download(self, model: str, slot: str, release: bytes, *, recheck: bool) -> None:
        plan = self._plans.pop(model)

        def done(refusal: Refusal | None) -> None:
            if refusal is None:
                self.feed(model, on.Downloaded(release))
            else:
                self.feed(model, on.DownloadRefused(release, refusal.code, refusal.text))

        self._tools.downloads.begin(plan, self._slot(model, slot), recheck=recheck, done=done)

    def _stepped(self, model: str, run: int, good: on.Event, outcome: Outcome) -> None:
        if outcome.ok:
            self.feed(model, good)
        elif outcome.code == "no-room":
            self.feed(model, on.NoRoom(run, outcome.text))
        else:
            self.feed(model, on.TrialFailed(run, outcome.code, outcome.text, outcome.damaged))

    def _remove(self, model: str) -> None:
        self._unwatch(model)
        self._plans.pop(model, None)
        try:
            for slot in SLOTS:
                self._slot(model, slot).erase()
            files.remove_tree(self._tools.paths.model(model))
        except (StorageError, OSError) as error:
            log(f"{error}; what is left of {model} goes with the next start")
        for order in ("destroy", "forget"):
            self._tools.unlocker.ask({"do": order, "model": model}, lambda _: None)

    def _watch_probation(self, model: str, slot: str, run: int) -> None:
        serving, active = self._tools.serving, self.states[model].active
        if active is not None and serving.runs(model, active):
            # The release before is still there: what it would have said is worth knowing while it can come back.
            serving.try_beside(model, active, "shadow", _COMPARED)
        budget_us = serving.budget_us(model, slot)

        def judged(seen: Observed) -> Verdict:
            return judge(seen, budget_us, self._settings())

        self._watch(model, slot, run, Phase.PROBATION, judged)

    def _watch_trial(self, model: str, slot: str, run: int) -> None:
        """A candidate on trial is judged here only by what no server need be asked about."""
        self._watch(model, slot, run, Phase.TRIAL, judge_answers)

    def _watch(self, model: str, slot: str, run: int, phase: Phase, judged: Callable[[Observed], Verdict]) -> None:
        tools = self._tools
        began = tools.clock.since_boot()
        # On trial it may have answered thousands of copies, which say nothing of how it serves.
        earlier = tools.serving.numbers(model, slot)

        def look() -> None:
            state = self.states.get(model)
            if state is None or state.run != run or state.phase != phase:
                return
            elapsed_s = tools.clock.since_boot() - began
            if phase == Phase.TRIAL and elapsed_s >= self._settings().probation_s:
                self.feed(model, on.TrialStable(run))
            numbers = since(earlier, tools.serving.numbers(model, slot))
            other = tools.serving.numbers(model, state.active) if phase == Phase.PROBATION else Numbers()
            verdict = judged(_observed(elapsed_s, numbers, other))
            if verdict.passed is None:
                self._watches[model] = tools.loop.after(_LOOK_S, look)
            elif verdict.passed:
                self.feed(model, on.ProbationPassed(run))
            elif phase == Phase.PROBATION:
                self.feed(model, on.ProbationFailed(run, verdict.code, verdict.text))
            else:
                self.feed(model, on.TrialFailed(run, verdict.code, verdict.text))

        self._unwatch(model)
        self._watches[model] = tools.loop.after(_LOOK_S, look)

    def _unwatch(self, model: str) -> None:
        timer = self._watches.pop(model, None)
        if timer is not None:
            timer.cancel()


def _new_grant(before: Desired | None, wanted: Desired | None) -> bool:
    """Whether the directive before named the same release with another grant."""
    if before is None or wanted is None:
        return False
    return before.release == wanted.release and before.grant != wanted.grant


def _observed(elapsed_s: float, numbers: Numbers, other: Numbers) -> Observed:
    """What a release did, and how it compares with the ``other`` one that is still loaded."""
    compared = other.compared or Compared()
    sketch = Sketch(numbers.sketch)
    return Observed(
        elapsed_s, numbers.count, numbers.errors, numbers.nonfinite, sketch, compared.pairs, compared.agreed
    )
