"""What requests and answers were like, counted into the bins of the release's baseline: numbers leave, no tensors.

Counting comes after the answer went out, and takes a fiftieth of a processor at most. Where requests come faster than
that allows, each is counted by chance, once in 2^k, and then stands for 2^k: on average every request counts once,
whatever it holds and whenever it comes (Horvitz, Thompson 1952), for its chance is known before it is looked at.
"""

import random
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from math import isnan, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dunlin_contract.drift import Baseline, Feature
from dunlin_contract.errors import ContractError
from dunlin_contract.limits import LIMITS
from dunlin_contract.manifest import Io
from dunlin_contract.manifest import Tensor as Spec
from fleet_agent.frames import Tensor

CONFIDENCES = 20
_ALLOWED = 1 / 50
_WINDOW_NS = 1_000_000_000
_MOST_DOUBLINGS = 20
_BLOCK = 16_384
"""Elements that are looked at together: a copy of a large tensor might be more than the worker's memory allows."""


class Chance:
    """Which requests are counted, and how many each stands for."""

    def __init__(self, bits: Callable[[int], int] = random.getrandbits) -> None:
        self._bits = bits
        self._since_ns: int | None = None
        self._spent_ns = 0
        self.doublings = 0

    def weight(self) -> int:
        """How many requests the one at hand stands for; 0: it is not counted."""
        if self.doublings and self._bits(self.doublings):
            return 0
        return 1 << self.doublings

    def took(self, spent_ns: int, now_ns: int) -> None:
        """Counting one took this much of the processor; what follows may become rarer or more frequent."""
        if self._since_ns is None:
            self._since_ns = now_ns
        self._spent_ns += spent_ns
        passed = now_ns - self._since_ns
        if self._spent_ns > _ALLOWED * max(passed, _WINDOW_NS):
            self.doublings = min(_MOST_DOUBLINGS, self.doublings + 1)
        elif passed < _WINDOW_NS:
            return
        else:
            spent = self._spent_ns
            while self.doublings and 4 * spent < _ALLOWED * passed:
                self.doublings -= 1
                spent *= 2
        self._since_ns, self._spent_ns = now_ns, 0


class Quality:
    """Counts of one model since it was loaded. ``baseline``: that payload's bytes, None where the release has none.

    A baseline that cannot be read, or a feature that the model does not have, is counted nowhere: that a release is not
    watched is no reason not to serve it.
    """

    def __init__(self, io: Io, baseline: bytes | None = None, chance: Chance | None = None) -> None:
        self._io = io
        self._chance = chance or Chance()
        self._lock = threading.Lock()
        self._by_row = all(tensor.shape[:1] == (-1,) for tensor in (*io.inputs, *io.outputs))
        self._features = _read(baseline)
        self._counts = [[0] * len(feature.expected) for feature in self._features]
        self._confidence = [0] * CONFIDENCES if io.postprocess is not None else []

    def weight(self) -> int:
        """How many requests the one at hand stands for; 0: there is nothing to count of it."""
        return self._chance.weight() if self._features or self._confidence else 0

    def count(self, weight: int, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        """Count a request that was served, and its answer; rows of a model that takes any number count one by one."""
        begun = time.thread_time_ns()
        seen = _Seen(self._io, self._by_row, inputs, outputs)
        found = [seen.values(feature.side, feature.tensor, feature.what) for feature in self._features]
        sure = seen.values("output", self._io.outputs[0].name, "confidence") if self._confidence else ()
        with self._lock:
            for feature, counts, values in zip(self._features, self._counts, found, strict=True):
                for value in values:
                    if not isnan(value):
                        _add(counts, bisect_right(feature.edges, value), weight)
            for value in sure:
                if not isnan(value):
                    _add(self._confidence, int(min(max(value, 0.0), 0.999) * CONFIDENCES), weight)
            self._chance.took(time.thread_time_ns() - begun, time.monotonic_ns())

    def counts(self) -> dict[str, object]:
        """All counts: ``drift`` has a list for each feature of the baseline, in its order."""
        with self._lock:
            return {"drift": [list(counts) for counts in self._counts], "confidence": list(self._confidence)}


def _read(baseline: bytes | None) -> tuple[Feature, ...]:
    try:
        return () if baseline is None else Baseline.from_bytes(baseline).features
    except ContractError:
        return ()


def _add(counts: list[int], place: int, weight: int) -> None:
    counts[place] = min(LIMITS.sequence, counts[place] + weight)


class _Seen:
    """One request's tensors, and what was asked of them already."""

    def __init__(self, io: Io, by_row: bool, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        self._sides = {"input": (io.inputs, inputs), "output": (io.outputs, outputs)}
        self._by_row = by_row
        self._soft = io.postprocess is not None and io.postprocess.softmax
        self._known: dict[tuple[str, str, str], list[float]] = {}

    def values(self, side: str, name: str, what: str) -> list[float]:
        """A number for each row (one, where rows are not apart); none of a tensor that is not there."""
        key = (side, name, what)
        if key not in self._known:
            specs, tensors = self._sides[side]
            there = (pair for pair in zip(specs, tensors, strict=False) if pair[0].name == name)
            self._known[key] = [
                value for spec, tensor in there for value in measured(spec, tensor, what, self._by_row, self._soft)
            ]
        return self._known[key]


def measured(spec: Spec, tensor: Tensor, what: str, by_row: bool, soft: bool) -> list[float]:
    """The feature ``what`` of a tensor, in real units: of each row, or of the whole; NaN where it has none.

    The contract's drift.Feature says what each one is. ``soft``: the confidence is that after softmax.
    """
    rows = tensor.shape[0] if by_row and tensor.shape else 1
    flat: NDArray[Any] = np.frombuffer(tensor.data, "uint8" if spec.dtype == "bool" else spec.dtype)
    if not rows or not flat.size or flat.size % rows or prod(tensor.shape) != flat.size:
        return []
    if spec.dtype == "bool":
        flat = flat != 0
    return [_feature(spec, row, what, soft) for row in flat.reshape(rows, -1)]


def _feature(spec: Spec, row: NDArray[Any], what: str, soft: bool) -> float:
    steps = spec.quantization
    scale, zero = (steps.scale, steps.zero_point) if steps is not None else (1.0, 0)
    if what == "value":
        return (float(row[0]) - zero) * scale if row.size == 1 else float("nan")
    if what in ("mean", "deviation"):
        mean = float(np.add.reduce(row, dtype="float64")) / row.size
        if what == "mean":
            return (mean - zero) * scale
        # No np.dot: that is linear algebra, which brings threads of its own.
        square = sum(float(np.einsum("i,i", block, block)) for block in _blocks(row, mean))
        return float(np.sqrt(square / row.size)) * scale
    place = int(row.argmax())
    largest = float(row[place])
    if what == "class" or isnan(largest):
        # The largest of numbers that are not all numbers is the first that is none.
        return float("nan") if isnan(largest) else float(place)
    if not soft:
        return (largest - zero) * scale
    return 1 / sum(float(np.exp(block * scale).sum()) for block in _blocks(row, largest))


def _blocks(row: NDArray[Any], less: float) -> Iterator[NDArray[np.float64]]:
    """The elements, each less by so much."""
    for at in range(0, row.size, _BLOCK):
        block = row[at : at + _BLOCK].astype("float64")
        block -= less
        yield block
