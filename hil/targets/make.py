"""From an entry of the inventory to the target."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import assert_never

from demo import firmware
from demo.board import MACHINES
from demo.firmware import Firmware
from hil.inventory import Host, Qemu, Serial
from hil.targets.base import Target
from hil.targets.host import HostTarget
from hil.targets.qemu import QemuTarget
from hil.targets.serial_board import SerialTarget

OPERATORS = (
    *("AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "DEQUANTIZE", "FULLY_CONNECTED", "MAX_POOL_2D", "QUANTIZE"),
    *("RESHAPE", "SOFTMAX", "TRANSPOSE"),
)
"""Of the models that the scenarios run: a firmware that holds all of TFLM's refuses none."""


def board_target(name: str, entry: Host | Qemu | Serial, tflm_root: str, directory: Path) -> Target:
    """The target of an entry for boards; ``directory`` is for its files.

    The firmware of simulated ones is built, and kept for as long as the run takes: whoever works on it goes on.

    Raises:
        ProgramError: it does not build.
    """

    def built(preset: str) -> Firmware:
        found = firmware.build(preset, tflm_root, OPERATORS)
        return replace(found, path=Path(shutil.copy2(found.path, directory / f"{name}-{found.path.name}")))

    match entry:
        case Host():
            return HostTarget(name, built("host"))
        case Qemu(machine=machine):
            return QemuTarget(name, built(MACHINES[machine].preset), machine)
        case Serial():
            return SerialTarget(name, entry)
        case _:
            assert_never(entry)
