"""Running an engine with TensorRT and pycuda. Imported only inside a worker."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dunlin_contract.manifest import Io
from fleet_agent.runtimes.errors import ModelLoadError, ModelRunError, runtime_call
from fleet_agent.runtimes.signature import Port, match
from fleet_agent.runtimes.tensorrt_common import StaleEngineError, Words, compute_capability, driver, tensorrt


class EngineSession:
    """An engine in the GPU's memory. ``compute``: what GPU it was built for; ``rows``: its largest first size.

    A CUDA context belongs to a thread while it is used; it is pushed for each run, since the self-test and requests
    come from different ones.
    """

    runs_on = "engine"
    note = ""
    maps = False

    def __init__(self, path: str, io: Io, compute: str, rows: int) -> None:
        self._words = Words()
        self._rows = rows
        with runtime_call(ModelLoadError, "CUDA does not start"):
            here = compute_capability()
        if here != compute:
            raise StaleEngineError(f"the engine is for compute capability {compute}, this GPU has {here}")
        with runtime_call(ModelLoadError, "CUDA does not start"):
            self._context = driver.Device(0).make_context()
        try:
            self._load(path, io)
        finally:
            driver.Context.pop()

    def run(self, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """See :class:`fleet_agent.runtimes.protocol.Session`."""
        with runtime_call(ModelRunError, "TensorRT failed"), self._pushed():
            for name, array in zip(self._inputs, inputs, strict=True):
                self._put(name, array)
            outputs = [
                np.empty(tuple(self._execution.get_tensor_shape(name)), self._dtype(name)) for name in self._outputs
            ]
            if not self._execution.execute_async_v3(self._stream.handle):
                raise ModelRunError(self._words.why("it gives no reason"))
            for name, array in zip(self._outputs, outputs, strict=True):
                driver.memcpy_dtoh_async(array, self._buffers[name], self._stream)
            self._stream.synchronize()
        return outputs

    def _put(self, name: str, array: NDArray[Any]) -> None:
        if array.nbytes > self._sizes[name] or not self._execution.set_input_shape(name, array.shape):
            raise ModelRunError(f"the engine takes up to {self._rows} rows at once; raise batch in agent.toml")
        driver.memcpy_htod_async(self._buffers[name], np.ascontiguousarray(array), self._stream)

    @contextmanager
    def _pushed(self) -> Iterator[None]:
        self._context.push()
        try:
            yield
        finally:
            driver.Context.pop()

    def _load(self, path: str, io: Io) -> None:
        with runtime_call(ModelLoadError, "TensorRT does not take the engine"):
            tensorrt.init_libnvinfer_plugins(self._words, "")
            self._runtime = tensorrt.Runtime(self._words)
            self._engine = self._runtime.deserialize_cuda_engine(Path(path).read_bytes())
        if self._engine is None:
            raise StaleEngineError(f"TensorRT does not take the engine: {self._words.why('it gives no reason')}")
        with runtime_call(ModelLoadError, "TensorRT cannot prepare the engine"):
            self._execution = self._engine.create_execution_context()
        if self._execution is None:
            raise ModelLoadError(f"TensorRT cannot prepare the engine: {self._words.why('memory is short')}")
        names = [self._engine.get_tensor_name(place) for place in range(self._engine.num_io_tensors)]
        self._inputs, self._outputs = self._matched(io, names)
        with runtime_call(ModelLoadError, "the GPU has no memory for the engine's tensors"):
            self._stream = driver.Stream()
            self._allocate(io)

    def _matched(self, io: Io, names: Sequence[str]) -> tuple[list[str], list[str]]:
        """Names of inputs and outputs in the manifest's order."""
        sides = []
        kinds = (("input", io.inputs, True), ("output", io.outputs, False))
        for side, wanted, comes_in in kinds:
            mine = [name for name in names if self._is_input(name) == comes_in]
            match(side, wanted, [self._port(name) for name in mine])
            sides.append([tensor.name for tensor in wanted])
        return sides[0], sides[1]

    def _is_input(self, name: str) -> bool:
        return bool(self._engine.get_tensor_mode(name) == tensorrt.TensorIOMode.INPUT)

    def _port(self, name: str) -> Port:
        return Port((name,), self._dtype(name).name, tuple(self._engine.get_tensor_shape(name)))

    def _dtype(self, name: str) -> np.dtype[Any]:
        dtype: np.dtype[Any] = np.dtype(tensorrt.nptype(self._engine.get_tensor_dtype(name)))
        return dtype

    def _allocate(self, io: Io) -> None:
        """Room for every tensor at its largest, at addresses that stay."""
        for name, tensor in zip(self._inputs, io.inputs, strict=True):
            self._execution.set_input_shape(name, tuple(self._rows if size < 0 else size for size in tensor.shape))
        self._buffers: dict[str, Any] = {}
        self._sizes: dict[str, int] = {}
        for name in (*self._inputs, *self._outputs):
            shape = tuple(self._execution.get_tensor_shape(name))
            if any(size < 0 for size in shape):
                raise ModelLoadError(f"output {name!r} has a size that depends on data: leave delegate out for it")
            size = math.prod(shape) * self._dtype(name).itemsize
            self._sizes[name], self._buffers[name] = size, driver.mem_alloc(max(1, size))
            self._execution.set_tensor_address(name, int(self._buffers[name]))
