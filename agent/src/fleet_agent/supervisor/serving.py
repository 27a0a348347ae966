"""The workers: one process for each release that is loaded, brought up in steps or all at once, and kept alive.

A candidate goes up step by step (:meth:`Serving.stage`, ``load``, ``test``), since each step is a phase of its update.
A known-good release goes up by :meth:`Serving.serve`, which also routes to it, and is started again when it dies.
"""

import itertools
import os
import socket
from collections.abc import Callable
from functools import partial
from typing import Protocol

from fleet_agent import ipc
from fleet_agent.errors import StorageError, line
from fleet_agent.slots import Part, Slot
from fleet_agent.supervisor.child import Child
from fleet_agent.supervisor.front import Attachment, Front, Listen, Numbers
from fleet_agent.supervisor.instance import GOOD, DamagedError, Done, Instance, Outcome, memory_need, read_layout, total
from fleet_agent.supervisor.loop import Loop
from fleet_agent.supervisor.unlocking import Answer, Unlocker
from fleet_agent.update.state import Copy

_LOAD_S = 300.0
_TEST_S = 600.0
_PAUSES_S = (0.0, 1.0, 2.0, 5.0, 15.0, 60.0)
_HEALTHY_S = 60.0
_CODE_CHARS = 64
_THREADS = max(1, min(4, os.cpu_count() or 1))


class Listener(Protocol):
    """Whom serving tells what it did not ask for, in the loop's thread."""

    def worker_died(self, model: str, slot: str, text: str) -> bool:
        """A loaded worker died. True: start it again."""

    def start_failed(self, model: str, slot: str, outcome: Outcome) -> bool:
        """A release that should serve did not come up. True: try again."""

    def front_failed(self, code: str, text: str) -> None:
        """The local API cannot be had (for now)."""


