"""The workers: one process for each release that is loaded, brought up in steps or all at once, and kept alive.

A candidate goes up step by step (:meth:`Serving.stage`, ``load``, ``test``), since each step is a phase of its update.
A known-good release goes up by :meth:`Serving.serve`, which also routes to it, and is started again when it dies.
``roster.py``: who is there; ``loading.py``: the steps; ``attaching.py``: what the front knows; ``leaving.py``: the end.
"""

import itertools
from collections.abc import Callable
from typing import Protocol

from dunlin_contract.sketch import Sketch
from dunlin_contract.telemetry import DriftCounts
from fleet_agent import ipc
from fleet_agent.config.workers import Workers
from fleet_agent.slots import Slot
from fleet_agent.supervisor.alternates import Alternates, Parts
from fleet_agent.supervisor.attaching import Attaching
from fleet_agent.supervisor.copies import Copies, Means
from fleet_agent.supervisor.front import Front, Listen, Numbers
from fleet_agent.supervisor.instance import Done, Instance, Outcome, resident_bytes, total
from fleet_agent.supervisor.leaving import Leaving
from fleet_agent.supervisor.loading import Loading
from fleet_agent.supervisor.loop import Loop
from fleet_agent.supervisor.quality import Questions, Watch, confidence_of, drift_of, shifts
from fleet_agent.supervisor.roster import Roster
from fleet_agent.supervisor.unlocking import Unlocker
from fleet_agent.update.state import Copy

_PAUSES_S = (0.0, 1.0, 2.0, 5.0, 15.0, 60.0)
_HEALTHY_S = 60.0


