"""TFLM by its own kernels, and the arena that it needs, measured. Child process only.

TFLM checks nothing of a model file: a broken one, or an arena too small, may end the process. So the arena is sought by
forks of this one, which load the model into arenas of different sizes; the figures of ``print_allocations`` would not
do, because planning needs memory that they leave out (hello_world: 1,936 bytes needed, 1,504 printed).

A figure of this machine is never too low for a microcontroller with the same kernels: every structure in an arena is
as large and as strictly aligned on a 64-bit machine as on a 32-bit one, or more so, and tensors are the same.
"""

import os
import resource
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from tflite_micro import runtime

from dunlin_contract.manifest import Io, Quantization, Tensor
from model_packager.trial.runtimes import Array, RefusedError, one_line, tensor

MOST_ARENA_BYTES = 64 << 20
"""More than any microcontroller has, external memory included."""
ARENA_STEP_BYTES = 64
_NOT_TAKEN = "TFLM does not take it: it needs int8 weights and activations, and operators that TFLM has"
_PROBE_CPU_SECONDS = 20
_STDERR = 2
_MOST_DESCRIPTORS = 256
_WORDS_BYTES = 4096

_T = TypeVar("_T")


class Tflm:
    """TFLM through ``tflite-micro``, in an arena of the least size that will do."""

    def __init__(self, path: str) -> None:
        content = Path(path).read_bytes()
        model = schema.Model.GetRootAs(content, 0)
        _check_operators(model)
        self.notes: tuple[str, ...] = (
            () if _has_int8(model) else ("no tensor of the model is int8: is this the quantized one?",)
        )
        _said(lambda: _open(content, MOST_ARENA_BYTES), _NOT_TAKEN)
        self.arena_bytes = _least(lambda size: _loads(content, size))
        self._interpreter = _said(lambda: _open(content, self.arena_bytes), _NOT_TAKEN)
        graph, names = model.Subgraphs(0), _signature_names(model)

        def side(word: str, indexes: Sequence[int], details: Callable[[int], dict[str, Any]]) -> tuple[Tensor, ...]:
            def name(index: int) -> str:
                return names.get(index) or (graph.Tensors(index).Name() or b"").decode("utf-8", "replace")

            return tuple(_tensor(word, name(index), details(at)) for at, index in enumerate(indexes))

        inputs = [int(graph.Inputs(at)) for at in range(graph.InputsLength())]
        outputs = [int(graph.Outputs(at)) for at in range(graph.OutputsLength())]
        self.io = Io(
            inputs=side("input", inputs, self._interpreter.get_input_details),
            outputs=side("output", outputs, self._interpreter.get_output_details),
        )

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """See :class:`runtimes.Session`. Each run starts afresh, as a model's first does: variables are reset."""

        def once() -> list[Array]:
            self._interpreter.reset()
            for at, array in enumerate(inputs):
                self._interpreter.set_input(array, at)
            self._interpreter.invoke()
            return [np.asarray(self._interpreter.get_output(at)) for at in range(len(self.io.outputs))]

        return _said(once, "TFLM failed")


def _open(content: bytes, arena_bytes: int) -> Any:
    return runtime.Interpreter.from_bytes(content, arena_size=arena_bytes)


def _check_operators(model: Any) -> None:
    """Whether the firmware could have them: it holds TFLM's builtin operators, and no resource variables.

    Raises:
        RefusedError: naming those that it has not.
    """
    codes = [model.OperatorCodes(at) for at in range(model.OperatorCodesLength())]
    lacking = {code.CustomCode().decode("utf-8", "replace") for code in codes if code.CustomCode()}
    if any(code.BuiltinCode() == schema.BuiltinOperator.VAR_HANDLE for code in codes):
        lacking.add("VAR_HANDLE")
    if lacking:
        raise RefusedError(
            f"the firmware has neither custom operators nor variables, so not {', '.join(sorted(lacking))}: "
            "use a model without them"
        )


def _has_int8(model: Any) -> bool:
    graphs = [model.Subgraphs(at) for at in range(model.SubgraphsLength())]
    int8 = schema.TensorType.INT8
    return any(graph.Tensors(at).Type() == int8 for graph in graphs for at in range(graph.TensorsLength()))


def _said(act: Callable[[], _T], what: str) -> _T:
    """What ``act`` gives. TFLM raises without a reason, which it writes to standard error: the parent made that a file.

    Raises:
        RefusedError: with the reason that was written.
    """
    start = os.lseek(_STDERR, 0, os.SEEK_CUR)
    try:
        return act()
    except Exception as error:  # noqa: BLE001 - parsers of model files fail in many ways; all of them refuse the model
        written = os.pread(_STDERR, _WORDS_BYTES, start).decode("utf-8", "replace")
        raise RefusedError(f"{what}: {' '.join(written.split())[:400] or one_line(error)}") from None


def _least(fits: Callable[[int], bool]) -> int:
    """The least multiple of 64 bytes that fits, found by halving; ``MOST_ARENA_BYTES`` does."""
    low, high = 0, MOST_ARENA_BYTES // ARENA_STEP_BYTES
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle * ARENA_STEP_BYTES):
            high = middle
        else:
            low = middle
    return high * ARENA_STEP_BYTES


def _loads(content: bytes, arena_bytes: int) -> bool:
    """Whether the model loads into such an arena, tried in a fork: too small a one may end the process."""
    process = os.fork()
    if process == 0:
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (_PROBE_CPU_SECONDS, _PROBE_CPU_SECONDS))
            os.dup2(os.open(os.devnull, os.O_WRONLY), _STDERR)
            os.closerange(_STDERR + 1, _MOST_DESCRIPTORS)  # the parent waits for the end of its pipe
            _open(content, arena_bytes)
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(process, 0)[1] == 0


def _signature_names(model: Any) -> dict[int, str]:
    """Tensor index -> its name in the model's only signature, as the other runtime for these files names it."""
    if model.SignatureDefsLength() != 1:
        return {}
    signature = model.SignatureDefs(0)
    maps = [signature.Inputs(at) for at in range(signature.InputsLength())]
    maps += [signature.Outputs(at) for at in range(signature.OutputsLength())]
    return {int(entry.TensorIndex()): entry.Name().decode("utf-8", "replace") for entry in maps}


def _tensor(side: str, name: str, detail: dict[str, Any]) -> Tensor:
    steps = detail["quantization_parameters"]
    quantization = None
    if len(steps["scales"]) == 1:
        quantization = Quantization(scale=float(steps["scales"][0]), zero_point=int(steps["zero_points"][0]))
    return tensor(side, name, np.dtype(detail["dtype"]).name, [int(size) for size in detail["shape"]], quantization)
