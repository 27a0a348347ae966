"""The interface of every carrier. A carrier moves named bytes and believes nothing; who wants them checks them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from dunlin_contract.limits import LIMITS


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


@dataclass(frozen=True, slots=True)
class Place:
    """Where a chunk lies: ``length`` bytes from ``offset`` of one payload's ciphertext, which has ``of`` bytes and
    begins ``before`` bytes after the first chunk of the release's bundle file. ``payload``: its place in the manifest.
    """

    release: bytes
    payload: int
    offset: int
    length: int
    of: int
    before: int

    @property
    def large(self) -> bool:
        """Whether the broker holds no chunk of this payload."""
        return self.of > LIMITS.broker_payload_bytes


Locate = Callable[[bytes], Place | None]
"""Where the chunk of a name lies; None for what is no chunk, or is wanted no more."""


class Teller(Receiver, Protocol):
    """Whom one carrier among several tells."""

    def changed(self, *, fresh: bool = False) -> None:
        """What it offers may have changed. ``fresh``: it is another connection or medium, old silences are forgiven."""


class Source(Carrier, Protocol):
    """One carrier among several, which take over from each other. It need not try a name again that it gave up."""

    kind: str

    @property
    def why(self) -> str:
        """What hinders it, for people; empty: nothing."""

    def offers(self, name: bytes, place: Place | None) -> bool:
        """Whether it may be asked for ``name`` now. ``place``: where the chunk lies, if it is one."""
