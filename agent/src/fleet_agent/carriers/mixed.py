"""Several carriers behind the interface of one. Each name is asked of one of them at a time: the first that offers it
and has not failed with it; when all have, they rest, longer each time. Content addressing makes mixing safe.
"""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from fleet_agent.carriers.base import Locate, Receiver, Source
from fleet_agent.carriers.window import rest
from fleet_agent.supervisor.loop import Loop, Timer


@dataclass(slots=True)
class _Trouble:
    """With a name that did not come, or was not it: who failed, how often all did, and until when they rest."""

    failed: set[str] = field(default_factory=set)
    times: int = 0
    until: float | None = None


class Part:
    """One carrier's place among the others: what it tells, and what it has brought."""

    def __init__(self, mixed: "Mixed", kind: str) -> None:
        self._mixed = mixed
        self.kind = kind
        self.objects = 0
        self.bytes = 0
        self.asked = 0

    def arrived(self, name: bytes, data: bytes) -> None:
        self._mixed.arrived(self, name, data)

    def gave_up(self, name: bytes) -> None:
        self._mixed.gave_up(self, name)

    def changed(self, *, fresh: bool = False) -> None:
        self._mixed.changed(self, fresh=fresh)


class Mixed:
    """A :class:`fleet_agent.carriers.base.Carrier` over others, which stand in order of preference.

    ``missing_from``: the kind whose silences and wrong bytes the receiver hears of as given up, since the server can
    put them right.
    """

    def __init__(
        self,
        loop: Loop,
        receiver: Receiver,
        locate: Locate,
        missing_from: str = "mqtt",
        jitter: random.Random | None = None,
    ) -> None:
        self._loop = loop
        self._receiver = receiver
        self._locate = locate
        self._missing_from = missing_from
        self._random = jitter or random.Random()
        self._sources: list[tuple[Part, Source]] = []
        self._parts: dict[str, Part] = {}
        self._wanted: dict[bytes, None] = {}
        self._trouble: dict[bytes, _Trouble] = {}
        self._bringing: Part | None = None
        self._due = False
        self._timer: Timer | None = None
        self._waiting = 0

    def part(self, kind: str) -> Part:
        """Whom the carrier of this kind is to tell."""
        return self._parts.setdefault(kind, Part(self, kind))

    def join(self, *sources: Source) -> None:
        """The carriers, the preferred one first."""
        self._sources = [(self.part(source.kind), source) for source in sources]
        self._share()

    def want(self, names: Sequence[bytes]) -> None:
        self._wanted = dict.fromkeys(names)
        self._trouble = {name: trouble for name, trouble in self._trouble.items() if name in self._wanted}
        self._share()

    def corrupt(self, name: bytes) -> None:
        self._wanted[name] = None
        if self._bringing is not None:
            # Whoever brings much that is damaged may rest altogether.
            next(source for part, source in self._sources if part is self._bringing).corrupt(name)
            self.gave_up(self._bringing, name)

    def status(self) -> dict[str, object]:
        """What each carrier has brought, what is asked of it now, and what hinders it."""
        carriers = {
            source.kind: {"objects": part.objects, "bytes": part.bytes, "asked": part.asked, "why": source.why}
            for part, source in self._sources
        }
        return {"waiting": self._waiting, "of": carriers}

    # The carriers tell.

    def arrived(self, part: Part, name: bytes, data: bytes) -> None:
        """Bytes came by ``part``."""
        if name not in self._wanted:
            return
        del self._wanted[name]
        self._bringing = part
        try:
            self._receiver.arrived(name, data)
        finally:
            self._bringing = None
        if name not in self._wanted:
            self._trouble.pop(name, None)
            part.objects += 1
            part.bytes += len(data)
            part.asked = max(0, part.asked - 1)

    def gave_up(self, part: Part, name: bytes) -> None:
        """``part`` did not bring it, or not what it should be: another may."""
        if name not in self._wanted:
            return
        self._failed(part, name)
        if part.kind == self._missing_from:
            self._receiver.gave_up(name)

    def changed(self, part: Part, *, fresh: bool) -> None:
        """``part`` may offer other things than before."""
        if fresh:
            for trouble in self._trouble.values():
                trouble.failed.discard(part.kind)
                trouble.times = 0
        self._share_soon()

    def _failed(self, part: Part, name: bytes) -> None:
        self._trouble.setdefault(name, _Trouble()).failed.add(part.kind)
        self._share_soon()

    def _share_soon(self) -> None:
        # Once for all that happens meanwhile: sharing looks at every name.
        if not self._due:
            self._due = True
            self._loop.post(self._share)

    def _share(self) -> None:
        """Ask each carrier for what it is the best for now."""
        self._due = False
        now = time.monotonic()
        names: dict[str, list[bytes]] = {part.kind: [] for part, _ in self._sources}
        rests: list[float] = []
        self._waiting = 0
        for name in self._wanted:
            kind = self._choose(name, now, rests)
            if kind is None:
                self._waiting += 1
            else:
                names[kind].append(name)
        for part, source in self._sources:
            part.asked = len(names[part.kind])
            source.want(names[part.kind])
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.after(max(0.01, min(rests) - now), self._share) if rests else None

    def _choose(self, name: bytes, now: float, rests: list[float]) -> str | None:
        trouble, place = self._trouble.get(name), self._locate(name)
        if trouble is not None and trouble.until is not None and trouble.until <= now:
            trouble.until = None
            trouble.failed.clear()
        for part, source in self._sources:
            if (trouble is None or part.kind not in trouble.failed) and source.offers(name, place):
                return part.kind
        if trouble is not None and trouble.failed:
            if trouble.until is None:
                trouble.until = now + rest(trouble.times, self._random)
                trouble.times += 1
            rests.append(trouble.until)
        return None
