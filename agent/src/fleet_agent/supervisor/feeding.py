"""The feeders: one process for the sources, one more for each camera, and what they say."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from dunlin_contract.errors import ContractError
from dunlin_contract.limits import LIMITS
from dunlin_contract.results import Result
from fleet_agent import ipc
from fleet_agent.config.sources import Source, to_body
from fleet_agent.errors import line
from fleet_agent.results.policy import PRIORITIES
from fleet_agent.results.store import Draft, Refused
from fleet_agent.supervisor.child import Child
from fleet_agent.supervisor.log import log
from fleet_agent.supervisor.loop import Loop
from fleet_agent.supervisor.results import Results

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 300.0
_SILENT_S = 90.0
"""A camera's process that says nothing for so long hangs in a driver."""
_WATCH_S = 10.0
_TELL_AGAIN_S = 600.0

_FRESH: dict[str, object] = {"answered": 0, "lost": 0, "trouble": "", "sandbox": ""}

Holds = Callable[[str, bytes], bool]
"""Whether a model's release is on this device."""
Tell = Callable[[str, str, str], None]


class Feeding:
    """Use it in the loop's thread. ``tell`` notes an event: kind, code, text."""

    def __init__(
        self, loop: Loop, sources: Sequence[Source], api: Path, results: Results, holds: Holds, tell: Tell
    ) -> None:
        cameras = [[source] for source in sources if source.kind == "camera"]
        others = [source for source in sources if source.kind != "camera"]
        self._telling = _Telling(tell)
        self.states: dict[str, dict[str, object]] = {
            source.name: {"kind": source.kind, "model": source.model, **_FRESH} for source in sources
        }
        self._feeders = [
            _Feeder(loop, group, api, results, holds, self) for group in ([others] if others else []) + cameras
        ]

    def start(self) -> None:
        """Begin."""
        for feeder in self._feeders:
            feeder.start()

    def close(self) -> None:
        """End the processes."""
        for feeder in self._feeders:
            feeder.close()

    def trouble(self, source: str, text: str) -> None:
        """A source gives nothing, or its results go nowhere."""
        self.states[source]["trouble"] = text
        self._telling.tell(source, text)

    def fine(self, source: str) -> None:
        """It goes on."""
        self.states[source]["trouble"] = ""
        self._telling.tell(source, "goes on")

    def confined(self, sources: Iterable[str], tier: str) -> None:
        """What the process of these sources is confined by."""
        for source in sources:
            self.states[source]["sandbox"] = tier

    def bad(self, source: str, text: str) -> None:
        """One input is of no use; the others are not affected."""
        self._telling.tell(source, text)

    def alive(self, source: str, answered: int, lost: int) -> None:
        """How many inputs were answered and lost since its process began."""
        self.states[source] |= {"answered": answered, "lost": lost}


class _Telling:
    """A line and an event for what is new; what comes again and again is told now and then."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._told: dict[str, tuple[float, int]] = {}

    def tell(self, source: str, text: str) -> None:
        now = time.monotonic()
        since, count = self._told.get(source, (now - _TELL_AGAIN_S, 0))
        # The beginning and the end of one trouble are told; a third word within the time is not.
        if now - since >= _TELL_AGAIN_S:
            since, count = now, 0
        self._told[source] = (since, count + 1)
        if count < 2:
            log(f"source {source}: {text}")
            self._tell("note", "source", line(f"source {source}: {text}"))


class _Feeder:
    """One process and the sources in it."""

    def __init__(
        self, loop: Loop, sources: Sequence[Source], api: Path, results: Results, holds: Holds, above: Feeding
    ) -> None:
        self._loop = loop
        self._sources = sources
        self._names = {source.name for source in sources}
        self._api = api
        self._results = results
        self._holds = holds
        self._above = above
        self._child: Child | None = None
        self._heard = 0.0
        self._pause = _FIRST_PAUSE_S

    def start(self) -> None:
        self._child = Child(self._loop, "fleet_agent.feeder", self._received, self._ended)
        sources = [to_body(source) for source in self._sources]
        troubled = [name for name in sorted(self._names) if self._above.states[name]["trouble"]]
        self._child.send({"sources": sources, "api": str(self._api), "troubled": troubled})
        self._heard = time.monotonic()
        if self._sources[0].kind == "camera":
            self._loop.after(_WATCH_S, partial(self._watch, self._child))

    def close(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None

    def _watch(self, child: Child) -> None:
        if child is not self._child:
            return
        if time.monotonic() - self._heard < _SILENT_S:
            self._loop.after(_WATCH_S, partial(self._watch, child))
            return
        child.close()
        self._ended(f"silent for {_SILENT_S:.0f} s: its driver hangs")

    def _again(self) -> None:
        """Its sandbox does not let it reach what has come since: a new process is needed, and nothing is wrong."""
        self.close()
        self._loop.after(_FIRST_PAUSE_S, self.start)

    def _ended(self, why: str) -> None:
        self._child = None
        for name in self._names:
            self._above.trouble(name, f"its process was {why}; it is started again")
        self._loop.after(self._pause, self.start)
        self._pause = min(_LONGEST_PAUSE_S, self._pause * 2)

    def _received(self, message: ipc.Message) -> None:
        try:
            self._take(message)
        except (KeyError, TypeError, ValueError):
            log("a feeder said what cannot be understood")
        finally:
            ipc.close_all(message.fds)

    def _take(self, message: ipc.Message) -> None:
        body = message.body
        self._heard = time.monotonic()
        match body["is"]:
            case "result":
                self._keep(body, message.fds)
                return
            case "confined":
                self._above.confined(self._names, line(str(body["tier"])))
                return
            case "again":
                self._again()
                return
        source = str(body["source"])
        if source not in self._names:
            return
        match body["is"]:
            case "alive":
                self._pause = _FIRST_PAUSE_S
                self._above.alive(source, int(body["answered"]), int(body["lost"]))
            case "trouble":
                self._above.trouble(source, line(str(body["text"])))
            case "bad":
                self._above.bad(source, line(str(body["text"])))
            case "fine":
                self._above.fine(source)

    def _keep(self, body: dict[str, object], fds: Sequence[int]) -> None:
        number, priority = int(str(body["id"])), int(str(body["priority"]))
        asked = self._child

        def told(answer: int | Refused) -> None:
            # A process that began meanwhile counts from one, too: it would take this for the answer to its own.
            if asked is not None and asked is self._child:
                refused = {"code": answer.code, "text": answer.text} if isinstance(answer, Refused) else {}
                asked.send({"id": number, **refused})

        try:
            result = Result.from_bytes(os.pread(fds[0], LIMITS.result_bytes + 1, 0))
        except (ContractError, IndexError, OSError) as error:
            told(Refused("malformed", line(f"not a result: {error}")))
            return
        model, release = result.model or "", result.release or b""
        if result.kind != "result" or not self._holds(model, release) or not 0 <= priority <= PRIORITIES:
            told(Refused("malformed", f"no release {release.hex()[:16]} of {model} is on this device"))
            return
        draft = Draft("result", model, release, result.outputs, source=result.source, priority=priority)
        self._results.put(draft, told)
