"""Which objects to ask for now: a few at a time, each with a time-out, and a growing pause after each silence.

Pure but for its random jitter: the caller gives the time and does what :class:`Moves` says.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 300.0
_MOST_DOUBLINGS = 16


def rest(times: int, jitter: random.Random) -> float:
    """Seconds to wait after something failed ``times`` times before: twice as long each time, up to a limit."""
    length = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(times, _MOST_DOUBLINGS))
    # Up to a quarter more, so that a fleet that lost the same object does not ask in step.
    return length * (1 + jitter.random() / 4)


@dataclass(slots=True)
class Moves:
    """What to do now."""

    ask: list[bytes] = field(default_factory=list)
    drop: list[bytes] = field(default_factory=list)
    silent: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class _Pause:
    times: int = 0
    until: float = 0.0


class Window:
    """At most ``size`` objects asked for at a time; one that stays away for ``timeout_s`` is asked for again, later."""

    def __init__(self, size: int, timeout_s: float, jitter: random.Random | None = None) -> None:
        self.size = size
        self.timeout_s = timeout_s
        self._wanted: dict[bytes, None] = {}
        self._asked: dict[bytes, float] = {}
        self._pauses: dict[bytes, _Pause] = {}
        self._online = False
        self._random = jitter or random.Random()

    def want(self, names: Sequence[bytes]) -> None:
        """Replace the list of what is wanted."""
        self._wanted = dict.fromkeys(names)
        self._pauses = {name: pause for name, pause in self._pauses.items() if name in self._wanted}

    def online(self, there: bool) -> None:
        """The connection came or went. What was asked on a lost one must be asked again; old silences are forgiven."""
        self._online = there
        self._asked.clear()
        self._pauses.clear()

    def wants(self, name: bytes) -> bool:
        """Whether ``name`` was asked for and has not come."""
        return name in self._asked and name in self._wanted

    def arrived(self, name: bytes) -> None:
        """Some bytes came under ``name``; it is wanted no more unless :meth:`later` says otherwise."""
        self._wanted.pop(name, None)

    def later(self, name: bytes, now: float) -> None:
        """``name`` is wanted still, after a pause that doubles each time."""
        pause = self._pauses.setdefault(name, _Pause())
        pause.until = now + rest(pause.times, self._random)
        pause.times += 1
        self._wanted[name] = None

    def moves(self, now: float) -> Moves:
        """What to ask for, what to stop asking for, and what has stayed silent."""
        moves = Moves()
        for name in [name for name in self._asked if name not in self._wanted]:
            del self._asked[name]
            moves.drop.append(name)
        for name in [name for name, asked in self._asked.items() if now - asked >= self.timeout_s]:
            del self._asked[name]
            self.later(name, now)
            moves.drop.append(name)
            moves.silent.append(name)
        if self._online:
            for name in self._wanted:
                if len(self._asked) >= self.size:
                    break
                pause = self._pauses.get(name)
                if name not in self._asked and (pause is None or pause.until <= now):
                    self._asked[name] = now
                    moves.ask.append(name)
        return moves

    def next_at(self) -> float | None:
        """When :meth:`moves` should be asked again though nothing happened; None: never."""
        if not self._online:
            return None
        times = [asked + self.timeout_s for asked in self._asked.values()]
        if len(self._asked) < self.size:
            times += [p.until for name, p in self._pauses.items() if name in self._wanted and name not in self._asked]
        return min(times, default=None)
