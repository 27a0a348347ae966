"""The firmware's C unit tests, as CTest runs them."""

import subprocess

import pytest

from tests.firmware.build import build


@pytest.mark.timeout(900)
def test_units() -> None:
    tree = build("all")
    run = subprocess.run(
        ["ctest", "--test-dir", tree, "--parallel", "2", "--output-on-failure", "--no-tests=error"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr
