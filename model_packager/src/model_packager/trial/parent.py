"""Runs the child and judges how it ended."""

import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict, dataclass
from typing import IO, Any

from dunlin_contract import cbor
from dunlin_contract.drift import Baseline
from dunlin_contract.errors import ContractError
from dunlin_contract.fit import Op
from dunlin_contract.golden import Golden
from dunlin_contract.limits import LIMITS
from dunlin_contract.manifest import Io
from model_packager.errors import ModelRefusedError, PackagerError, SampleError
from model_packager.recipe import VariantRecipe

_ANSWER_BYTES = LIMITS.golden_bytes + 1_048_576
_STDERR_TAIL = 4096
_CHILD = (sys.executable, "-P", "-m", "model_packager.trial.child")


@dataclass(frozen=True, slots=True)
class Trial:
    """What a run of the model showed. ``golden``, ``baseline``: encoded payloads; ``min_version``: as in the fit.

    ``samples`` are recorded, of ``given`` ones; ``arena_bytes`` as measured; ``notes`` are for people.
    """

    io: Io
    ops: tuple[Op, ...]
    min_version: tuple[int, int, int]
    runtime_version: str
    golden: bytes
    samples: int
    spread: float
    tolerance: float
    top1_permille: int
    p50_us: int
    p95_us: int
    memory_bytes: int
    given: int
    arena_bytes: int
    notes: tuple[str, ...]
    baseline: bytes | None


def run(variant: VariantRecipe, timeout_s: float) -> Trial:
    """Try one variant's model in a child process.

    Raises:
        ModelRefusedError: it does not load or run, crashes the runtime, hangs, or is of another format.
        SampleError: the samples do not match its inputs.
        PackagerError: TFLM is not installed here.
    """
    if variant.micro and importlib.util.find_spec("tflite_micro") is None:
        raise PackagerError(
            f"{variant.kind} is tried with TFLM's own kernels, which are not installed: use x86-64 Linux, and "
            "pip install 'dunlin-packager[tflm]'"
        )
    request = {
        "runtime": variant.runtime,
        "model": str(variant.model),
        "samples": str(variant.samples),
        "count": variant.golden.samples,
        "most_bytes": variant.golden.most_bytes,
        "quantized": variant.kind.endswith("int8"),
        "baseline": None,
    }
    if variant.baseline is not None:
        request["baseline"] = asdict(variant.baseline) | {"samples": str(variant.baseline.samples)}
    answer = _read_answer(variant, _spawn(variant, cbor.encode(request), timeout_s))
    if "sample_error" in answer:
        raise SampleError(answer["sample_error"])
    if "model_error" in answer:
        raise ModelRefusedError(f"{variant.kind}: {variant.model.name} is refused: {answer['model_error']}")
    return _trial(variant, answer)


def _trial(variant: VariantRecipe, answer: dict[str, Any]) -> Trial:
    # The child ran a model that nobody has vouched for, so what it says is checked like anything from outside.
    try:
        ops = tuple(Op.from_cbor({0: opcode, 1: version}) for opcode, version in answer["ops"])
        Golden.from_bytes(answer["golden"])
        baseline = None if answer["baseline"] is None else Baseline.from_bytes(answer["baseline"]).to_bytes()
        tried = _numbers(answer["runtime_version"])
        return Trial(
            io=Io.from_cbor(answer["io"]),
            ops=ops,
            min_version=variant.min_version or _numbers(".".join(map(str, answer["min_version"] or tried))),
            runtime_version=str(answer["runtime_version"]),
            golden=bytes(answer["golden"]),
            samples=int(answer["samples"]),
            spread=float(answer["spread"]),
            tolerance=float(answer["tolerance"]),
            top1_permille=int(answer["top1_permille"]),
            p50_us=int(answer["p50_us"]),
            p95_us=int(answer["p95_us"]),
            memory_bytes=int(answer["memory_bytes"]),
            given=int(answer["given"]),
            arena_bytes=int(answer["arena_bytes"]),
            notes=tuple(map(str, answer["notes"])),
            baseline=baseline,
        )
    except ContractError as error:
        raise ModelRefusedError(f"{variant.kind}: {variant.model.name} is refused: {error}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise ModelRefusedError(
            f"{variant.kind}: {variant.model.name} is refused: its trial ended in disorder"
        ) from error


def _numbers(version: str) -> tuple[int, int, int]:
    found = [int("".join(filter(str.isdigit, part)) or 0) for part in version.split("+", maxsplit=1)[0].split(".")]
    major, minor, patch = (*found, 0, 0, 0)[:3]
    return major, minor, patch


def _read_answer(variant: VariantRecipe, data: bytes) -> dict[str, Any]:
    try:
        answer = cbor.decode(data, _ANSWER_BYTES)
    except ContractError as error:
        raise ModelRefusedError(
            f"{variant.kind}: {variant.model.name} is refused: its trial said nonsense ({error})"
        ) from None
    return answer if isinstance(answer, dict) else {}


def _environment() -> dict[str, str]:
    """No token, for a model may take the child over; and no report of onnxruntime's to its maker."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DUNLIN_")}
    return kept | {"ORT_DISABLE_TELEMETRY": "1"}


def _spawn(variant: VariantRecipe, request: bytes, timeout_s: float) -> bytes:
    receiving, sending = os.pipe()
    answer = bytearray()
    with tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                [*_CHILD, str(sending)],
                stdin=subprocess.PIPE,
                stdout=errors,
                stderr=errors,
                pass_fds=[sending],
                env=_environment(),
            )
        except OSError:
            os.close(receiving)
            raise
        finally:
            os.close(sending)
        reader = threading.Thread(target=_drain, args=(receiving, answer), daemon=True)
        reader.start()
        try:
            process.communicate(request, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise ModelRefusedError(
                f"{variant.kind}: {variant.model.name} is refused: it did not finish within {timeout_s:g} s; "
                "give fewer samples, or more time by --timeout"
            ) from None
        finally:
            process.kill()
            process.wait()
            reader.join()
        if process.returncode != 0:
            raise ModelRefusedError(
                f"{variant.kind}: {variant.model.name} is refused: it crashed {variant.runtime} "
                f"({_how(process.returncode)}){_last_words(errors)}"
            )
    return bytes(answer)


def _drain(pipe: int, into: bytearray) -> None:
    with os.fdopen(pipe, "rb") as file:
        while (part := file.read(65536)) and len(into) <= _ANSWER_BYTES:
            into += part


def _how(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    if code == -signal.SIGKILL:
        return "killed, perhaps for want of memory"
    return signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"


def _last_words(errors: IO[bytes]) -> str:
    size = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, size - _STDERR_TAIL))
    lines = [line.strip() for line in errors.read().decode("utf-8", "replace").splitlines() if line.strip()]
    return f": {lines[-1][:300]}" if lines else ""
