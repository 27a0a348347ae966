"""The steps of a worker, from a slot to a tested model: what it is given, and how long each step may take.

Each step ends with an :class:`Outcome`. One that fails takes the worker off the roster, except where only memory is
missing: what was staged is kept, since the answer may be to make room and try again.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from dunlin_contract.rules import Rule
from fleet_agent.errors import StorageError
from fleet_agent.slots import Part
from fleet_agent.supervisor.instance import (
    GOOD,
    LEAN,
    DamagedError,
    Done,
    Engine,
    Instance,
    Outcome,
    memory_need,
    read_layout,
)
from fleet_agent.supervisor.leaving import Leaving
from fleet_agent.supervisor.loop import Loop
from fleet_agent.supervisor.roster import Roster
from fleet_agent.supervisor.unlocking import Answer, Unlocker

_LOAD_S = 300.0
_TEST_S = 600.0


@dataclass(frozen=True, slots=True)
class Loading:
    """The steps. ``room``: bytes of free memory; ``start``: starts a worker's process; ``died``: hears it is dead."""

    loop: Loop
    unlocker: Unlocker
    roster: Roster
    leaving: Leaving
    room: Callable[[], int]
    start: Callable[[Instance], None]
    died: Callable[[Instance, str], None]

    def stage(self, instance: Instance, done: Done) -> None:
        """Decrypt the model, and what is loaded with it, into sealed memory."""
        try:
            instance.layout = read_layout(instance.slot, instance.copy, lean=instance.way == LEAN)
        except DamagedError as error:
            outcome = Outcome(False, "damaged", str(error), damaged=True)
            self.loop.post(partial(self._fail, instance, outcome, done))
            return

        def staged(answer: Answer) -> None:
            self._staged(instance, answer, done)

        if instance.engine is not None:
            self._open_engine(instance.model, instance.engine, staged)
        else:
            self.unlock(instance, instance.layout.model, staged)

    def load(self, instance: Instance, done: Done) -> None:
        """Start a worker and give it the staged model."""
        if not self.roster.current(instance) or instance.memory is None or instance.layout is None:
            return
        count, room = instance.settings.workers, self.room()
        need, allowed = memory_need(instance.layout), instance.settings.memory_mb << 20
        need += instance.engine.head.length if instance.engine is not None else 0
        if 0 < allowed < need:
            text = f"a worker of {instance.model} needs {need >> 20} MiB of memory, agent.toml allows {allowed >> 20}"
            self._fail(instance, Outcome(False, "memory", f"{text}: raise memory_mb"), done)
            return
        if need * count > room:
            workers = f" for {count} workers" if count > 1 else ""
            text = f"{instance.model} needs {need * count >> 20} MiB of memory{workers}, {room >> 20} MiB are free"
            done(Outcome(False, "no-room", text))
            return
        self.start(instance)
        self._expect(instance, done, _LOAD_S)

    def test(self, instance: Instance, started: Callable[[], None], done: Done) -> None:
        """Run the golden self-test in the loaded worker."""
        assert instance.layout is not None
        self.unlock(instance, instance.layout.golden, lambda answer: self._test(instance, answer, started, done))

    def unlock(self, instance: Instance, part: Part, done: Callable[[Answer], None]) -> None:
        """Have a part of the instance's release decrypted into a sealed memory file."""
        assert instance.layout is not None
        body: dict[str, object] = {
            "do": "unlock",
            "model": instance.model,
            "release": instance.copy.release,
            "cek": instance.slot.sealed_cek() or b"",
            "payload": instance.layout.manifest.payloads[part.payload].to_cbor(),
            "offset": part.offset,
        }
        try:
            fds = [instance.slot.open_chunks()]
        except StorageError as error:
            self.loop.post(partial(done, Answer(ok=False, refused=True, code="damaged", text=str(error))))
            return
        self.unlocker.ask(body, done, fds=fds)

    def _open_engine(self, model: str, engine: Engine, done: Callable[[Answer], None]) -> None:
        try:
            fds = [os.open(engine.path, os.O_RDONLY | os.O_CLOEXEC)]
        except OSError as error:
            refused = Answer(ok=False, refused=True, code=Rule.CHUNK_OPEN, text=f"the engine: {error.strerror}")
            self.loop.post(partial(done, refused))
            return
        self.unlocker.ask({"do": "open-engine", "model": model}, done, fds=fds)

    def _staged(self, instance: Instance, answer: Answer, done: Done) -> None:
        if not self._unlocked(instance, answer, done):
            return
        instance.keep(answer.take_fd())
        labels = instance.layout.labels if instance.layout is not None else None
        if labels is None:
            self._measure(instance, done)
        else:
            self.unlock(instance, labels, lambda answer: self._labelled(instance, answer, done))

    def _labelled(self, instance: Instance, answer: Answer, done: Done) -> None:
        if self._unlocked(instance, answer, done):
            instance.labels = answer.take_fd()
            self._measure(instance, done)

    def _measure(self, instance: Instance, done: Done) -> None:
        baseline = instance.layout.baseline if instance.layout is not None else None
        if baseline is None:
            done(GOOD)
        else:
            self.unlock(instance, baseline, lambda answer: self._measured(instance, answer, done))

    def _measured(self, instance: Instance, answer: Answer, done: Done) -> None:
        if self._unlocked(instance, answer, done):
            instance.baseline = answer.take_fd()
            done(GOOD)

    def _unlocked(self, instance: Instance, answer: Answer, done: Done) -> bool:
        if not self.roster.current(instance):
            return False
        if not answer.ok:
            damaged = answer.refused or answer.code == "keystore"
            self._fail(instance, Outcome(False, answer.code, answer.text, damaged), done)
        return answer.ok

    def _test(self, instance: Instance, answer: Answer, started: Callable[[], None], done: Done) -> None:
        if not self.roster.current(instance) or instance.layout is None or instance.child is None:
            return
        if not answer.ok:
            self._fail(instance, Outcome(False, answer.code, answer.text, answer.refused), done)
            return
        golden = instance.layout.variant.golden
        body = {"do": "golden", "tolerance": golden.tolerance, "top1_permille": golden.top1_permille}
        instance.child.send(body, answer.fds[:1])
        self._expect(instance, done, _TEST_S)
        started()

    def _expect(self, instance: Instance, done: Done, seconds: float) -> None:
        instance.step = done
        instance.deadline = self.loop.after(seconds, lambda: self.died(instance, f"no answer in {seconds:.0f} s"))

    def _fail(self, instance: Instance, outcome: Outcome, done: Done) -> None:
        if not self.roster.current(instance):
            return
        self.leaving.drop(instance.model, instance.place)
        done(outcome)
