"""The workers: one process for each release that is loaded, brought up in steps or all at once, and kept alive.

A candidate goes up step by step (:meth:`Serving.stage`, ``load``, ``test``), since each step is a phase of its update.
A known-good release goes up by :meth:`Serving.serve`, which also routes to it, and is started again when it dies.
"""

import itertools
from collections.abc import Callable
from functools import partial
from typing import Protocol

from dunlin_contract.sketch import Sketch
from fleet_agent import ipc
from fleet_agent.config.workers import Workers
from fleet_agent.errors import StorageError
from fleet_agent.slots import Part, Slot
from fleet_agent.supervisor.copies import Copies, Means
from fleet_agent.supervisor.front import Attachment, Front, Listen, Numbers
from fleet_agent.supervisor.instance import (
    GOOD,
    DamagedError,
    Done,
    Instance,
    Outcome,
    memory_need,
    read_layout,
    resident_bytes,
    total,
)
from fleet_agent.supervisor.loop import Loop
from fleet_agent.supervisor.unlocking import Answer, Unlocker
from fleet_agent.update.state import Copy

_LOAD_S = 300.0
_TEST_S = 600.0
_PAUSES_S = (0.0, 1.0, 2.0, 5.0, 15.0, 60.0)
_HEALTHY_S = 60.0


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
        self,
        loop: Loop,
        unlocker: Unlocker,
        listen: Listen,
        room: Callable[[], int],
        listener: Listener,
        workers: Workers,
    ) -> None:
        self._loop = loop
        self._unlocker = unlocker
        self._room = room
        self._listener = listener
        self._workers = workers
        self.front = Front(loop, listen, self)
        self._numbers = itertools.count(1)
        self._copies = Copies(
            Means(loop, self.front, self._numbers, self._unlock, self._start, self._attach, self._first, self._current)
        )
        self._instances: dict[tuple[str, str], Instance] = {}
        self._routes: dict[str, str] = {}
        self._retiring: dict[str, dict[int, Instance]] = {}
        self._waiting: dict[str, list[Callable[[], None]]] = {}
        self._restarts: dict[tuple[str, str], int] = {}

    # Steps of a candidate.

    def stage(self, slot: Slot, copy: Copy, done: Done) -> None:
        """Decrypt the model into sealed memory."""
        self._drop(slot.model, slot.name)
        instance = Instance(next(self._numbers), slot.model, slot, copy, self._workers.of(slot.model))
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

    def try_beside(self, model: str, slot: str, mode: str, share: int) -> None:
        """Run the slot's loaded worker beside the one that serves, and count anew how they compare."""
        instance = self._instances[model, slot]
        if not instance.attached:
            self._attach(instance)
        instance.before.compared = instance.served.compared = None
        self.front.try_beside(instance.number, mode, share)

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
        for one in (instance, *instance.copies):
            self._retiring.setdefault(model, {})[one.number] = one
            # Not before the process has ended is there room for the next.
            end = partial(one.end, partial(self._retired, one))
            if one.attached:
                self.front.detach(one.number, end)
            else:
                end()

    def kill(self, model: str) -> None:
        """End every worker of the model at once, with what it is doing."""
        self.unserve(model)
        for key in [key for key in self._instances if key[0] == model]:
            self._drop(*key)
        # Also those that were still to finish what they have: they hold the model in memory.
        for instance in self._retiring.pop(model, {}).values():
            instance.end()
        self._waiting.pop(model, None)

    def numbers(self, model: str, slot: str | None) -> Numbers:
        """What the slot's workers have answered since the release was loaded."""
        served = Numbers()
        instance = self._instances.get((model, slot or ""))
        for one in (instance, *instance.copies) if instance is not None else ():
            served = total(served, one.served)
        return served

    def about(self, model: str) -> dict[str, object]:
        """How the release that serves runs here, for status."""
        instance = self._instances.get((model, self._routes.get(model, "")))
        if instance is None or not instance.loaded:
            return {}
        running = instance.running
        served = self.numbers(model, instance.slot.name)
        sketch = Sketch(served.sketch)
        return {
            "version": instance.copy.version,
            "release": instance.copy.release.hex(),
            "errors": served.errors,
            "p50_us": round(sketch.quantile(0.5)),
            "p95_us": round(sketch.quantile(0.95)),
            "workers": 1 + sum(copy.attached for copy in instance.copies),
            "batch": instance.batch,
            "threads": running.threads,
            "runs_on": running.runs_on,
            "note": running.note,
            "locked": running.locked,
            "sandbox": running.sandbox.to_map(),
        }

    def memory_bytes(self, model: str, slot: str | None) -> int:
        """What the slot's worker has in memory now."""
        instance = self._instances.get((model, slot or ""))
        return resident_bytes(instance.child.pid) if instance is not None and instance.child is not None else 0

    def runs(self, model: str, slot: str | None) -> bool:
        """Whether the slot's worker takes requests, routed to or not."""
        instance = self._instances.get((model, slot or ""))
        return instance is not None and instance.attached

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

    def worker_hung(self, number: int) -> None:
        instance = self._by_number(number)
        if instance is not None:
            self._died(instance, "it gave no answer in time")

    def front_failed(self, code: str, text: str) -> None:
        for instance in self._instances.values():
            for one in (instance, *instance.copies):
                # The next front counts from zero.
                one.before = one.served
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
        if not self._unlocked(instance, answer, done):
            return
        instance.keep(answer.take_fd())
        labels = instance.layout.labels if instance.layout is not None else None
        if labels is None:
            done(GOOD)
        else:
            self._unlock(instance, labels, lambda answer: self._labelled(instance, answer, done))

    def _labelled(self, instance: Instance, answer: Answer, done: Done) -> None:
        if self._unlocked(instance, answer, done):
            instance.labels = answer.take_fd()
            done(GOOD)

    def _unlocked(self, instance: Instance, answer: Answer, done: Done) -> bool:
        if not self._current(instance):
            return False
        if not answer.ok:
            damaged = answer.refused or answer.code == "keystore"
            self._fail(instance, Outcome(False, answer.code, answer.text, damaged), done)
        return answer.ok

    def _load(self, instance: Instance, done: Done) -> None:
        if not self._current(instance) or instance.memory is None or instance.layout is None:
            return
        count, room = instance.settings.workers, self._room()
        need, allowed = memory_need(instance.layout), instance.settings.memory_mb << 20
        if 0 < allowed < need:
            text = f"a worker of {instance.model} needs {need >> 20} MiB of memory, agent.toml allows {allowed >> 20}"
            self._fail(instance, Outcome(False, "memory", f"{text}: raise memory_mb"), done)
            return
        if need * count > room:
            workers = f" for {count} workers" if count > 1 else ""
            text = f"{instance.model} needs {need * count >> 20} MiB of memory{workers}, {room >> 20} MiB are free"
            # Staged memory is kept: the answer may be to make room and try again.
            done(Outcome(False, "no-room", text))
            return
        self._start(instance)
        self._expect(instance, done, _LOAD_S)

    def _start(self, instance: Instance) -> None:
        instance.start(
            self._loop,
            lambda message: self._worker_said(instance, message),
            lambda why: self._died(instance, f"it was {why}"),
        )

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
        first = self._first(instance)
        if first is None and not self._current(instance):
            return
        if instance.attached and instance.batched(message):
            self.front.batch(instance.number, instance.batch)
            return
        if first is not None:
            self._copies.said(instance, message)
            return
        if instance.step is None:
            self._died(instance, "it spoke out of turn")
            return
        done = self._forget_steps(instance)
        outcome = instance.heard(message)
        if not outcome.ok:
            self._drop(instance.model, instance.slot.name)
        if done is not None:
            done(outcome)

    def _died(self, instance: Instance, why: str) -> None:
        model, slot = instance.model, instance.slot.name
        if self._first(instance) is not None:
            self._copies.died(instance, why)
            if instance.attached:
                self._listener.worker_died(model, slot, why)
            return
        if not self._current(instance):
            return
        done = self._forget_steps(instance)
        successor = next((copy for copy in instance.copies if copy.attached), None)
        if successor is not None:
            self._succeed(instance, successor)
        else:
            self._drop(model, slot)
        if done is not None:
            done(Outcome(False, "crash", f"the worker died: {why}"))
        elif self._listener.worker_died(model, slot, why):
            if successor is not None:
                self._copies.keep_soon(successor)
            else:
                self._again(instance.slot, instance.copy)

    def _succeed(self, dead: Instance, successor: Instance) -> None:
        """A copy takes the place of the first worker, with what both have answered."""
        successor.copies = [copy for copy in dead.copies if copy is not successor]
        successor.before = total(successor.before, dead.served)
        successor.served = total(successor.served, dead.served)
        self._instances[dead.model, dead.slot.name] = successor
        if self._routes.get(dead.model) == dead.slot.name:
            self.front.route(successor.model, successor.number)
        dead.end()
        self.front.forget(dead.number)

    def _route(self, instance: Instance) -> None:
        if not instance.attached:
            self._attach(instance)
        self._copies.keep(instance)
        self.front.route(instance.model, instance.number)
        key = (instance.model, instance.slot.name)
        self._loop.after(_HEALTHY_S, lambda: self._restarts.pop(key, None) if self._current(instance) else None)

    def _attach(self, instance: Instance) -> None:
        """Make a worker known to the front; find out whether its requests may run together while it serves already."""
        assert instance.layout is not None
        instance.attached = True
        variant = instance.layout.variant
        self.front.attach(
            Attachment(
                instance.number,
                instance.model,
                instance.copy.version,
                instance.copy.release,
                variant.io.to_cbor(),
                variant.fit.runtime,
                instance.connect,
                load_ms=instance.running.load_ms,
                rss=instance.running.rss,
                labels=instance.labels,
            )
        )
        if instance.batches:
            self._unlock(instance, instance.layout.golden, lambda answer: self._try_batches(instance, answer))

    def _try_batches(self, instance: Instance, answer: Answer) -> None:
        if answer.ok and instance.child is not None and instance.layout is not None:
            tolerance = instance.layout.variant.golden.tolerance
            body = {"do": "batch", "rows": instance.settings.batch, "tolerance": tolerance}
            instance.child.send(body, answer.fds[:1])

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
            for one in (instance, *instance.copies):
                one.end()
                if one.attached:
                    self.front.forget(one.number)

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

    def _first(self, copy: Instance) -> Instance | None:
        """The worker beside which ``copy`` runs; None for one that is no copy."""
        return next((one for one in self._instances.values() if copy in one.copies), None)

    def _by_number(self, number: int) -> Instance | None:
        every = (one for first in self._instances.values() for one in (first, *first.copies))
        return next((one for one in every if one.number == number), None)
