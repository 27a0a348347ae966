"""A loaded model that takes and gives tensors as bytes, and lets nothing unchecked reach the runtime."""

import threading
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dunlin_contract.manifest import Io
from fleet_agent.frames import BY_NAME, Dtype, Status, Tensor, check_inputs
from fleet_agent.runtimes.errors import ModelRunError
from fleet_agent.runtimes.protocol import Session


class Result(NamedTuple):
    """Outputs in io order, SERVED or NONFINITE, and how long the runtime alone took."""

    status: Status
    run_us: int
    tensors: list[Tensor]


class Model:
    """Runs one request at a time, from any thread."""

    def __init__(self, session: Session, io: Io) -> None:
        self._session = session
        self._io = io
        self._lock = threading.Lock()

    def infer(self, tensors: Sequence[Tensor]) -> Result:
        """Check, run, pack.

        Raises:
            RequestError: the tensors are not the model's inputs.
            ModelRunError: the runtime failed, or gave what the manifest does not promise.
        """
        check_inputs(self._io.inputs, tensors)
        inputs = [_array(tensor) for tensor in tensors]
        with self._lock:
            start = time.perf_counter_ns()
            outputs = self._session.run(inputs)
            run_us = (time.perf_counter_ns() - start) // 1000
        packed = []
        for spec, array in zip(self._io.outputs, outputs, strict=True):
            if array.dtype.name != spec.dtype:
                raise ModelRunError(f"output {spec.name!r} came as {array.dtype.name}; {spec.dtype} is expected")
            packed.append(Tensor(spec.name, BY_NAME[spec.dtype], array.shape, array.tobytes()))
        # What comes of a NaN that was sent is no fault of the model.
        strange = not _finite(outputs) and _finite(inputs)
        return Result(Status.NONFINITE if strange else Status.SERVED, run_us, packed)


def _finite(arrays: Sequence[NDArray[Any]]) -> bool:
    return all(array.dtype.kind != "f" or bool(np.isfinite(array).all()) for array in arrays)


def _array(tensor: Tensor) -> NDArray[Any]:
    """The tensor's bytes as an array; copied only where a runtime could stumble over them."""
    array: NDArray[Any] = np.frombuffer(tensor.data, _NUMPY[tensor.dtype]).reshape(tensor.shape)
    if tensor.dtype.name == "bool":
        # Any byte but 0 and 1 in a bool array is undefined behaviour in compiled code.
        array = array.view(np.uint8) != 0
    return array if array.flags.aligned else array.copy()


_NUMPY: dict[Dtype, np.dtype[Any]] = {dtype: np.dtype(name) for name, dtype in BY_NAME.items()}
