"""The template port on QEMU's Cortex-M4 board: the skeleton is whole, and its self-check finds every part working."""

import subprocess
from pathlib import Path

import pytest

from tests.firmware.build import build


@pytest.mark.timeout(600)
def test_the_template_passes_its_own_check_and_keeps_its_keys_over_a_power_cut(tmp_path: Path) -> None:
    tree = build("template", "template_check", preset="m4")
    flash = tmp_path / "flash"
    flash.write_bytes(b"\xff" * (16 << 20))
    first, second = (boot(tree / "ports" / "template" / "template_check.elf", flash) for _ in range(2))
    works = ["port check: flash works", "port check: clock works", "port check: random generator works"]
    assert first == [*works, "port check: keys work, one was made", "port works"]
    assert second == [*works, "port check: keys work, this one has survived a reset", "port works"]


def boot(program: Path, flash: Path) -> list[str]:
    """What the firmware logs up to its verdict; then it is killed."""
    memory = f"memory-backend-file,id=flash,share=on,size=16M,mem-path={flash}"
    qemu = ["qemu-system-arm", "-machine", "mps2-an386,memory-backend=flash", "-object", memory, "-nodefaults"]
    output = ["-display", "none", "-semihosting-config", "enable=on,target=native", "-kernel", program]
    lines: list[str] = []
    with subprocess.Popen([*qemu, *output], stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if line.startswith("port"):
                lines.append(line.strip())
            if line.startswith("port ") and not line.startswith("port check"):
                break
        running.kill()
    return lines
