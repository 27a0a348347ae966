"""The firmware as a process of this machine."""

from pathlib import Path

from demo.board import HostBoard
from demo.firmware import Firmware
from hil.targets.base import Board


class HostTarget:
    """As many devices as a scenario wants."""

    def __init__(self, name: str, firmware: Firmware) -> None:
        self.name = name
        self._firmware = firmware

    def board(self, directory: Path) -> Board:
        """See :class:`hil.targets.base.Target`."""
        return HostBoard(self.name, directory, self._firmware, "host")
