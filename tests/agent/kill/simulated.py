"""A loop and a clock without a wall: what is due next happens next."""

import heapq
import itertools
from collections import deque
from collections.abc import Callable

from fleet_agent.clock import Clock
from fleet_agent.supervisor.loop import Timer


class KilledError(BaseException):
    """SIGKILL: no handler of the program's errors catches it."""


class SimulatedLoop:
    """Stands in for the supervisor's loop. What fails fails the test: nothing is logged away."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self._inbox: deque[Callable[[], object]] = deque()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()

    def post(self, call: Callable[[], object]) -> None:
        self._inbox.append(call)

    def after(self, seconds: float, call: Callable[[], object]) -> Timer:
        timer = Timer(call)
        heapq.heappush(self._timers, (self.now + seconds, next(self._order), timer))
        return timer

    def stop(self) -> None:
        self._inbox.clear()

    def settle(self) -> None:
        """Everything that is due at this moment."""
        while self._inbox:
            self._inbox.popleft()()

    def until(self, done: Callable[[], bool], seconds: float) -> bool:
        """Let time pass until ``done``, at most ``seconds`` of it; whether it was."""
        end = self.now + seconds
        self.settle()
        while not done():
            if not self._timers or self._timers[0][0] > end:
                return False
            self.now, _, timer = heapq.heappop(self._timers)
            timer.fire()
            self.settle()
        return True

    def clock(self, wall: float) -> Clock:
        """A clock that goes as this loop does; ``wall`` is the time of day at its beginning."""
        began = self.now
        return Clock(lambda: wall + self.now - began, lambda: self.now)
