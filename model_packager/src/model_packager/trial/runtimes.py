"""The runtimes as devices use them, each also with other kernels to compare. Child process only."""

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dunlin_contract.manifest import DTYPES, MICRO_RUNTIME, Io, Quantization, Tensor

Array = NDArray[Any]


class RefusedError(Exception):
    """Why a model or its samples are refused, in one line."""


class Session(Protocol):
    """A loaded model.

    ``arena_bytes``: the memory that a microcontroller sets aside for it; 0 elsewhere. ``notes``: for people.
    """

    io: Io
    arena_bytes: int
    notes: tuple[str, ...]

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Run once, tensors in the order of ``io``. Raises RefusedError."""


def load(runtime: str, path: str, other_kernels: bool = False) -> Session:
    """Load a model. ``other_kernels``: the same model computed another way, to see how far results may differ.

    Raises:
        RefusedError: with the runtime's own message.
    """
    if runtime == MICRO_RUNTIME and not other_kernels:
        from model_packager.trial.tflm import Tflm

        return Tflm(path)
    if runtime == MICRO_RUNTIME:  # its other kernels are LiteRT's plain ones, which round elsewhere
        runtime = "litert"
    return (LiteRt if runtime == "litert" else OnnxRuntime)(path, other_kernels)


@contextlib.contextmanager
def refusing(what: str) -> Iterator[None]:
    """Turns whatever a runtime raises into RefusedError, in one line."""
    try:
        yield
    except RefusedError:
        raise
    except Exception as error:  # noqa: BLE001 - runtimes raise whatever they like
        raise RefusedError(f"{what}: {one_line(error)}") from None


def one_line(error: Exception) -> str:
    """A runtime's message without line breaks and links, short enough for a terminal."""
    text = " ".join(re.sub(r"See instructions: \S+", "", str(error)).split())
    return (text or type(error).__name__)[:400]


def tensor(side: str, name: str, dtype: str, shape: Sequence[int], quantization: Quantization | None = None) -> Tensor:
    """A tensor as the manifest lists it. Raises RefusedError."""
    if dtype not in DTYPES:
        raise RefusedError(
            f"{side} {name!r} is of type {dtype}, which no device can be sent; known are {', '.join(DTYPES)}"
        )
    return Tensor(name=name, dtype=dtype, shape=tuple(shape), quantization=quantization)


class LiteRt:
    """LiteRT through ``ai-edge-litert``."""

    arena_bytes = 0
    notes: tuple[str, ...] = ()

    def __init__(self, path: str, other_kernels: bool) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES if other_kernels else OpResolverType.AUTO
        with refusing("LiteRT does not take it"):
            self._interpreter = Interpreter(path, num_threads=1, experimental_op_resolver_type=resolver)
            inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        aliases = self._signature_names()
        self._inputs, self._outputs = ([int(detail["index"]) for detail in side] for side in (inputs, outputs))
        self.io = Io(
            inputs=tuple(_litert_tensor("input", detail, aliases) for detail in inputs),
            outputs=tuple(_litert_tensor("output", detail, aliases) for detail in outputs),
        )
        self._shapes: list[tuple[int, ...]] = []

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """See :class:`Session`."""
        with refusing("LiteRT failed"):
            shapes = [array.shape for array in inputs]
            if shapes != self._shapes:
                for index, shape in zip(self._inputs, shapes, strict=True):
                    self._interpreter.resize_tensor_input(index, shape)
                self._interpreter.allocate_tensors()
                self._shapes = shapes
            for index, array in zip(self._inputs, inputs, strict=True):
                self._interpreter.set_tensor(index, array)
            self._interpreter.invoke()
            return [self._interpreter.get_tensor(index) for index in self._outputs]

    def _signature_names(self) -> dict[int, str]:
        """Tensor index -> its name in the model's only signature: the name its author wrote, where there is one."""
        signatures = self._interpreter.get_signature_list()
        if len(signatures) != 1:
            return {}
        with refusing("LiteRT cannot prepare it"):
            runner = self._interpreter.get_signature_runner(next(iter(signatures)))
            sides = runner.get_input_details(), runner.get_output_details()
        return {int(detail["index"]): name for side in sides for name, detail in side.items()}


def _litert_tensor(side: str, detail: dict[str, Any], aliases: dict[int, str]) -> Tensor:
    name = aliases.get(int(detail["index"]), str(detail["name"]))
    sizes = detail["shape_signature"] if len(detail["shape_signature"]) else detail["shape"]
    scale, zero_point = detail["quantization"]
    quantization = Quantization(scale=float(scale), zero_point=int(zero_point)) if scale else None
    dtype = detail["dtype"]
    word = "text" if dtype in (np.bytes_, np.str_) else np.dtype(dtype).name
    return tensor(side, name, word, [int(size) for size in sizes], quantization)


_ONNX_DTYPES = {
    "tensor(bool)": "bool",
    "tensor(float16)": "float16",
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    **{f"tensor({sign}int{bits})": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}
_FATAL_ONLY = 4


class OnnxRuntime:
    """ONNX Runtime on the CPU."""

    arena_bytes = 0
    notes: tuple[str, ...] = ()

    def __init__(self, path: str, other_kernels: bool) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = _FATAL_ONLY
        if other_kernels:  # nothing fused: quantized layers are computed in floating point
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        with refusing("ONNX Runtime does not take it"):
            self._session = ort.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])
        self.io = Io(
            inputs=tuple(_onnx_tensor("input", node) for node in self._session.get_inputs()),
            outputs=tuple(_onnx_tensor("output", node) for node in self._session.get_outputs()),
        )
        self._names = [tensor.name for tensor in self.io.outputs]

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """See :class:`Session`."""
        named = {tensor.name: array for tensor, array in zip(self.io.inputs, inputs, strict=True)}
        with refusing("ONNX Runtime failed"):
            outputs: list[Array] = self._session.run(self._names, named)
        return outputs


def _onnx_tensor(side: str, node: Any) -> Tensor:
    shape = [size if isinstance(size, int) and size >= 0 else -1 for size in node.shape]
    return tensor(side, node.name, _ONNX_DTYPES.get(node.type, node.type), shape)
