"""What every board can do. A scenario that needs more than its board has is skipped there, and says why."""

from pathlib import Path
from typing import ClassVar, Protocol


class Board(Protocol):
    """A microcontroller, simulated or real, with its serial line as something that can be opened."""

    name: str
    """Of the target."""
    address: str
    """``socket://HOST:PORT`` or ``DEVICE[@BAUD]``."""
    hardware_class: str
    simulated: ClassVar[bool]
    """Whether it is a :class:`demo.board.Simulated`, which takes words and tells of itself."""
    has_power_switch: bool
    """Whether :meth:`stop` can be called at any moment."""
    patience: float
    """How much longer than the firmware on this machine it may take: a factor."""

    def prepare(self) -> None:
        """Make it a board that was never enrolled, and switch it off."""

    def start(self) -> None:
        """Power on."""

    def stop(self) -> None:
        """Power off, at any moment."""

    def close(self) -> None:
        """End of the scenario: nothing is left running."""


class Target(Protocol):
    """An entry of the inventory: gives the scenarios their boards."""

    name: str

    def board(self, directory: Path) -> Board:
        """A board that was never enrolled, off; ``directory`` is for its files."""
