"""Drift: how far a model's inputs and outputs are from what they were when it was calibrated.

A feature is one number of each request (the mean of an input tensor, the largest output). The baseline fixes its bins;
a device counts into them, so counts of any number of devices and days merge by addition.
"""

import math
from collections.abc import Sequence
from typing import ClassVar

from dunlin_contract.limits import LIMITS
from dunlin_contract.rules import Rule, require
from dunlin_contract.schema import Record, array, at, format_version, one_of, real, record, text, uint

SHARES = 65_535
"""Expected shares of a feature's bins are whole numbers that add up to this."""


class Feature(Record):
    """One number of each request, and its distribution at calibration.

    ``what``: ``mean`` or ``deviation`` of the tensor's elements, ``value`` (its only element), ``class`` (index of its
    largest element), ``confidence`` (its largest element, after softmax where the manifest says so). Bin i holds
    edges[i-1] <= x < edges[i]; the first and the last are open.
    """

    side: str = at(0, one_of("input", "output"))
    tensor: str = at(1, text(LIMITS.text_bytes, least=1))
    what: str = at(2, one_of("mean", "deviation", "value", "class", "confidence"))
    edges: tuple[float, ...] = at(3, array(real(), LIMITS.bins - 1, 1))
    expected: tuple[int, ...] = at(4, array(uint(SHARES), LIMITS.bins, 2))

    def check(self) -> None:
        rising = all(low < high for low, high in zip(self.edges, self.edges[1:], strict=False))
        require(Rule.BASELINE, rising, "the edges of a feature must rise")
        whole = len(self.expected) == len(self.edges) + 1 and sum(self.expected) == SHARES
        require(Rule.BASELINE, whole, f"a feature has one share a bin, together {SHARES}")


class Baseline(Record):
    """A bundle's baseline payload."""

    CAP_BYTES: ClassVar[int] = LIMITS.baseline_bytes

    format: int = format_version(default=1)
    features: tuple[Feature, ...] = at(1, array(record(Feature), LIMITS.features, 1))


def psi(counts: Sequence[int], expected: Sequence[int]) -> float:
    """Population stability index of observed counts against expected shares (Siddiqi, Credit Risk Scorecards, 2006).

    Half a count is added to each bin, so that an empty one does not make it infinite. Above 0.25 is usually called a
    major shift, below 0.1 none; 0 for no counts.
    """
    total = sum(counts)
    if not total:
        return 0.0
    bins = len(counts)
    index = 0.0
    for count, share in zip(counts, expected, strict=True):
        seen = (count + 0.5) / (total + 0.5 * bins)
        meant = (share + 0.5) / (sum(expected) + 0.5 * bins)
        index += (seen - meant) * math.log(seen / meant)
    return index


def ks(counts: Sequence[int], expected: Sequence[int]) -> float:
    """Largest difference of the two cumulative distributions at the bins' edges: at most Kolmogorov-Smirnov's D."""
    total = sum(counts)
    if not total:
        return 0.0
    worst = seen = meant = 0.0
    for count, share in zip(counts, expected, strict=True):
        seen += count / total
        meant += share / sum(expected)
        worst = max(worst, abs(seen - meant))
    return worst
