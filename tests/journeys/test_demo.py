"""`make demo ONCE=1` proves its claims and leaves nothing behind."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from demo import firmware
from demo.programs import ROOT


@pytest.mark.serial
@pytest.mark.timeout(600)
def test_the_demo_passes_and_leaves_nothing_behind(tmp_path: Path) -> None:
    before = set(Path(tempfile.gettempdir()).glob("dunlin-demo-*"))
    done = subprocess.run(
        [sys.executable, "-m", "demo", "--once"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "demo: PASS"
    assert ("no microcontroller took part" in done.stdout) == bool(firmware.no_tflm())
    assert set(Path(tempfile.gettempdir()).glob("dunlin-demo-*")) == before
    left = [name for name in _command_lines() if "dunlin-demo-" in name]
    assert left == []


def _command_lines() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return found
