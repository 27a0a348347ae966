"""ONNX Runtime, on the CPU or an NVIDIA GPU. Imported only inside a worker."""

from collections.abc import Sequence
from typing import Any

import onnxruntime as ort
from numpy.typing import NDArray

from dunlin_contract.manifest import Io
from fleet_agent.runtimes.errors import ModelLoadError, ModelRunError, runtime_call
from fleet_agent.runtimes.signature import Port, match

_DTYPES = {
    "tensor(bool)": "bool",
    "tensor(float16)": "float16",
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    **{f"tensor({sign}int{bits})": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
_FATAL_ONLY = 4
# In order of preference; what one cannot compute goes to the next.
_PROVIDERS = {
    "cpu": ("CPUExecutionProvider",),
    "cuda": ("CUDAExecutionProvider", "CPUExecutionProvider"),
    "tensorrt": ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"),
}
_DELEGATES = {names[0]: delegate for delegate, names in _PROVIDERS.items()}


class OnnxRuntimeSession:
    """An ``.onnx`` model. Loaded by path: from bytes the runtime would keep the model twice."""

    maps = False

    def __init__(self, path: str, io: Io, threads: int, delegate: str = "cpu") -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _FATAL_ONLY
        # Waiting threads sleep: an edge device has better uses for its cores and its battery.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        with runtime_call(ModelLoadError, "ONNX Runtime does not take the model"):
            there = ort.get_available_providers()
            providers = [name for name in _PROVIDERS[delegate] if name in there]
            self._session = ort.InferenceSession(path, options, providers=providers)
            # A provider whose libraries are missing is left out without a word.
            self.runs_on = _DELEGATES[self._session.get_providers()[0]]
        self.note = "" if self.runs_on == delegate else _note(delegate, self.runs_on, there)
        match("input", io.inputs, [_port(node) for node in self._session.get_inputs()])
        match("output", io.outputs, [_port(node) for node in self._session.get_outputs()])
        self._inputs = [tensor.name for tensor in io.inputs]
        self._outputs = [tensor.name for tensor in io.outputs]

    def run(self, inputs: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """See :class:`fleet_agent.runtimes.protocol.Session`."""
        with runtime_call(ModelRunError, "ONNX Runtime failed"):
            outputs: list[NDArray[Any]] = self._session.run(self._outputs, dict(zip(self._inputs, inputs, strict=True)))
        return outputs


def _note(delegate: str, runs_on: str, there: Sequence[str]) -> str:
    wanted = _PROVIDERS[delegate][0]
    if wanted not in there:
        return f"runs on {runs_on}: ONNX Runtime here was built without {wanted}; install onnxruntime-gpu"
    return f"runs on {runs_on}: {wanted} did not start; check NVIDIA's driver and libraries"


def _port(node: Any) -> Port:
    shape = tuple(size if isinstance(size, int) else -1 for size in node.shape)
    return Port((node.name,), _DTYPES.get(node.type, node.type), shape)
