"""Which way each release should run now: the usual one, its cheaper variant while the device is hot, or an engine.

Nothing begins while a candidate runs: it is judged beside what the directive desired, run as it usually is.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from fleet_agent.config.workers import ENGINE
from fleet_agent.slots import Slot
from fleet_agent.supervisor.alternates import Alternates
from fleet_agent.supervisor.engines import Engines
from fleet_agent.supervisor.instance import LEAN, Engine, Outcome
from fleet_agent.supervisor.log import log
from fleet_agent.update.state import RUNNING, Copy, State

_NAMES = {LEAN: "the cheaper variant", ENGINE: "the engine"}


@dataclass(frozen=True, slots=True)
class Parts:
    """What is asked and told. ``cooling``: the device is hot, and then cheaper variants are wanted."""

    states: Mapping[str, State]
    slot: Callable[[str, str], Slot]
    alternates: Alternates
    engines: Engines
    cooling: Callable[[], bool]
    tell: Callable[[str, str, str, str], None]


class _Tried(NamedTuple):
    """One way to run one release; an engine that is for something else is another one."""

    model: str
    release: bytes
    version: str
    way: str
    key: bytes

    @classmethod
    def of(cls, slot: Slot, copy: Copy, way: str, engine: Engine | None = None) -> "_Tried":
        return cls(slot.model, copy.release, copy.version, way, b"" if engine is None else engine.head.key)


class Choosing:
    """Compares what is with what should be, whenever something may have changed."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._failed: set[_Tried] = set()
        self._running: dict[str, _Tried] = {}

    def look(self) -> None:
        """Something may have changed."""
        if not self._parts.cooling():
            # Another try the next time that it is hot.
            self._failed = {tried for tried in self._failed if tried.way != LEAN}
        for model, state in list(self._parts.states.items()):
            slot, alternates = state.serving, self._parts.alternates
            copy = state.copy(slot)
            if slot is None or copy is None or state.phase in RUNNING or not alternates.steady(model, slot):
                continue
            held = self._parts.slot(model, slot)
            want, engine = self._wanted(held, copy)
            if want == alternates.way(model):
                continue
            if want:
                self._bring(held, copy, want, engine)
            else:
                alternates.leave(model)
                log(f"{model}: runs as usual again")

    def lost(self, model: str, way: str, why: str) -> None:
        """A worker that ran a release another way is gone; the usual one serves."""
        tried = self._running.pop(model, None)
        if tried is not None and tried.way == way:
            self._fail(tried, why)

    def _wanted(self, slot: Slot, copy: Copy) -> tuple[str, Engine | None]:
        if self._parts.cooling() and _Tried.of(slot, copy, LEAN) not in self._failed and slot.lean:
            return LEAN, None
        engine = self._parts.engines.of(slot, copy)
        if engine is not None and _Tried.of(slot, copy, ENGINE, engine) not in self._failed:
            return ENGINE, engine
        return "", None

    def _bring(self, slot: Slot, copy: Copy, way: str, engine: Engine | None) -> None:
        tried = _Tried.of(slot, copy, way, engine)

        def done(outcome: Outcome) -> None:
            if outcome.ok:
                self._running[slot.model] = tried
                text = f"{slot.model} {copy.version} runs on {_NAMES[way]}"
                log(text)
                self._parts.tell("note", way, text, slot.model)
            elif outcome.code != "not-serving":
                if engine is not None and self._parts.engines.stale(slot, engine, outcome):
                    return  # it is built anew
                self._fail(tried, outcome.text)

        self._parts.alternates.bring(slot.model, way, done, engine)

    def _fail(self, tried: _Tried, why: str) -> None:
        self._failed.add(tried)
        text = f"{tried.model} {tried.version} runs as usual: {_NAMES[tried.way]} failed: {why}"
        log(text)
        self._parts.tell("note", f"{tried.way}-failed", text, tried.model)
