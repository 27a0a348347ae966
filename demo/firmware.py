"""The firmware that simulated boards run: configured and built here, once, and kept for the next time."""

import fcntl
import importlib.util
import platform
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from demo.programs import ROOT, ProgramError, run

SOURCE = ROOT / "firmware_tflm"
BUILD_S = 1200.0
EXECUTABLES = {"host": "ports/host/firmware", "m4": "ports/qemu/firmware.elf", "m55": "ports/qemu/firmware.elf"}


@dataclass(frozen=True, slots=True)
class Firmware:
    """`lent`: it has no TFLM of its own and borrows it from a process of this machine."""

    path: Path
    lent: bool


def no_tflm() -> str:
    """Why TensorFlow Lite Micro does not run on this machine; empty: it does."""
    if importlib.util.find_spec("tflite_micro") is not None:
        return ""
    return f"there is no wheel of TensorFlow Lite Micro for this machine ({platform.system()} on {platform.machine()})"


def best_preset() -> str:
    """Of the boards that this machine can simulate the one that is most like a real one: QEMU's, or a process."""
    emulated = all(shutil.which(program) for program in ("qemu-system-arm", "arm-none-eabi-gcc"))
    return "m4" if emulated else "host"


def build(preset: str, tflm_root: str = "", operators: Sequence[str] = ()) -> Firmware:
    """Bring the firmware of a preset up to date. `tflm_root`: a TFLM build, of which it holds `operators`, or all of
    them; without one TFLM is lent.

    Raises:
        ProgramError: its first line says why; what CMake or the compiler said follows.
    """
    folder = ROOT / "build" / "firmware" / (f"{preset}-tflm" if tflm_root else preset)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        # Test workers side by side build the same firmware.
        fcntl.flock(lock, fcntl.LOCK_EX)
        run([str(SOURCE / "tools" / "get-mbedtls")], timeout_s=BUILD_S)
        inside = (
            [f"-DTFLM_ROOT={tflm_root}", f"-DDUNLIN_OPERATORS={';'.join(operators) or '--all'}"] if tflm_root else []
        )
        _cmake("--preset", preset, "-S", SOURCE, "-B", folder, *inside)
        _cmake("--build", folder, "--target", "firmware")
    return Firmware(folder / EXECUTABLES[preset], lent=not tflm_root)


def _cmake(*arguments: object) -> None:
    argv: Sequence[str] = ["cmake", *map(str, arguments)]
    try:
        run(argv, timeout_s=BUILD_S)
    except ProgramError as error:
        lines = str(error).splitlines()
        first = next((line for line in lines if "error" in line.lower()), lines[0])
        raise ProgramError(f"the firmware cannot be built: {first}\n{error}") from None
