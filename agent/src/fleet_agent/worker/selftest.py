"""The golden self-test: does this model, on this runtime, on this device, do what it did when it was built?"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dunlin_contract.golden import Golden, Sample, TensorData
from fleet_agent.frames import BY_NAME, RequestError, Status, Tensor
from fleet_agent.runtimes.errors import ModelRunError
from fleet_agent.worker.model import Model, Result

# Latency is measured until either is reached: enough for a steady p95, short enough for a slow model.
_TIMED_RUNS = 200
_TIMED_SECONDS = 1.0
_STACKED = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """``max_error``: absolute, in the outputs' stored units; ``p95_us``: the runtime's own time, 0 when not timed."""

    ok: bool
    max_error: float
    top1_permille: int
    p95_us: int
    text: str


class _DifferentError(Exception):
    """An output that no tolerance covers."""


def run(model: Model, golden: Golden, tolerance: float, top1_permille: int) -> Verdict:
    """Run every sample, compare, then time the model."""
    worst = 0.0
    agreed = 0
    for number, sample in enumerate(golden.samples):
        try:
            error, same_top = _compare(model, sample)
        except (_DifferentError, RequestError, ModelRunError) as reason:
            return Verdict(False, worst, 0, 0, f"golden sample {number}: {reason}")
        worst = max(worst, error)
        agreed += same_top
    share = 1000 * agreed // len(golden.samples)
    text = ""
    if worst > tolerance:
        text = f"outputs are off by up to {worst:g}; the manifest allows {tolerance:g}"
    elif share < top1_permille:
        text = f"the largest output is the expected one in {share} of 1000; the manifest asks for {top1_permille}"
    return Verdict(not text, worst, share, _p95_us(model, golden.samples), text)


def rows_are_apart(model: Model, golden: Golden, tolerance: float) -> bool:
    """Whether samples that run stacked, first size by first size, give what they give one by one, within tolerance.

    A first dimension that is free need not be one of rows: it may count words, or boxes.
    """
    samples = [sample for sample in golden.samples if _stacks(sample, golden.samples[0])][:_STACKED]
    if len({sample.inputs for sample in samples}) < 2:
        # Equal rows could touch each other without a trace.
        return False
    try:
        single = [model.infer(_tensors(sample.inputs)) for sample in samples]
        together = model.infer_together([_tensors(sample.inputs) for sample in samples])
    except (RequestError, ModelRunError):
        return False
    return all(_alike(one, other, tolerance) for one, other in zip(single, together, strict=True))


def _stacks(sample: Sample, other: Sample) -> bool:
    rows = {each.shape[:1] for each in sample.inputs}
    return rows == {(1,)} and [each.shape[1:] for each in sample.inputs] == [each.shape[1:] for each in other.inputs]


def _alike(one: Result, other: Result, tolerance: float) -> bool:
    if other.status is Status.NONFINITE or [tensor.shape for tensor in one.tensors] != [
        tensor.shape for tensor in other.tensors
    ]:
        return False
    return all(
        _difference(_float(here.data, here.dtype.name), _float(there.data, there.dtype.name)) <= tolerance
        for here, there in zip(one.tensors, other.tensors, strict=True)
    )


def _difference(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.abs(one - other).max()) if one.size else 0.0


def _compare(model: Model, sample: Sample) -> tuple[float, bool]:
    """Largest absolute difference, and whether the first output's largest element is the expected one."""
    result = model.infer(_tensors(sample.inputs))
    if result.status is Status.NONFINITE:
        raise _DifferentError("an output is NaN or infinite")
    if len(result.tensors) != len(sample.outputs):
        raise _DifferentError(f"{len(sample.outputs)} outputs are recorded, the model gives {len(result.tensors)}")
    worst = 0.0
    top = True
    for place, (got, want) in enumerate(zip(result.tensors, sample.outputs, strict=True)):
        if (got.name, got.dtype.name, got.shape) != (want.name, want.dtype, want.shape):
            was = f"{got.name!r} {got.dtype.name} {list(got.shape)}"
            raise _DifferentError(f"output {was} came, {want.name!r} {want.dtype} {list(want.shape)} is recorded")
        actual, expected = _float(got.data, got.dtype.name), _float(want.data, want.dtype)
        worst = max(worst, _difference(actual, expected))
        if place == 0 and want.shape and actual.size:
            top = _same_top(actual.reshape(want.shape), expected.reshape(want.shape))
    return worst, top


def _same_top(actual: NDArray[np.float64], expected: NDArray[np.float64]) -> bool:
    """Along the last axis; a tie of int8 scores counts as agreement."""
    places = np.expand_dims(expected.argmax(axis=-1), -1)
    chosen = np.take_along_axis(actual, places, axis=-1)
    return bool((chosen[..., 0] == actual.max(axis=-1)).all())


def _p95_us(model: Model, samples: Sequence[Sample]) -> int:
    times = []
    deadline = time.monotonic() + _TIMED_SECONDS
    for tensors in _cycle(samples):
        times.append(model.infer(tensors).timing.run_ns // 1000)
        if len(times) >= _TIMED_RUNS or time.monotonic() > deadline:
            break
    return sorted(times)[len(times) * 95 // 100]


def _cycle(samples: Sequence[Sample]) -> Iterator[list[Tensor]]:
    while True:
        for sample in samples:
            yield _tensors(sample.inputs)


def _tensors(recorded: Sequence[TensorData]) -> list[Tensor]:
    return [Tensor(each.name, BY_NAME[each.dtype], each.shape, each.data) for each in recorded]


def _float(data: Any, dtype: str) -> NDArray[np.float64]:
    return np.frombuffer(data, dtype).astype(np.float64)
