"""The interface of every carrier. A carrier moves named bytes and believes nothing; who wants them checks them."""

from collections.abc import Sequence
from typing import Protocol


class Receiver(Protocol):
    """Whom a carrier tells. Called in the loop's thread."""

    def arrived(self, name: bytes, data: bytes) -> None:
        """Bytes came under ``name``; nothing is known about them yet."""

    def gave_up(self, name: bytes) -> None:
        """``name`` did not come in time; the carrier will try again by itself while it is wanted."""


class Carrier(Protocol):
    """Brings objects."""

    def want(self, names: Sequence[bytes]) -> None:
        """The objects to bring, the most urgent first. Replaces the list before; an empty one stops everything."""

    def corrupt(self, name: bytes) -> None:
        """What came under ``name`` was not it: bring it again, later."""
