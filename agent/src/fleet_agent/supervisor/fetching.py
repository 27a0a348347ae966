"""Everything the device wants brought, whoever in the agent wants it; each object is checked before anyone sees it."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dunlin_contract import merkle
from dunlin_contract.limits import LIMITS
from fleet_agent.carriers.base import Carrier

Take = Callable[[bytes, bytes], None]
"""Takes an object's name and its checked bytes."""


@dataclass(slots=True)
class _Want:
    names: dict[bytes, None]
    chunks: bool
    take: Take


@dataclass(slots=True)
class Fetching:
    """A :class:`fleet_agent.carriers.base.Receiver` that shares one carrier among many owners.

    ``corrupted`` is told of bytes that were not what their name says, ``missing_changed`` when the silent ones changed.
    """

    corrupted: Callable[[bytes], None]
    missing_changed: Callable[[], None]
    carrier: Carrier | None = None
    corrupt_count: int = 0
    _wants: dict[str, _Want] = field(default_factory=dict)
    _silent: dict[bytes, None] = field(default_factory=dict)

    def want(self, owner: str, names: Sequence[bytes], take: Take, *, chunks: bool = False) -> None:
        """Bring ``names`` for ``owner``, replacing what it wanted before. Chunks are named by their Merkle leaf."""
        self._wants[owner] = _Want(dict.fromkeys(names), chunks, take)
        self._tell()

    def forget(self, owner: str) -> None:
        """``owner`` wants nothing any more."""
        if self._wants.pop(owner, None) is not None:
            self._tell()

    @property
    def missing(self) -> tuple[bytes, ...]:
        """Objects that were asked for in vain."""
        return tuple(self._silent)[: LIMITS.missing_objects]

    def arrived(self, name: bytes, data: bytes) -> None:
        wants = [want for want in self._wants.values() if name in want.names]
        good = [want for want in wants if _names(name, data, chunks=want.chunks)]
        if wants and not good:
            self.corrupt_count += 1
            if self.carrier is not None:
                self.carrier.corrupt(name)
            self.corrupted(name)
            return
        if self._silent.pop(name, name) is None:
            self.missing_changed()
        for want in good:
            want.names.pop(name, None)
            want.take(name, data)

    def gave_up(self, name: bytes) -> None:
        if name not in self._silent:
            self._silent[name] = None
            self.missing_changed()

    def _tell(self) -> None:
        names: dict[bytes, None] = {}
        for want in self._wants.values():
            names.update(want.names)
        gone = [name for name in self._silent if name not in names]
        for name in gone:
            del self._silent[name]
        if gone:
            self.missing_changed()
        if self.carrier is not None:
            self.carrier.want(list(names))


def _names(name: bytes, data: bytes, *, chunks: bool) -> bool:
    """Whether ``name`` is the digest of ``data``."""
    if len(data) > LIMITS.object_bytes:
        return False
    return name == (merkle.leaf(data) if chunks else hashlib.sha256(data).digest())
