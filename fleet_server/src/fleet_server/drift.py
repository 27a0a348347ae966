"""How far inputs and outputs in the field are from what they were at calibration, by counts that merge. Pure.

Devices count each feature of their release's baseline into its bins. Counts of days and of devices add up, so the drift
of a release over the fleet is the drift of its devices' counts together: PSI and KS of the sums against the baseline's
shares (contract ``drift.psi`` and ``drift.ks``, the latter from binned counts: at most Kolmogorov-Smirnov's D).

Below a PSI of 0.1 nothing has shifted that matters, above 0.25 it has (Siddiqi, Credit Risk Scorecards, 2006). Of n
samples that did not drift at all PSI is about chi-squared(bins - 1) / n (Yurdakul, Statistical Properties of Population
Stability Index, 2018), so fewer than `LEAST_SAMPLES` are not judged: with these even 32 bins, the most there are, stay
under 0.1 in 95 of 100 cases.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dunlin_contract import drift as contract
from dunlin_contract.limits import LIMITS
from dunlin_contract.telemetry import DriftCounts

WATCH, DRIFTED = 0.1, 0.25
LEAST_SAMPLES = 500
MOST_SAMPLES = 10_000
"""So much one device weighs at most among others: however much it claims to have counted, it does not drown them."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One number of each request: its name, the baseline's share of each bin, and how often each was seen."""

    name: str
    expected: tuple[int, ...]
    counts: tuple[int, ...]

    @property
    def samples(self) -> int:
        return sum(self.counts)

    @property
    def psi(self) -> float:
        return contract.psi(self.counts, self.expected)

    @property
    def ks(self) -> float:
        return contract.ks(self.counts, self.expected)

    @property
    def word(self) -> str:
        """What the numbers come to, for people."""
        if self.samples < LEAST_SAMPLES:
            return "too few"
        return "stable" if self.psi < WATCH else "watch" if self.psi < DRIFTED else "drifted"


@dataclass(frozen=True, slots=True)
class Drift:
    """What was counted by one baseline, feature by feature; none: nothing is known."""

    features: tuple[Feature, ...] = ()

    @property
    def baseline(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """What it was counted by: only counts by the same one merge."""
        return tuple((one.name, one.expected) for one in self.features)

    def __add__(self, other: "Drift") -> "Drift":
        """Both together. The baselines are the same."""
        return self._with(added(one.counts, two.counts) for one, two in self._pairs(other))

    def since(self, before: "Drift") -> "Drift":
        """What was counted after ``before``, an earlier state of the same counters; all, if they began anew."""
        if self.baseline != before.baseline or any(fell(one.counts, two.counts) for one, two in self._pairs(before)):
            return self
        return self._with(difference(one.counts, two.counts) for one, two in self._pairs(before))

    def bounded(self) -> "Drift":
        """The same shares of at most `MOST_SAMPLES`."""
        return self._with(
            tuple(count * MOST_SAMPLES // one.samples for count in one.counts)
            if one.samples > MOST_SAMPLES
            else one.counts
            for one in self.features
        )

    def worst(self, least: int = LEAST_SAMPLES) -> Feature | None:
        """The feature with the highest PSI, of those with ``least`` samples."""
        return max((one for one in self.features if one.samples >= least), key=lambda one: one.psi, default=None)

    def as_json(self) -> list[dict[str, Any]]:
        """As it is stored."""
        return [{"feature": one.name, "expected": one.expected, "counts": one.counts} for one in self.features]

    def _pairs(self, other: "Drift") -> Iterable[tuple[Feature, Feature]]:
        return zip(self.features, other.features, strict=True)

    def _with(self, counts: Iterable[tuple[int, ...]]) -> "Drift":
        return Drift(tuple(replace(one, counts=new) for one, new in zip(self.features, counts, strict=True)))


@dataclass(frozen=True, slots=True)
class Group:
    """Devices that count by one baseline: a release has one for each of its variants, and a device may make one up."""

    devices: tuple[str, ...]
    drift: Drift


def sent(counts: Sequence[DriftCounts]) -> Drift:
    """What a device sent; nothing, if its shares are no baseline's."""
    if any(sum(one.expected) != contract.SHARES for one in counts):
        return Drift()
    return Drift(tuple(Feature(one.feature, one.expected, one.counts) for one in counts))


def stored(rows: Iterable[Mapping[str, Any]]) -> Drift:
    """What `Drift.as_json` wrote."""
    return Drift(tuple(Feature(one["feature"], tuple(one["expected"]), tuple(one["counts"])) for one in rows))


def groups(found: Mapping[str, Drift]) -> list[Group]:
    """Devices' counts together, those of each baseline for themselves: the one of most devices first."""
    members: dict[Any, list[str]] = {}
    for device, one in sorted(found.items(), key=lambda item: item[0]):
        if one.features:
            members.setdefault(one.baseline, []).append(device)
    made = []
    for names in sorted(members.values(), key=lambda names: (-len(names), names)):
        first, *others = (found[name].bounded() for name in names)
        made.append(Group(tuple(names), sum(others, start=first)))
    return made


def added(one: Sequence[int], two: Sequence[int]) -> tuple[int, ...]:
    """Counts together, within what a count may be."""
    return tuple(min(a + b, LIMITS.sequence) for a, b in zip(one, two, strict=True))


def difference(after: Sequence[int], before: Sequence[int]) -> tuple[int, ...]:
    """What was counted in between."""
    return tuple(a - b for a, b in zip(after, before, strict=True))


def fell(after: Sequence[int], before: Sequence[int]) -> bool:
    """Whether some count is lower than it was: its worker is a new one."""
    return any(a < b for a, b in zip(after, before, strict=True))
