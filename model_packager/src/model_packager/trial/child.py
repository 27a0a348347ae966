"""The child process: loads the model, runs the samples, measures, and writes one CBOR map to the pipe it was given.

``python -m model_packager.trial.child FD`` with the request (CBOR) on standard input. Whatever a hostile or broken
model does to this process, the parent only sees bytes in a pipe, or their absence.
"""

import os
import resource
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from dunlin_contract import cbor
from dunlin_contract.golden import Golden, Sample, TensorData
from dunlin_contract.manifest import Io, Tensor
from model_packager.trial import measure, samples
from model_packager.trial.baseline import Measuring
from model_packager.trial.describe import check_format, describe
from model_packager.trial.runtimes import Array, RefusedError, Session, load, one_line

_DISTRIBUTION = {"litert": "ai-edge-litert", "onnxruntime": "onnxruntime", "tflm": "tflite-micro"}
_LATENCY_RUNS = range(5, 300)
"""At least and at most so many."""
_LATENCY_SECONDS = 1.0
_REQUEST_BYTES = 65536
_BASELINE_SAMPLES = 4096
_FEW = 20
"""Samples a bin under which a baseline's own chance shows in every comparison with it."""


def _peak_memory() -> int:
    """Peak resident bytes of this process: interpreter, runtime and model, as a device's worker has them.

    ``getrusage`` would not do: its peak includes that of the process which started this one (getrusage(2) counts from
    before ``exec``).
    """
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


def _latency(session: Session, sets: list[list[Array]]) -> list[int]:
    """Microseconds of single runs, samples in turn."""
    times: list[int] = []
    end = time.monotonic() + _LATENCY_SECONDS
    while len(times) < _LATENCY_RUNS.stop and (len(times) < _LATENCY_RUNS.start or time.monotonic() < end):
        start = time.perf_counter_ns()
        session.run(sets[len(times) % len(sets)])
        times.append((time.perf_counter_ns() - start) // 1000)
    return times


def _check_outputs(outputs: list[list[Array]], io: Io) -> None:
    for number, sample in enumerate(outputs, 1):
        for tensor, array in zip(io.outputs, sample, strict=True):
            if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
                raise RefusedError(f"output {tensor.name!r} is not finite for sample {number}: the model is broken")


def _recorded(sets: list[list[Array]], outputs: list[list[Array]], most_bytes: int) -> int:
    """How many samples go into the golden payload: as many as have room there, and always one."""
    total = 0
    for count, arrays in enumerate(zip(sets, outputs, strict=True)):
        total += sum(array.nbytes for side in arrays for array in side)
        if total > most_bytes:
            return max(1, count)
    return len(sets)


def _tensor_data(tensor: Tensor, array: Array) -> TensorData:
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return TensorData(name=tensor.name, dtype=tensor.dtype, shape=tuple(array.shape), data=little.tobytes())


def _golden(io: Io, sets: list[list[Array]], outputs: list[list[Array]]) -> Golden:
    def side(tensors: tuple[Tensor, ...], arrays: list[Array]) -> tuple[TensorData, ...]:
        return tuple(_tensor_data(tensor, array) for tensor, array in zip(tensors, arrays, strict=True))

    pairs = zip(sets, outputs, strict=True)
    return Golden(samples=tuple(Sample(inputs=side(io.inputs, a), outputs=side(io.outputs, b)) for a, b in pairs))


def _other_outputs(runtime: str, path: str, sets: list[list[Array]]) -> list[list[Array]] | None:
    """The same samples by other kernels, where the runtime has some for this model."""
    try:
        session = load(runtime, path, other_kernels=True)
        return [[output.copy() for output in session.run(inputs)] for inputs in sets]
    except RefusedError:
        return None


def _baseline(session: Session, wanted: dict[str, Any]) -> tuple[bytes, list[str]]:
    """The encoded baseline, and what people should know of it."""
    given = samples.load(Path(wanted["samples"]), session.io.inputs, _BASELINE_SAMPLES)
    measuring = Measuring(session.io, wanted["classes"], wanted["softmax"])
    for inputs in given:
        measuring.add(inputs, session.run(inputs))
    found = measuring.result(wanted["bins"])
    few = len(given) < _FEW * wanted["bins"]
    note = f"the baseline has only {len(given)} samples: give at least {_FEW * wanted['bins']}, or fewer bins"
    return found.to_bytes(), [note] if few else []


def attempt(request: dict[str, Any]) -> dict[str, Any]:
    """Try a model as the request says: ``runtime``, ``model``, ``samples``, ``count``, ``most_bytes``, ``quantized``,
    and if wanted ``baseline``: ``samples``, ``bins``, ``classes``, ``softmax``.

    Raises:
        RefusedError: why model or samples are refused.
    """
    runtime, path = request["runtime"], request["model"]
    with Path(path).open("rb") as file:
        check_format(runtime, file.read(8), Path(path))
    session = load(runtime, path)
    io = session.io
    try:
        given = samples.load(Path(request["samples"]), io.inputs, request["count"])
    except RefusedError as error:
        return {"sample_error": str(error)}
    outputs = [[output.copy() for output in session.run(inputs)] for inputs in given]
    _check_outputs(outputs, io)
    recorded = _recorded(given, outputs, request["most_bytes"])
    sets, outputs = given[:recorded], outputs[:recorded]
    times = _latency(session, sets)
    memory = _peak_memory()  # before the comparison, which loads the model again
    ops, min_version = describe(runtime, Path(path))
    others = _other_outputs(runtime, path, sets)
    notes = list(session.notes)
    baseline = None
    if request["baseline"] is not None:
        try:
            baseline, more = _baseline(session, request["baseline"])
        except RefusedError as error:
            return {"sample_error": str(error)}
        notes += more
    spread = measure.spread(outputs, others) if others is not None else 0.0
    tolerance = measure.tolerance(outputs, spread, request["quantized"])
    return {
        "io": io.to_cbor(),
        "ops": [[op.opcode, op.version] for op in ops],
        "min_version": list(min_version) if min_version else None,
        "runtime_version": metadata.version(_DISTRIBUTION[runtime]),
        "golden": _golden(io, sets, outputs).to_bytes(),
        "samples": recorded,
        "given": len(given),
        "spread": spread,
        "tolerance": tolerance,
        "top1_permille": measure.top1_permille(outputs, tolerance),
        "p50_us": measure.percentile(times, 0.5),
        "p95_us": measure.percentile(times, 0.95),
        "memory_bytes": memory,
        "arena_bytes": session.arena_bytes,
        "notes": notes,
        "baseline": baseline,
    }


def main(pipe: int) -> None:
    """Read the request, try the model, answer. A refusal is an answer too."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the model
    request = cbor.decode(sys.stdin.buffer.read(), _REQUEST_BYTES)
    try:
        answer = attempt(request)
    except RefusedError as error:
        answer = {"model_error": str(error)}
    except MemoryError:
        answer = {"model_error": "there is not enough memory to run it"}
    except Exception as error:  # noqa: BLE001 - parsers of model files fail in many ways; all of them refuse the model
        answer = {"model_error": f"{type(error).__name__}: {one_line(error)}"}
    with os.fdopen(pipe, "wb") as out:
        out.write(cbor.encode(answer))


if __name__ == "__main__":
    main(int(sys.argv[1]))
