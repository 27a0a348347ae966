"""LiteRT (TensorFlow Lite) by ``ai-edge-litert``. Imported only inside a worker."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from dunlin_contract.manifest import Io
from fleet_agent.runtimes.errors import ModelLoadError, ModelRunError, runtime_call
from fleet_agent.runtimes.signature import Port, match


class LiteRtSession:
    """A ``.tflite`` model on XNNPACK. The runtime maps the file, so a memfd costs its size once."""

    runs_on = "cpu"
    maps = True

    def __init__(self, path: str, io: Io, threads: int, delegate: str = "cpu") -> None:
        self.note = "" if delegate == "cpu" else f"LiteRT runs on the CPU here: it has no delegate {delegate!r}"
        with runtime_call(ModelLoadError, "LiteRT does not take the model"):
            self._interpreter = Interpreter(model_path=path, num_threads=threads)
            details = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        aliases = self._signature_names()
        inputs, outputs = ([_port(detail, aliases) for detail in side] for side in details)
        self._inputs = [int(details[0][place]["index"]) for place in match("input", io.inputs, inputs)]
        self._outputs = [int(details[1][place]["index"]) for place in match("output", io.outputs, outputs)]
        self._shapes = [tuple(max(size, 1) for size in tensor.shape) for tensor in io.inputs]
        with runtime_call(ModelLoadError, "LiteRT cannot prepare the model"):
            self._allocate()

    def run(self, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """See :class:`fleet_agent.runtimes.protocol.Session`."""
        with runtime_call(ModelRunError, "LiteRT failed"):
            shapes = [array.shape for array in inputs]
            if shapes != self._shapes:
                self._shapes = shapes
                self._allocate()
            for index, array in zip(self._inputs, inputs, strict=True):
                self._interpreter.set_tensor(index, array)
            self._interpreter.invoke()
            return [self._interpreter.get_tensor(index) for index in self._outputs]

    def _allocate(self) -> None:
        for index, shape in zip(self._inputs, self._shapes, strict=True):
            self._interpreter.resize_tensor_input(index, shape)
        self._interpreter.allocate_tensors()

    def _signature_names(self) -> dict[int, str]:
        """Tensor index -> its name in the model's only signature; those names are what its author wrote."""
        signatures = self._interpreter.get_signature_list()
        if len(signatures) != 1:
            return {}
        runner = self._interpreter.get_signature_runner(next(iter(signatures)))
        sides = runner.get_input_details(), runner.get_output_details()
        return {int(detail["index"]): name for side in sides for name, detail in side.items()}


def _port(detail: dict[str, Any], aliases: dict[int, str]) -> Port:
    alias = aliases.get(int(detail["index"]))
    names = (*([alias] if alias else []), str(detail["name"]))
    sizes = detail["shape_signature"] if len(detail["shape_signature"]) else detail["shape"]
    shape = tuple(int(size) for size in sizes)
    return Port(names, np.dtype(detail["dtype"]).name, shape)
