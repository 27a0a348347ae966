"""A real board on a serial line. What it does is seen in what the server gets, signed, from it."""

import shlex
from pathlib import Path
from typing import ClassVar

from demo.programs import run
from hil.inventory import Serial
from hil.targets.base import Board

COMMAND_S = 60.0


class SerialBoard:
    """The one board of an entry; commands of the inventory erase it and switch its power."""

    simulated: ClassVar[bool] = False
    patience: float = 10.0

    def __init__(self, name: str, entry: Serial) -> None:
        self.name = name
        self.address = entry.line
        self.hardware_class = entry.hardware_class
        self.has_power_switch = bool(entry.power_off)
        self._entry = entry

    def prepare(self) -> None:
        """See :class:`hil.targets.base.Board`."""
        run(shlex.split(self._entry.erase), timeout_s=COMMAND_S)
        self.stop()

    def start(self) -> None:
        """Power on, where there is a switch."""
        if self._entry.power_on:
            run(shlex.split(self._entry.power_on), timeout_s=COMMAND_S)

    def stop(self) -> None:
        """Power off, where there is a switch."""
        if self._entry.power_off:
            run(shlex.split(self._entry.power_off), timeout_s=COMMAND_S)

    def close(self) -> None:
        """End of the scenario."""
        self.stop()


class SerialTarget:
    """One board."""

    def __init__(self, name: str, entry: Serial) -> None:
        self.name = name
        self._entry = entry

    def board(self, directory: Path) -> Board:  # noqa: ARG002 - a real board keeps no files here
        """See :class:`hil.targets.base.Target`."""
        return SerialBoard(self.name, self._entry)
