"""Chunks by HTTP range from the fleet's server: the only way to payloads that are too large for the broker (but for a
stick), and another way to all others."""

import random
import time
from collections.abc import Callable, Sequence
from functools import partial

from fleet_agent.carriers.base import Locate, Place, Teller
from fleet_agent.carriers.runs import Asked, Fetcher, Run, next_run
from fleet_agent.carriers.window import rest
from fleet_agent.supervisor.loop import Loop, Timer

PATIENCE_S = 40.0
"""Until the first chunk of a run, and again for each further one, beside what its length takes."""
LEAST_RATE = 4096
"""Bytes a second below which a server is too slow."""


class HttpCarrier:
    """A :class:`fleet_agent.carriers.base.Source`: one run at a time.

    ``make`` makes the fetcher when the first run begins: a device that asks for nothing has no thread for it.
    """

    kind = "http"

    def __init__(self, loop: Loop, teller: Teller, locate: Locate, make: Callable[[Asked], Fetcher]) -> None:
        self._loop = loop
        self._teller = teller
        self._locate = locate
        self._make = make
        self._fetcher: Fetcher | None = None
        self._wanted: dict[bytes, None] = {}
        self._run: Run | None = None
        self._failures = 0
        self._until = 0.0
        self._slow = False
        self._timer: Timer | None = None
        self._watch: Timer | None = None
        self._random = random.Random()
        self.why = ""

    def want(self, names: Sequence[bytes]) -> None:
        self._wanted = dict.fromkeys(names)
        if self._run is not None and not any(name in self._wanted for name in self._run.names):
            self._abort()
        self._move()

    def corrupt(self, name: bytes) -> None:
        self._wanted[name] = None
        self._fail("what the server sends is damaged")
        self._move()

    def offers(self, name: bytes, place: Place | None) -> bool:  # noqa: ARG002 - asked by where it lies
        return place is not None and not self._slow and (self._failures < 2 or time.monotonic() >= self._until)

    def hurry(self) -> None:
        """There is a network again: what failed without one is forgotten."""
        self._failures, self._until = 0, 0.0
        self._teller.changed()
        self._move()

    def close(self) -> None:
        """End the thread."""
        if self._fetcher is not None:
            self._fetcher.close()

    # The fetcher tells, in its own thread.

    def chunk(self, run: Run, number: int, data: bytes) -> None:
        self._loop.post(partial(self._came, run, number, data))

    def ended(self, run: Run, why: str) -> None:
        self._loop.post(partial(self._over, run, why))

    # And this in the loop's.

    def _move(self) -> None:
        """Begin the next run, now or when the pause is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._run is not None or not self._wanted:
            return
        now = time.monotonic()
        if now < self._until:
            self._timer = self._loop.after(self._until - now, self._again)
            return
        run = next_run(self._wanted, self._locate)
        if run is None:
            return
        if self._fetcher is None:
            self._fetcher = self._make(self)
        self._run = run
        self._look_after(run.places[0].length)
        self._fetcher.fetch(run)

    def _again(self) -> None:
        self._teller.changed()
        self._move()

    def _came(self, run: Run, number: int, data: bytes) -> None:
        name = run.names[number]
        if number + 1 < len(run.places):
            self._look_after(run.places[number + 1].length)
        if name not in self._wanted:
            return
        del self._wanted[name]
        self._failures, self.why = 0, ""
        self._teller.arrived(name, data)

    def _over(self, run: Run, why: str) -> None:
        assert run is self._run
        self._run = None
        if self._watch is not None:
            self._watch.cancel()
        unwanted = not any(name in self._wanted for name in run.names)
        if self._slow:
            self._slow = False
            self._teller.changed()
        if why and not unwanted:
            self._fail(why)
        self._move()

    def _fail(self, why: str) -> None:
        self._until = time.monotonic() + rest(self._failures, self._random)
        self._failures += 1
        self.why = why
        self._teller.changed()
        # Whoever asks elsewhere meanwhile comes back by this.
        self._loop.after(self._until - time.monotonic(), self._teller.changed)

    def _look_after(self, length: int) -> None:
        if self._watch is not None:
            self._watch.cancel()
        self._watch = self._loop.after(PATIENCE_S + length / LEAST_RATE, self._too_slow)

    def _too_slow(self) -> None:
        self._slow = True
        self.why = "the server is too slow"
        self._teller.changed()
        self._abort()

    def _abort(self) -> None:
        if self._fetcher is not None:
            self._fetcher.abort()
