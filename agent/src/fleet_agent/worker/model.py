"""A loaded model that takes and gives tensors as bytes, and lets nothing unchecked reach the runtime."""

import threading
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dunlin_contract.manifest import Io
from fleet_agent.frames import BY_NAME, Dtype, Prediction, Status, Tensor, Timing, check_inputs
from fleet_agent.runtimes.errors import ModelRunError
from fleet_agent.runtimes.protocol import Session

Array = NDArray[Any]


class Result(NamedTuple):
    """Outputs in io order, SERVED or NONFINITE, and what it cost (``timing.queue_ns`` is the data loop's to say).

    ``inputs``: what the model ran on.
    """

    status: Status
    timing: Timing
    tensors: list[Tensor]
    inputs: Sequence[Tensor]
    predictions: tuple[Prediction, ...] = ()


class Model:
    """Runs one request at a time, or several of equal shape at once, from any thread.

    ``batch``: how many rows may run together; 1 until :mod:`fleet_agent.worker.selftest` has seen that it works.
    """

    def __init__(self, session: Session, io: Io) -> None:
        self.io = io
        self.batch = 1
        self._session = session
        self._lock = threading.Lock()

    def infer(self, tensors: Sequence[Tensor]) -> Result:
        """Check, run, pack.

        Raises:
            RequestError: the tensors are not the model's inputs.
            ModelRunError: the runtime failed, or gave what the manifest does not promise.
        """
        start = time.perf_counter_ns()
        check_inputs(self.io.inputs, tensors)
        inputs = [_array(tensor) for tensor in tensors]
        outputs, begun, ended = self._run(inputs)
        status, packed = _status(inputs, outputs), self._pack(outputs)
        done = time.perf_counter_ns()
        rows = tensors[0].shape[0] if self.io.inputs[0].shape[:1] == (-1,) else 1
        return Result(status, Timing(0, begun - start, ended - begun, done - ended, rows), packed, tensors)

    def infer_together(self, requests: Sequence[Sequence[Tensor]]) -> list[Result]:
        """Run requests as one: stacked along their first dimension, which is free, and taken apart again.

        They have passed ``check_inputs``, and their shapes are equal but for the first size.

        Raises:
            ModelRunError: the runtime failed, or its outputs have not one row for each row that went in.
        """
        start = time.perf_counter_ns()
        counts = [tensors[0].shape[0] for tensors in requests]
        rows = sum(counts)
        single = [[_array(tensor) for tensor in tensors] for tensors in requests]
        inputs = [np.concatenate(column) for column in zip(*single, strict=True)]
        outputs, begun, ended = self._run(inputs)
        for spec, array in zip(self.io.outputs, outputs, strict=True):
            if array.ndim == 0 or array.shape[0] != rows:
                raise ModelRunError(f"output {spec.name!r} came as {list(array.shape)} for {rows} rows")
        taken, at = [], 0
        whole = _finite(outputs)
        for count, own in zip(counts, single, strict=True):
            part = [array[at : at + count] for array in outputs]
            at += count
            taken.append((Status.SERVED if whole else _status(own, part), self._pack(part)))
        done = time.perf_counter_ns()
        timing = Timing(0, begun - start, ended - begun, done - ended, rows, len(requests))
        return [
            Result(status, timing._replace(leads=not place), part, tensors)
            for place, ((status, part), tensors) in enumerate(zip(taken, requests, strict=True))
        ]

    def _run(self, inputs: list[Array]) -> tuple[list[Array], int, int]:
        """Outputs, and when the runtime began and ended."""
        with self._lock:
            begun = time.perf_counter_ns()
            outputs = self._session.run(inputs)
            return outputs, begun, time.perf_counter_ns()

    def _pack(self, outputs: Sequence[Array]) -> list[Tensor]:
        packed = []
        for spec, array in zip(self.io.outputs, outputs, strict=True):
            dtype = BY_NAME[spec.dtype]
            # numpy makes a dtype's name anew each time it is asked for: more than all else here.
            if array.dtype != _NUMPY[dtype]:
                raise ModelRunError(f"output {spec.name!r} came as {array.dtype.name}; {spec.dtype} is expected")
            packed.append(Tensor(spec.name, dtype, array.shape, array.tobytes()))
        return packed


def _status(inputs: Sequence[Array], outputs: Sequence[Array]) -> Status:
    """What comes of a NaN that was sent is no fault of the model."""
    return Status.NONFINITE if not _finite(outputs) and _finite(inputs) else Status.SERVED


def _finite(arrays: Sequence[Array]) -> bool:
    return all(array.dtype.kind != "f" or bool(np.isfinite(array).all()) for array in arrays)


def _array(tensor: Tensor) -> Array:
    """The tensor's bytes as an array; copied only where a runtime could stumble over them."""
    array: Array = np.frombuffer(tensor.data, _NUMPY[tensor.dtype]).reshape(tensor.shape)
    if tensor.dtype.name == "bool":
        # Any byte but 0 and 1 in a bool array is undefined behaviour in compiled code.
        array = array.view(np.uint8) != 0
    return array if array.flags.aligned else array.copy()


_NUMPY: dict[Dtype, np.dtype[Any]] = {dtype: np.dtype(name) for name, dtype in BY_NAME.items()}
