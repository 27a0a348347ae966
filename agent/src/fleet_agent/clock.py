"""Time as the device may believe it: seconds since boot, and the latest time that a verified signature stated.

The wall clock is shown to people and decides nothing: a board without a battery wakes in 1970.
"""

import time
from collections.abc import Callable


class Clock:
    """The machine's clocks; tests give others."""

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        since_boot: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
    ) -> None:
        self.wall = wall
        self.since_boot = since_boot
        """Seconds since boot, sleep included."""


class SignedTime:
    """A lower bound of the true time: what was signed, plus what passed since we learned of it."""

    def __init__(self, clock: Clock, floor: int) -> None:
        self._clock = clock
        self.floor = floor
        self._learned = clock.since_boot()

    @property
    def uptime_s(self) -> int:
        """Seconds since ``floor`` was learned (or since the agent started, with a floor from the journal)."""
        return int(self._clock.since_boot() - self._learned)

    @property
    def now(self) -> int:
        """It is at least this late."""
        return self.floor + self.uptime_s

    def raise_to(self, stated: int) -> bool:
        """Take note of a signed time; True when it is later than what we knew."""
        if stated <= self.now:
            return False
        self.floor = stated
        self._learned = self._clock.since_boot()
        return True

    def best(self) -> int:
        """For people: the wall clock, unless it is known to be behind."""
        return max(int(self._clock.wall()), self.now)
