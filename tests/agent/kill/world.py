"""The real steps of updates over a real journal; what they do is done to a disk, workers and a broker that are made up.

The made-up world knows the truth: what a slot really holds, whether all of it is there, what passed its self-test. It
objects to whatever is done on the strength of something that is not so.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from dunlin_contract.settings import Settings
from fleet_agent.clock import SignedTime
from fleet_agent.journal import Journal
from fleet_agent.paths import Paths
from fleet_agent.slots import Slot
from fleet_agent.supervisor.front import Numbers
from fleet_agent.supervisor.instance import GOOD, Outcome
from fleet_agent.supervisor.unlocking import Answer
from fleet_agent.supervisor.updates import Tools, Updates
from fleet_agent.update import effects as do
from fleet_agent.update import events as on
from fleet_agent.update.state import RUNNING, Phase, State
from tests.agent.kill.simulated import KilledError, SimulatedLoop
from tests.agent.kill.walk import COUNTERS

MODEL = "m"
SETTINGS = Settings(probation_s=0, probation_requests=1, probation_max_s=60)
DAMAGED = Outcome(False, "damaged", "bit rot", damaged=True)
_LONG_S = 3600.0


@dataclass
class Disk:
    """What survives a kill besides the journal: by slot, the release in it, whether all of it is there and is good.

    ``damaged``: some of its bytes changed since, which whoever decrypts it finds out.
    """

    held: dict[str, bytes] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)
    passed: set[str] = field(default_factory=set)
    damaged: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, state: State | None) -> "Disk":
        """The disk of a device whose journal says ``state``."""
        disk = cls()
        for slot in ("a", "b"):
            copy = state.copy(slot) if state is not None else None
            if copy is not None:
                disk.held[slot] = copy.release
                disk.whole |= {slot} if copy.complete else set()
                disk.passed |= {slot} if copy.tested else set()
        return disk

    def witness(self, state: State | None, event: on.Event) -> None:
        """What must be so in the world for ``event`` to be told."""
        if state is None:
            return
        trial = {state.trial} - {None}
        match event:
            case on.Downloaded() if state.phase == Phase.DOWNLOADING:
                self.whole |= trial
            case on.TestPassed() if state.phase == Phase.TESTING:
                self.passed |= trial
            case on.TrialFailed(damaged=True):
                self.damaged |= trial
            case on.ActiveDamaged(slot):
                self.damaged.add(slot)


class Knife:
    """Counts the points at which the power may go, and kills at one of them."""

    def __init__(self, at: int | None = None) -> None:
        self.points = 0
        self._at = at
        self.cut = False

    def point(self) -> None:
        self.points += 1
        if self.points == self._at:
            self.cut = True
            raise KilledError


class CutJournal(Journal):
    """The power may go before a commit and after it."""

    knife = Knife()

    def commit(self) -> None:
        self.knife.point()
        super().commit()
        self.knife.point()


class CutUpdates(Updates):
    """The power may go after each effect too."""

    knife = Knife()

    def _do(self, model: str, effect: do.Effect) -> None:
        super()._do(model, effect)
        self.knife.point()


class Life:
    """One life of the agent's updates: from its start until it is killed."""

    def __init__(self, folder: Path, disk: Disk, knife: Knife) -> None:
        self.disk = disk
        self.loop = loop = SimulatedLoop()
        self.journal = CutJournal(folder / "journal.db")
        self.journal.knife = knife
        self.serving: str | None = None
        self.asked_to_serve: list[str] = []
        self.tried: tuple[str, str] | None = None
        self.running: set[str] = set()
        self._dead: set[int] = set()
        clock = loop.clock(1_700_000_000.0)
        any_self: Any = self
        tools = Tools(
            any_self.loop, Paths(folder), self.journal, clock, SignedTime(clock, 1), any_self, any_self, any_self,
            any_self,
        )  # fmt: skip
        self.updates = CutUpdates(tools, lambda: SETTINGS, lambda: None)
        self.updates.knife = knife
        self._plan: Callable[[], None] | None = None
        self._download: Callable[[], None] | None = None

    @property
    def state(self) -> State | None:
        return self.updates.states.get(MODEL)

    def amidst(self, state: State | None, event: on.Event) -> None:
        """It has been alive for a while: what ``state`` says runs and serves does, and ``event`` comes."""
        if state is not None:
            slots = {state.active, state.trial if state.phase in RUNNING else None}
            self.running = {slot for slot in slots if slot is not None and not state.halted}
            self.serving = state.serving
        if isinstance(event, on.Planned):
            self.updates._plans[MODEL] = plan(event.release)

    def close(self) -> None:
        self.journal.close()

    # What planning, downloads and the unlocker are asked; the last asked of each counts.

    def begin(self, *what: Any, recheck: bool = False, done: Callable[[object], None] | None = None) -> None:
        if done is None:
            _, wanted, _, planned = what
            self._plan = lambda: planned(plan(wanted.release))
            self.loop.post(lambda: self._once("_plan"))
            return
        made, slot = what
        state = self.state
        assert state is not None
        assert slot.name not in (self.serving, state.active), "the known-good slot was overwritten"
        if self.disk.held.get(slot.name) != made.release:
            self.disk.passed.discard(slot.name)
            self.disk.damaged.discard(slot.name)
        if recheck:
            self.disk.damaged.discard(slot.name)
        self.disk.held[slot.name] = made.release
        self.disk.whole.discard(slot.name)
        told = done

        def downloaded() -> None:
            self.disk.whole.add(slot.name)
            told(None)

        self._download = downloaded
        self.loop.post(lambda: self._once("_download"))

    def _once(self, name: str) -> None:
        call, _ = getattr(self, name), setattr(self, name, None)
        if call is not None:
            call()

    def cancel(self, _: str) -> None:
        self._plan = self._download = None

    def ask(self, body: Mapping[str, object], done: Callable[[Answer], None], **_: object) -> None:
        self.loop.post(partial(done, Answer(ok=True)))

    # What serving is asked.

    def stage(self, slot: Slot, _: object, done: Callable[[object], None]) -> None:
        self.running.discard(slot.name)
        self.loop.post(partial(done, DAMAGED if slot.name in self.disk.damaged else GOOD))

    def load(self, _: str, slot: str, done: Callable[[object], None]) -> None:
        assert slot in self.disk.whole, "an incomplete release was loaded"
        self.running.add(slot)
        self.loop.post(partial(done, GOOD))

    def test(self, _: str, slot: str, started: Callable[[], None], done: Callable[[object], None]) -> None:
        def test() -> None:
            started()
            if slot in self.running:
                self.disk.passed.add(slot)
                self.loop.post(partial(done, GOOD))

        self.loop.post(test)

    def serve(self, slot: Slot, copy: Any) -> None:
        assert slot.name in self.disk.whole, "an incomplete release was to serve"
        assert slot.name in self.disk.passed, "an untested release was to serve"
        assert self.disk.held[slot.name] == copy.release, "another release was to serve"
        self.asked_to_serve.append(slot.name)
        if slot.name in self.disk.damaged:
            self.loop.post(partial(self.updates.start_failed, MODEL, slot.name, DAMAGED))
            return
        self.running.add(slot.name)
        self.serving = slot.name

    def try_beside(self, _: str, slot: str, mode: str, share: int) -> None:
        assert slot in self.running & self.disk.whole & self.disk.passed, "an untested release was tried"
        self.tried = slot, mode

    def unserve(self, _: str) -> None:
        self.serving = None

    def retire(self, _: str, slot: str) -> None:
        self.running.discard(slot)
        if self.serving == slot:
            self.serving = None

    def runs(self, _: str, slot: str) -> bool:
        return slot in self.running

    def budget_us(self, _: str, __: str) -> int:
        return 1_000_000

    def numbers(self, _: str, __: str) -> Numbers:
        return Numbers(count=10)

    def settle(self) -> None:
        """Until nothing more is going to happen."""
        self.loop.until(lambda: False, _LONG_S)


