"""The words of a simulated board: what they do that no scenario of hil/ looks at, and that a wrong one is refused."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.firmware.build import build

USAGE, CUT = 64, 75


@pytest.fixture(scope="module")
def firmware() -> Path:
    return build("firmware") / "ports" / "host" / "firmware"


def run(firmware: Path, flash: Path, *words: str) -> tuple[int, list[dict[str, object]]]:
    if not flash.exists():
        flash.write_bytes(b"\xff" * (16 << 20))
    done = subprocess.run(
        [firmware, f"flash={flash}", "link=tcp:127.0.0.1:0", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "word",
    [
        *("colour=red", "cut", "cut=", "cut=-1", "cut=1x", "cut=4294967296", "readonly=2", "entropy=some"),
        *("clock=now", "sector=3000", "write=64", "arena=999999999", "slot=4294963200"),
    ],
)
def test_a_word_that_means_nothing_is_refused_with_one_line(firmware: Path, tmp_path: Path, word: str) -> None:
    code, lines = run(firmware, tmp_path / "flash", word)
    assert code == USAGE
    assert len(lines) == 1


@pytest.mark.timeout(600)
@pytest.mark.parametrize("geometry", [(), ("sector=512", "write=1"), ("sector=131072", "write=32")])
def test_a_cut_falls_on_its_operation_whatever_the_flash(
    firmware: Path, tmp_path: Path, geometry: tuple[str, ...]
) -> None:
    flash = tmp_path / "flash"
    for operation in (1, 2, 5):
        code, lines = run(firmware, flash, f"cut={operation}", *geometry)
        assert (code, lines[-1]) == (CUT, {"cut": operation})
