"""What a model's inputs and outputs are like on samples that stand for its work. Child process only.

The contract's drift module says what a feature is; an agent counts the same features of real requests.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from math import isfinite, prod

import numpy as np

from dunlin_contract.drift import SHARES, Baseline, Feature
from dunlin_contract.limits import LIMITS
from dunlin_contract.manifest import Io, Tensor
from model_packager.trial.runtimes import Array, RefusedError

_SAME = 1e-3
"""A feature that never changes gets a bin of this width about it, relative to its size."""
_Key = tuple[str, int, str]


class Measuring:
    """Features of one sample after another. ``classes``: the first output is one score a class, ``softmax`` of them."""

    def __init__(self, io: Io, classes: bool, softmax: bool) -> None:
        self._io = io
        self._softmax = softmax
        self._by_row = all(tensor.shape[:1] == (-1,) for tensor in (*io.inputs, *io.outputs))
        self._values: dict[_Key, list[float]] = {key: [] for key in self._keys(classes)}
        self._classes = 0

    def _keys(self, classes: bool) -> list[_Key]:
        """The first output says most, then what came in."""
        first = [("output", 0, "class"), ("output", 0, "confidence")] if classes else self._plain("output", 0)
        inputs = [key for place in range(len(self._io.inputs)) for key in self._plain("input", place)]
        others = [key for place in range(1, len(self._io.outputs)) for key in self._plain("output", place)]
        return [*first, *inputs, *others][: LIMITS.features]

    def _plain(self, side: str, place: int) -> list[_Key]:
        shape = self._spec(side, place).shape
        one = prod(size for at, size in enumerate(shape) if at or size != -1) == 1
        return [(side, place, "value")] if one else [(side, place, "mean"), (side, place, "deviation")]

    def _spec(self, side: str, place: int) -> Tensor:
        return (self._io.inputs if side == "input" else self._io.outputs)[place]

    def add(self, inputs: Sequence[Array], outputs: Sequence[Array]) -> None:
        """One sample and what the model made of it."""
        for (side, place, what), values in self._values.items():
            array = (inputs if side == "input" else outputs)[place]
            rows = array.shape[0] if self._by_row else 1
            flat = array.reshape(rows, -1)
            if what == "class":
                self._classes = max(self._classes, flat.shape[1])
            values.extend(_measured(self._spec(side, place), row, what, self._softmax) for row in flat)

    def result(self, bins: int) -> Baseline:
        """The baseline. Raises RefusedError: too few samples."""
        count = max(map(len, self._values.values()))
        if count < bins:
            raise RefusedError(f"baseline: {count} samples for {bins} bins: give more samples, at least {20 * bins}")
        return Baseline(features=tuple(self._features(bins)))

    def _features(self, bins: int) -> Iterator[Feature]:
        for (side, place, what), found in self._values.items():
            values = sorted(value for value in found if isfinite(value))
            if not values:
                continue
            every = what == "class" and 1 < self._classes <= LIMITS.bins
            edges = [index + 0.5 for index in range(self._classes - 1)] if every else edges_of(values, bins)
            expected = shares([bisect_right(edges, value) for value in values], len(edges) + 1)
            name = self._spec(side, place).name
            yield Feature(side=side, tensor=name, what=what, edges=tuple(edges), expected=expected)


def edges_of(values: Sequence[float], bins: int) -> list[float]:
    """Edges of up to ``bins`` bins with about equally many of the ascending values each.

    An edge lies midway between two values, so that what differs by a rounding falls into the same bin.
    """
    ends = [place for place in range(1, len(values)) if values[place] != values[place - 1]]
    if not ends:
        width = _SAME * max(1.0, abs(values[0]))
        return [values[0] - width, values[0] + width]
    wanted = [len(values) * part / bins for part in range(1, bins)]
    chosen = {min(ends, key=lambda end: (abs(end - want), end)) for want in wanted}
    return sorted({(values[end - 1] + values[end]) / 2 for end in chosen})


def shares(places: Sequence[int], bins: int) -> tuple[int, ...]:
    """How many fell into each bin, as whole shares that add up to SHARES; what is left over goes where most is lost."""
    exact = [places.count(place) * SHARES / len(places) for place in range(bins)]
    whole = [int(share) for share in exact]
    lost = sorted(range(bins), key=lambda place: (whole[place] - exact[place], place))
    for place in lost[: SHARES - sum(whole)]:
        whole[place] += 1
    return tuple(whole)


def _measured(spec: Tensor, row: Array, what: str, softmax: bool) -> float:
    steps = spec.quantization
    scale, zero = (steps.scale, steps.zero_point) if steps is not None else (1.0, 0)
    real = (row.astype("float64") - zero) * scale
    if what == "value":
        return float(real[0])
    if what == "mean":
        return float(real.mean())
    if what == "deviation":
        return float(real.std())
    if what == "class":
        return float(real.argmax())
    return float(1 / np.exp(real - real.max()).sum()) if softmax else float(real.max())
