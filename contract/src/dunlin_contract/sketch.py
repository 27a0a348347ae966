"""A mergeable sketch of positive numbers: counts in logarithmic buckets, as DDSketch (Masson, Rim, Lee 2019).

With gamma = 1.1 a quantile is within 5 % of the true value, and a year of latencies takes some hundred integers.
"""

import math
from collections.abc import Mapping

GAMMA = 1.1
_LOG_GAMMA = math.log(GAMMA)


def bucket(value: float) -> int:
    """Bucket of ``value``; everything up to 1 is in bucket 0."""
    return 0 if value <= 1 else math.ceil(math.log(value) / _LOG_GAMMA)


class Sketch:
    """Counts per bucket; ``counts`` is what travels."""

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self.counts: dict[int, int] = dict(counts or {})

    def add(self, value: float) -> None:
        """Count one value."""
        place = bucket(value)
        self.counts[place] = self.counts.get(place, 0) + 1

    def merge(self, other: "Sketch") -> None:
        """Add another sketch's counts."""
        for place, count in other.counts.items():
            self.counts[place] = self.counts.get(place, 0) + count

    @property
    def count(self) -> int:
        """How many values were counted."""
        return sum(self.counts.values())

    def quantile(self, q: float) -> float:
        """Value below which a share ``q`` of the counted ones lie (0 when nothing was counted)."""
        rank = q * (self.count - 1)
        seen = 0
        for place in sorted(self.counts):
            seen += self.counts[place]
            if seen > rank:
                return 2 * GAMMA**place / (GAMMA + 1) if place else 1.0
        return 0.0
