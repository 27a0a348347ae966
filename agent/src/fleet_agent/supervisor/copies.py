"""Further workers of a release that serves: they share its requests, and one takes its place when it dies.

The first worker of a release goes through the steps of an update; copies come up beside it once it serves, and a copy
that cannot be had costs nothing but its share of the work.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from fleet_agent import ipc
from fleet_agent.slots import Part
from fleet_agent.supervisor.front import Front
from fleet_agent.supervisor.instance import Instance
from fleet_agent.supervisor.log import log
from fleet_agent.supervisor.loop import Loop
from fleet_agent.supervisor.unlocking import Answer

_LOAD_S = 300.0
_PAUSES_S = (0.0, 1.0, 5.0, 15.0, 60.0)
_HEALTHY_S = 60.0


@dataclass(frozen=True, slots=True)
class Means:
    """What copies are made with. ``first`` finds the worker that an instance is a copy of."""

    loop: Loop
    front: Front
    numbers: Iterator[int]
    unlock: Callable[[Instance, Part, Callable[[Answer], None]], None]
    start: Callable[[Instance], None]
    attach: Callable[[Instance], None]
    first: Callable[[Instance], Instance | None]
    serves: Callable[[Instance], bool]


class Copies:
    """Keeps as many copies as agent.toml asks for (``workers`` less one)."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._failures: dict[str, int] = {}

    def keep(self, first: Instance) -> None:
        """Start the copies that are missing."""
        assert first.layout is not None
        while len(first.copies) < first.settings.workers - 1:
            copy = Instance(next(self._means.numbers), first.model, first.slot, first.copy, first.settings)
            copy.layout = first.layout
            copy.labels = None if first.labels is None else os.dup(first.labels)
            copy.baseline = None if first.baseline is None else os.dup(first.baseline)
            first.copies.append(copy)
            self._means.unlock(copy, first.layout.model, partial(self._unlocked, copy))

    def keep_soon(self, first: Instance) -> None:
        """Start what is missing after a pause that grows while workers keep dying."""
        times = self._failures.get(first.model, 0)
        self._failures[first.model] = times + 1
        pause = _PAUSES_S[min(times, len(_PAUSES_S) - 1)]
        self._means.loop.after(pause, lambda: self.keep(first) if self._means.serves(first) else None)

    def said(self, copy: Instance, message: ipc.Message) -> None:
        """A copy spoke, whose descriptors are closed already."""
        if copy.loaded:
            self.died(copy, "it spoke out of turn")
            return
        outcome = copy.heard(message)
        if not outcome.ok:
            self.died(copy, outcome.text)
            return
        if copy.deadline is not None:
            copy.deadline.cancel()
        self._means.attach(copy)
        self._means.loop.after(_HEALTHY_S, lambda: self._healthy(copy))

    def died(self, copy: Instance, why: str) -> None:
        """A copy is dead, or as good as."""
        first = self._means.first(copy)
        if first is None:
            return
        log(f"{copy.model}: a worker beside the first: {why}")
        first.copies.remove(copy)
        first.inherit(copy)
        if copy.deadline is not None:
            copy.deadline.cancel()
        copy.end()
        if copy.attached:
            self._means.front.forget(copy.number)
        self.keep_soon(first)

    def _unlocked(self, copy: Instance, answer: Answer) -> None:
        if self._means.first(copy) is None:
            return
        if not answer.ok:
            self.died(copy, answer.text)
            return
        copy.keep(answer.take_fd())
        self._means.start(copy)
        copy.deadline = self._means.loop.after(_LOAD_S, lambda: self.died(copy, f"no answer in {_LOAD_S:.0f} s"))

    def _healthy(self, copy: Instance) -> None:
        if copy.attached and (self._means.first(copy) is not None or self._means.serves(copy)):
            self._failures.pop(copy.model, None)