class Listener(Protocol):
    """Whom serving tells what it did not ask for, in the loop's thread."""

    def worker_died(self, model: str, slot: str, text: str) -> bool:
        """A loaded worker died. True: start it again."""

    def start_failed(self, model: str, slot: str, outcome: Outcome) -> bool:
        """A release that should serve did not come up. True: try again."""

    def routed(self, model: str) -> None:
        """The workers that answer for a model may be others now."""

    def worker_kept(self, worker: Instance, length: int) -> None:
        """A worker keeps a request of so many bytes in its room; 0: one that is too large."""

    def front_kept(self, worker: Instance, length: int) -> None:
        """The front keeps one that ``worker`` and a candidate answered differently."""

    def stood_in(self, model: str, way: str, why: str) -> None:
        """A worker that ran a release another way than usual is gone, and why; the usual one serves."""

    def ended(self, model: str) -> None:
        """The release that served is to serve no longer; what is made of it is of no use any more."""

    def serves(self) -> None:
        """A worker takes requests that took none before."""

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
        self._listener = listener
        self._workers = workers
        self.front = Front(loop, listen, self)
        self._numbers = itertools.count(1)
        self._roster = roster = Roster()
        self._leaving = Leaving(roster, self.front)
        self._loading = Loading(loop, unlocker, roster, self._leaving, room, self._start, self._died)
        self.unlock = unlock = self._loading.unlock
        self._attach = Attaching(self.front, unlock).attach
        self._copies = Copies(
            Means(loop, self.front, self._numbers, unlock, self._start, self._attach, roster.first, roster.current)
        )
        self.alternates = Alternates(
            Parts(
                self.front,
                self._numbers,
                roster,
                self._leaving,
                self._loading,
                self._attach,
                listener.stood_in,
                listener.ended,
            )
        )
        self._restarts: dict[tuple[str, str], int] = {}
        self._questions = Questions(loop)

    # Steps of a candidate.

    def stage(self, slot: Slot, copy: Copy, done: Done) -> None:
        """Decrypt the model into sealed memory."""
        self._leaving.drop(slot.model, slot.name)
        instance = Instance(next(self._numbers), slot.model, slot, copy, self._workers.of(slot.model))
        self._roster.slots[slot.model, slot.name] = instance
        self._loading.stage(instance, done)

    def load(self, model: str, slot: str, done: Done) -> None:
        """Give the staged model to a new worker, once workers of this model that are leaving have left."""
        instance = self._roster.slots[model, slot]
        self._leaving.when_gone(model, lambda: self._loading.load(instance, done))

    def test(self, model: str, slot: str, started: Callable[[], None], done: Done) -> None:
        """Run the golden self-test in the loaded worker."""
        self._loading.test(self._roster.slots[model, slot], started, done)

    # What serves.

    def serve(self, slot: Slot, copy: Copy) -> None:
        """Route the model to ``slot``, now or as soon as its worker is up."""
        if self._roster.routes.get(slot.model) not in {None, slot.name}:
            self.alternates.end(slot.model)
        self._roster.routes[slot.model] = slot.name
        instance = self._roster.at(slot.model, slot.name)
        if instance is None or instance.copy.release != copy.release:
            self._bring_up(slot, copy)
        elif instance.loaded:
            self._route(instance)

    def try_beside(self, model: str, slot: str, mode: str, share: int) -> None:
        """Run the slot's loaded worker beside the one that serves, and count anew how they compare."""
        instance = self._roster.slots[model, slot]
        if not instance.attached:
            self._attach(instance)
        instance.before.compared = instance.served.compared = None
        self.front.try_beside(instance.number, mode, share)

    def unserve(self, model: str) -> None:
        """Let no request for the model in."""
        self.alternates.end(model)
        self._roster.routes.pop(model, None)
        self.front.unroute(model)

    def retire(self, model: str, slot: str) -> None:
        """Let the slot's worker finish what it has and end it."""
        self._restarts.pop((model, slot), None)
        if self._roster.routes.get(model) == slot:
            self.alternates.end(model)
        self._leaving.retire(model, slot)

    def kill(self, model: str) -> None:
        """End every worker of the model at once, with what it is doing."""
        self.unserve(model)
        self._leaving.kill(model)

    def close(self) -> None:
        """End all processes."""
        for key in list(self._roster.slots):
            self._leaving.drop(*key)
        self.front.close()

    # What is told of them.

    def numbers(self, model: str, slot: str | None) -> Numbers:
        """What the slot's workers have answered since the release was loaded."""
        return self._roster.numbers(model, slot)

    def about(self, model: str) -> dict[str, object]:
        """How the release that serves runs here, for status."""
        instance = self._roster.serving(model)
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
            "way": instance.way,
            "sandbox": running.sandbox.to_map(),
            "drift": shifts(self.drift(model, instance.slot.name)),
        }

    def count(self, then: Callable[[], None]) -> None:
        """Ask all workers what they have counted; ``then`` is called when they have said it, or do not."""
        workers = [one for one in self._roster.every() if one.loaded]
        self._questions.ask([(one.watch, one.ask) for one in workers], then)

    def drift(self, model: str, slot: str | None) -> tuple[DriftCounts, ...]:
        """How the requests of the slot's release were, as last counted."""
        return drift_of(self._watches(model, slot))

    def confidence(self, model: str, slot: str | None) -> tuple[int, ...]:
        """How sure the slot's answers were, as last counted."""
        return confidence_of(self._watches(model, slot))

    def _watches(self, model: str, slot: str | None) -> list[Watch]:
        usual = self._roster.at(model, slot)
        firsts = [usual, *self._roster.others(model, slot or "")] if usual is not None else []
        return [one.watch for first in firsts for one in (first, *first.copies) if one.loaded]

    def workers(self, model: str) -> list[tuple[Instance, bool]]:
        """All workers of a model that are loaded, each with whether it answers for the model."""
        serving = self._roster.serving(model)
        answering = [serving, *serving.copies] if serving is not None else []
        return [(one, one in answering) for one in self._roster.every() if one.model == model and one.loaded]

    def memory_bytes(self, model: str, slot: str | None) -> int:
        """What the slot's worker has in memory now."""
        instance = self._roster.at(model, slot)
        child = instance.child if instance is not None else None
        return resident_bytes(child.pid) if child is not None and child.pid is not None else 0

    def runs(self, model: str, slot: str | None) -> bool:
        """Whether the slot's worker takes requests, routed to or not."""
        instance = self._roster.at(model, slot)
        return instance is not None and instance.attached

    def budget_us(self, model: str, slot: str) -> int:
        """What the packager promised of the loaded variant's 95th percentile, in microseconds."""
        layout = self._roster.slots[model, slot].layout
        assert layout is not None
        return layout.variant.budget.p95_us

    def ready(self, model: str) -> bool:
        """Whether requests for the model are answered now."""
        instance = self._roster.serving(model)
        return instance is not None and instance.attached

    # The front tells.

    def worker_numbers(self, number: int, numbers: Numbers) -> None:
        instance = self._roster.by_number(number)
        if instance is not None:
            instance.served = total(instance.before, numbers)

    def worker_lost(self, number: int) -> None:
        instance = self._roster.by_number(number)
        if instance is not None:
            self._died(instance, "its data socket broke")

    def worker_hung(self, number: int) -> None:
        instance = self._roster.by_number(number)
        if instance is not None:
            self._died(instance, "it gave no answer in time")

    def routed(self, model: str) -> None:
        self._listener.routed(model)

    def worker_captured(self, number: int, length: int) -> None:
        instance = self._roster.by_number(number)
        if instance is not None:
            self._listener.front_kept(instance, length)

    def front_failed(self, code: str, text: str) -> None:
        for one in self._roster.every():
            # The next front counts from zero.
            one.before = one.served
        self._listener.front_failed(code, text)

    # Bringing up what should serve, and keeping it up.

    def _bring_up(self, slot: Slot, copy: Copy) -> None:
        def failed(outcome: Outcome) -> None:
            wanted = self._roster.routes.get(slot.model) == slot.name
            if wanted and self._listener.start_failed(slot.model, slot.name, outcome):
                self._again(slot, copy)

        def loaded(outcome: Outcome) -> None:
            instance = self._roster.at(slot.model, slot.name)
            if not outcome.ok:
                self._leaving.drop(slot.model, slot.name)
                failed(outcome)
            elif instance is not None and self._roster.routes.get(slot.model) == slot.name:
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
            wanted = self._roster.routes.get(slot.model) == slot.name
            if wanted and key not in self._roster.slots and key in self._restarts:
                self._bring_up(slot, copy)

        self._loop.after(_PAUSES_S[min(times, len(_PAUSES_S) - 1)], start)

    def _route(self, instance: Instance) -> None:
        if not instance.attached:
            self._attach(instance)
        self._copies.keep(instance)
        serving = self._roster.serving(instance.model)
        if serving is None or not serving.attached:
            serving = instance
        self.front.route(instance.model, serving.number)
        self._loop.post(self._listener.serves)
        key = (instance.model, instance.slot.name)
        self._loop.after(_HEALTHY_S, lambda: self._restarts.pop(key, None) if self._roster.current(instance) else None)

    # A worker speaks, or is dead.

    def _start(self, instance: Instance) -> None:
        instance.start(
            self._loop,
            lambda message: self._worker_said(instance, message),
            lambda why: self._died(instance, f"it was {why}"),
        )

    def _worker_said(self, instance: Instance, message: ipc.Message) -> None:
        ipc.close_all(message.fds)
        first = self._roster.first(instance)
        if first is None and not self._roster.current(instance):
            return
        if instance.attached and instance.batched(message):
            self.front.batch(instance.number, instance.batch)
            return
        if instance.loaded and self._questions.said(instance.watch, message):
            return
        if instance.loaded and message.body.get("is") == "captured":
            length = message.body.get("bytes")
            self._listener.worker_kept(instance, length if type(length) is int and length > 0 else 0)
            return
        if first is not None:
            self._copies.said(instance, message)
            return
        if instance.step is None:
            self._died(instance, "it spoke out of turn")
            return
        done = instance.take_step()
        outcome = instance.heard(message)
        if not outcome.ok:
            self._leaving.drop(instance.model, instance.place)
        if done is not None:
            done(outcome)

    def _died(self, instance: Instance, why: str) -> None:
        model, slot = instance.model, instance.slot.name
        if self._roster.first(instance) is not None:
            self._copies.died(instance, why)
            if instance.attached:
                self._listener.worker_died(model, slot, why)
            return
        if not self._roster.current(instance):
            return
        if instance.way:
            self.alternates.died(instance, why)
            return
        done = instance.take_step()
        successor = next((copy for copy in instance.copies if copy.attached), None)
        if successor is not None:
            self._succeed(instance, successor)
        else:
            self._leaving.drop(model, slot)
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
        successor.inherit(dead)
        self._roster.slots[dead.model, dead.slot.name] = successor
        if self._roster.serving(dead.model) is successor:
            self.front.route(successor.model, successor.number)
        dead.end()
        self.front.forget(dead.number)
