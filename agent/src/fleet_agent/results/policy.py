"""What the store keeps when not all can be kept. Pure: numbers in, numbers out."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

HOUR_S = 3600
PRIORITIES = 9
"""The highest priority; 0 goes first."""


@dataclass(frozen=True, slots=True)
class Caps:
    """What the owner of the device lets the store use.

    ``most_bytes`` of records in all, captures among them; ``capture_bytes`` of captures. ``most_age_s`` counts the time
    that the agent runs: a device that lay in a drawer for a year has forgotten nothing. ``per_hour`` is for results.
    """

    most_bytes: int = 64 << 20
    most_age_s: int = 7 * 24 * HOUR_S
    per_hour: int = 36_000
    capture_bytes: int = 32 << 20


class Rate:
    """At most so many in any 60 minutes, by the minute."""

    def __init__(self, per_hour: int) -> None:
        self._per_hour = per_hour
        self._minutes: deque[list[int]] = deque()
        self._sum = 0

    def take(self, now_s: float) -> bool:
        """Whether one more may be, at ``now_s`` (seconds, never falling)."""
        minute = int(now_s // 60)
        while self._minutes and self._minutes[0][0] <= minute - 60:
            self._sum -= self._minutes.popleft()[1]
        if self._sum >= self._per_hour:
            return False
        if not self._minutes or self._minutes[-1][0] != minute:
            self._minutes.append([minute, 0])
        self._minutes[-1][1] += 1
        self._sum += 1
        return True


def victims(candidates: Iterable[tuple[int, int]], over: int) -> list[int] | None:
    """Whom to push out so that ``over`` bytes are free: of (number, bytes) in the order in which they may go.

    None: all of them together would not do, and so none has to go.
    """
    chosen: list[int] = []
    for number, size in candidates:
        if over <= 0:
            break
        chosen.append(number)
        over -= size
    return chosen if over <= 0 else None


def runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Numbers as ranges (first, last), ascending."""
    found: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found
