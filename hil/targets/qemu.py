"""The firmware on a board that QEMU emulates."""

from pathlib import Path

from demo.board import QemuBoard
from demo.firmware import Firmware
from hil.targets.base import Board


class QemuTarget:
    """As many devices as a scenario wants."""

    def __init__(self, name: str, firmware: Firmware, machine: str) -> None:
        self.name = name
        self._firmware = firmware
        self._machine = machine

    def board(self, directory: Path) -> Board:
        """See :class:`hil.targets.base.Target`."""
        return QemuBoard(self.name, directory, self._firmware, self._machine)
