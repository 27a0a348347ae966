"""Builds the firmware's programs: for this machine (CMake preset ``host``: gcc, sanitizers) or for QEMU's boards."""

import fcntl
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
FIRMWARE = REPOSITORY / "firmware_tflm"
TREES = REPOSITORY / "build" / "firmware"


def build(*targets: str, preset: str = "host") -> Path:
    """Build these targets, unless they are up to date. Returns the build tree."""
    if shutil.which("cmake") is None:
        pytest.fail("cmake is missing: run requirements/setup dev", pytrace=False)
    tree = TREES / preset
    tree.mkdir(parents=True, exist_ok=True)
    with (tree / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes begin at once
        _run("cmake", "--preset", preset)
        _run("cmake", "--build", str(tree), "--target", *targets)
    return tree


def _run(*command: str) -> None:
    run = subprocess.run(command, cwd=FIRMWARE, capture_output=True, text=True, check=False)
    if run.returncode:
        pytest.fail(f"{' '.join(command)}: {(run.stdout + run.stderr)[-4000:]}", pytrace=False)