def plan(release: bytes) -> Any:
    """A plan for a release that fits."""
    manifest = SimpleNamespace(version="1.0.0", counter=COUNTERS[release])
    return SimpleNamespace(
        release=release, layout=SimpleNamespace(manifest=manifest, variant=SimpleNamespace(kind="onnx"))
    )


def wanted(release: bytes) -> Any:
    """A directive's word about a release."""
    return SimpleNamespace(release=release, floor=0, grant=release)


def directive(before: State | None, event: on.Event, after: State | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The directive in force once ``event`` happens: what it names, and what it wants tried."""
    state = after if after is not None else before
    if isinstance(event, on.Undesired) or state is None or state.desired is None:
        return {}, {}
    trials = {}
    if state.beside is not None and state.beside != state.desired:
        trials[MODEL] = SimpleNamespace(candidate=wanted(state.beside), mode=state.mode, share=state.share)
    return {MODEL: wanted(state.desired)}, trials


class Bench:
    """Journals that are made once and copied for every case."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cases = 0
        Journal(folder / "empty.db").close()

    def fresh(self, state: State | None) -> Path:
        """A state folder whose journal knows ``state``."""
        self._cases += 1
        folder = self._folder / str(self._cases)
        folder.mkdir()
        shutil.copyfile(self._folder / "empty.db", folder / "journal.db")
        if state is not None:
            journal = Journal(folder / "journal.db")
            with journal.transaction() as write:
                write.model(MODEL, state)
            journal.close()
        return folder
