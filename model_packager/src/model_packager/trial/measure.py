"""What the measurements mean: tolerance, top-1 share, percentiles. Pure."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_QUANTIZED_SHARE = 0.02
_FLOAT_SHARE = 0.001
_QUANTIZED_STEPS = 2.0


def spread(first: Sequence[Sequence[Array]], second: Sequence[Sequence[Array]]) -> float:
    """Largest absolute difference between two sets of outputs [sample][output], in stored units."""
    worst = 0.0
    for ours, theirs in zip(first, second, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            if a.size:
                worst = max(worst, float(np.max(np.abs(a.astype(np.float64) - b.astype(np.float64)))))
    return worst


def tolerance(outputs: Sequence[Sequence[Array]], measured_spread: float, quantized: bool) -> float:
    """How far a device's output may be off: twice the measured spread between kernels, and never less than a floor.

    The floor stands for kernels that were not measured here: two steps of an integer output; of a floating-point
    output a share of its range, larger for quantized models, whose steps show through.
    """
    floor = 0.0
    share = _QUANTIZED_SHARE if quantized else _FLOAT_SHARE
    for place in range(len(outputs[0])):
        values = [sample[place] for sample in outputs if sample[place].size]
        if not values:
            continue
        if np.issubdtype(values[0].dtype, np.floating):
            largest = max(float(value.max()) for value in values) - min(float(value.min()) for value in values)
            floor = max(floor, share * largest, 1e-6)
        else:
            floor = max(floor, _QUANTIZED_STEPS)
    return float(max(2 * measured_spread, floor))


def top1_permille(outputs: Sequence[Sequence[Array]], allowed: float) -> int:
    """Share of samples whose largest value of the first output leads by so much that ``allowed`` cannot change it."""
    certain = 0
    for sample in outputs:
        flat = np.sort(sample[0].astype(np.float64).ravel())
        certain += bool(flat.size < 2 or flat[-1] - flat[-2] > 2 * allowed)
    return 1000 * certain // len(outputs)


def percentile(values: Sequence[int], share: float) -> int:
    """Nearest-rank percentile; ``share`` in 0..1."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