class Serving:
    """All workers of the device, the front before them, and the routes between."""

    def __init__(
        self, loop: Loop, unlocker: Unlocker, listen: Listen, room: Callable[[], int], listener: Listener
    ) -> None:
        self._loop = loop
        self._unlocker = unlocker
        self._room = room
        self._listener = listener
        self.front = Front(loop, listen, self)
        self._numbers = itertools.count(1)
        self._instances: dict[tuple[str, str], Instance] = {}
        self._routes: dict[str, str] = {}
        self._retiring: dict[str, dict[int, Instance]] = {}
        self._waiting: dict[str, list[Callable[[], None]]] = {}
        self._restarts: dict[tuple[str, str], int] = {}

    # Steps of a candidate.

    def stage(self, slot: Slot, copy: Copy, done: Done) -> None:
        """Decrypt the model into sealed memory."""
        self._drop(slot.model, slot.name)
        instance = Instance(next(self._numbers), slot.model, slot, copy)
        self._instances[slot.model, slot.name] = instance
        try:
            instance.layout = read_layout(slot, copy)
        except DamagedError as error:
            outcome = Outcome(False, "damaged", str(error), damaged=True)
            self._loop.post(partial(self._fail, instance, outcome, done))
            return
        self._unlock(instance, instance.layout.model, lambda answer: self._staged(instance, answer, done))

    def load(self, model: str, slot: str, done: Done) -> None:
        """Give the staged model to a new worker, once workers of this model that are leaving have left."""
        instance = self._instances[model, slot]
        if self._retiring.get(model):
            self._waiting.setdefault(model, []).append(lambda: self._load(instance, done))
        else:
            self._load(instance, done)

    def test(self, model: str, slot: str, started: Callable[[], None], done: Done) -> None:
        """Run the golden self-test in the loaded worker."""
        instance = self._instances[model, slot]
        assert instance.layout is not None
        self._unlock(instance, instance.layout.golden, lambda answer: self._test(instance, answer, started, done))

    # What serves.

    def serve(self, slot: Slot, copy: Copy) -> None:
        """Route the model to ``slot``, now or as soon as its worker is up."""
        self._routes[slot.model] = slot.name
        instance = self._instances.get((slot.model, slot.name))
        if instance is None or instance.copy.release != copy.release:
            self._bring_up(slot, copy)
        elif instance.loaded:
            self._route(instance)

    def unserve(self, model: str) -> None:
        """Let no request for the model in."""
        self._routes.pop(model, None)
        self.front.unroute(model)

    def retire(self, model: str, slot: str) -> None:
        """Let the slot's worker finish what it has and end it."""
        self._restarts.pop((model, slot), None)
        instance = self._instances.pop((model, slot), None)
        if instance is None:
            return
        self._forget_steps(instance)
        self._retiring.setdefault(model, {})[instance.number] = instance
        # Not before the process has ended is there room for the next.
        end = partial(self._end, instance, lambda: self._retired(instance))
        if instance.attached:
            self.front.detach(instance.number, end)
        else:
            end()

    def kill(self, model: str) -> None:
        """End every worker of the model at once, with what it is doing."""
        self.unserve(model)
        for key in [key for key in self._instances if key[0] == model]:
            self._drop(*key)
        # Also those that were still to finish what they have: they hold the model in memory.
        for instance in self._retiring.pop(model, {}).values():
            self._end(instance)
        self._waiting.pop(model, None)

    def numbers(self, model: str, slot: str | None) -> Numbers:
        """What the slot's worker has answered since it was loaded."""
        instance = self._instances.get((model, slot or ""))
        return instance.served if instance is not None else Numbers()

    def budget_us(self, model: str, slot: str) -> int:
        """What the packager promised of the loaded variant's 95th percentile, in microseconds."""
        layout = self._instances[model, slot].layout
        assert layout is not None
        return layout.variant.budget.p95_us

    def ready(self, model: str) -> bool:
        """Whether requests for the model are answered now."""
        instance = self._instances.get((model, self._routes.get(model, "")))
        return instance is not None and instance.attached

    def close(self) -> None:
        """End all processes."""
        for key in list(self._instances):
            self._drop(*key)
        self.front.close()

    # The front tells.

    def worker_numbers(self, number: int, numbers: Numbers) -> None:
        instance = self._by_number(number)
        if instance is not None:
            instance.served = total(instance.before, numbers)

    def worker_lost(self, number: int) -> None:
        instance = self._by_number(number)
        if instance is not None:
            self._died(instance, "its data socket broke")

    def front_failed(self, code: str, text: str) -> None:
        for instance in self._instances.values():
            # The next front counts from zero.
            instance.before = instance.served
        self._listener.front_failed(code, text)

    # Bringing up, step by step.

    def _bring_up(self, slot: Slot, copy: Copy) -> None:
        def failed(outcome: Outcome) -> None:
            wanted = self._routes.get(slot.model) == slot.name
            if wanted and self._listener.start_failed(slot.model, slot.name, outcome):
                self._again(slot, copy)

        def loaded(outcome: Outcome) -> None:
            instance = self._instances.get((slot.model, slot.name))
            if not outcome.ok:
                self._drop(slot.model, slot.name)
                failed(outcome)
            elif instance is not None and self._routes.get(slot.model) == slot.name:
                self._route(instance)

        def staged(outcome: Outcome) -> None:
            if outcome.ok:
                self.load(slot.model, slot.name, loaded)
            else:
                failed(outcome)

        self.stage(slot, copy, staged)

    def _again(self, slot: Slot, copy: Copy) -> None:
        """Start a release that should serve once more, after a pause that grows while it keeps failing."""
        key = (slot.model, slot.name)
        times = self._restarts.get(key, 0)
        self._restarts[key] = times + 1

        def start() -> None:
            if self._routes.get(slot.model) == slot.name and key not in self._instances and key in self._restarts:
                self._bring_up(slot, copy)

        self._loop.after(_PAUSES_S[min(times, len(_PAUSES_S) - 1)], start)

    def _staged(self, instance: Instance, answer: Answer, done: Done) -> None:
        if not self._current(instance):
            return
        if not answer.ok:
            damaged = answer.refused or answer.code == "keystore"
            self._fail(instance, Outcome(False, answer.code, answer.text, damaged), done)
            return
        instance.memory = answer.take_fd()
        done(GOOD)

    def _load(self, instance: Instance, done: Done) -> None:
        if not self._current(instance) or instance.memory is None or instance.layout is None:
            return
        need, room = memory_need(instance.layout), self._room()
        if need > room:
            text = f"{instance.model} needs {need >> 20} MiB of memory, {room >> 20} MiB are free"
            # Staged memory is kept: the answer may be to make room and try again.
            done(Outcome(False, "no-room", text))
            return
        variant = instance.layout.variant
        instance.child = Child(
            self._loop,
            "fleet_agent.worker",
            lambda message: self._worker_said(instance, message),
            lambda why: self._died(instance, f"it was {why}"),
        )
        instance.data, theirs = socket.socketpair()
        body = {"do": "load", "runtime": variant.fit.runtime, "io": variant.io.to_cbor(), "threads": _THREADS}
        with theirs:
            instance.child.send(body, [instance.memory, theirs.fileno()])
        instance.drop_memory()
        self._expect(instance, done, _LOAD_S)

    def _test(self, instance: Instance, answer: Answer, started: Callable[[], None], done: Done) -> None:
        if not self._current(instance) or instance.layout is None or instance.child is None:
            return
        if not answer.ok:
            self._fail(instance, Outcome(False, answer.code, answer.text, answer.refused), done)
            return
        golden = instance.layout.variant.golden
        body = {"do": "golden", "tolerance": golden.tolerance, "top1_permille": golden.top1_permille}
        instance.child.send(body, answer.fds[:1])
        self._expect(instance, done, _TEST_S)
        started()

    def _unlock(self, instance: Instance, part: Part, done: Callable[[Answer], None]) -> None:
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
            self._loop.post(partial(done, Answer(ok=False, refused=True, code="damaged", text=str(error))))
            return
        self._unlocker.ask(body, done, fds=fds)

    def _expect(self, instance: Instance, done: Done, seconds: float) -> None:
        instance.step = done
        instance.deadline = self._loop.after(seconds, lambda: self._died(instance, f"no answer in {seconds:.0f} s"))

    def _worker_said(self, instance: Instance, message: ipc.Message) -> None:
        ipc.close_all(message.fds)
        if not self._current(instance):
            return
        if instance.step is None:
            self._died(instance, "it spoke out of turn")
            return
        done = self._forget_steps(instance)
        body = message.body
        if body.get("is") == "loaded":
            instance.loaded = True
            outcome = GOOD
        elif body.get("is") == "golden":
            text = str(body.get("text", ""))
            outcome = GOOD if body.get("ok") is True else Outcome(False, "self-test", line(text))
        else:
            # The model is in that process: nothing it says may be longer than what the journal and the server take.
            outcome = Outcome(
                False, line(str(body.get("code", "load-failed")))[:_CODE_CHARS], line(str(body.get("text", "")))
            )
        if not outcome.ok:
            self._drop(instance.model, instance.slot.name)
        if done is not None:
            done(outcome)

    def _died(self, instance: Instance, why: str) -> None:
        if not self._current(instance):
            return
        done = self._forget_steps(instance)
        self._drop(instance.model, instance.slot.name)
        if done is not None:
            done(Outcome(False, "crash", f"the worker died: {why}"))
        elif self._listener.worker_died(instance.model, instance.slot.name, why):
            self._again(instance.slot, instance.copy)

    def _route(self, instance: Instance) -> None:
        if not instance.attached:
            instance.attached = True
            variant = instance.layout.variant if instance.layout else None
            assert variant is not None
            self.front.attach(
                Attachment(
                    instance.number,
                    instance.model,
                    instance.copy.version,
                    instance.copy.release,
                    variant.io.to_cbor(),
                    variant.fit.runtime,
                    instance.connect,
                )
            )
        self.front.route(instance.model, instance.number)
        key = (instance.model, instance.slot.name)
        self._loop.after(_HEALTHY_S, lambda: self._restarts.pop(key, None) if self._current(instance) else None)

    # Ends.

    def _fail(self, instance: Instance, outcome: Outcome, done: Done) -> None:
        if not self._current(instance):
            return
        self._drop(instance.model, instance.slot.name)
        done(outcome)

    def _drop(self, model: str, slot: str) -> None:
        instance = self._instances.pop((model, slot), None)
        if instance is not None:
            self._forget_steps(instance)
            self._end(instance)
            if instance.attached:
                self.front.forget(instance.number)

    def _end(self, instance: Instance, gone: Callable[[], None] | None = None) -> None:
        instance.drop_memory()
        if instance.data is not None:
            instance.data.close()
        if instance.child is not None:
            instance.child.close(gone)
        elif gone is not None:
            gone()

    def _retired(self, instance: Instance) -> None:
        leaving = self._retiring.get(instance.model, {})
        leaving.pop(instance.number, None)
        if not leaving:
            for call in self._waiting.pop(instance.model, []):
                call()

    @staticmethod
    def _forget_steps(instance: Instance) -> Done | None:
        if instance.deadline is not None:
            instance.deadline.cancel()
        done, instance.step = instance.step, None
        return done

    def _current(self, instance: Instance) -> bool:
        return self._instances.get((instance.model, instance.slot.name)) is instance

    def _by_number(self, number: int) -> Instance | None:
        return next((one for one in self._instances.values() if one.number == number), None)
