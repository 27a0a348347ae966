"""The first bytes of a bundle file. Apart from the rest, since whoever only reads where things lie needs no keys."""

import struct
from dataclasses import dataclass
from typing import Self

from dunlin_contract.limits import LIMITS
from dunlin_contract.rules import Rule, require

MAGIC = b"\x89DNB\r\n\x1a\n"
"""As PNG's: a transfer that changes line ends or strips the eighth bit breaks it."""
_HEADER = struct.Struct(">8sHHIIQ")
HEADER_BYTES = _HEADER.size
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Header:
    """The 28 bytes in front, checked for shape only."""

    manifest_length: int
    index_length: int
    chunks_length: int

    def pack(self) -> bytes:
        """The header's bytes."""
        return _HEADER.pack(MAGIC, FORMAT_VERSION, 0, self.manifest_length, self.index_length, self.chunks_length)

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Read a header. Raises MalformedError ``magic`` or ``header``, LimitError ``size``."""
        require(Rule.MAGIC, data[:8] == MAGIC, "not a Dunlin bundle (or damaged by a text-mode transfer)")
        require(Rule.HEADER, len(data) == _HEADER.size, "the bundle ends inside its header")
        _, version, flags, manifest, index, chunks = _HEADER.unpack(data)
        known = version == FORMAT_VERSION and flags == 0
        require(Rule.HEADER, known, f"bundle format {version} (flags {flags}) is not known: update this program")
        require(Rule.SIZE, manifest <= LIMITS.manifest_bytes, f"a manifest of {manifest} bytes is too large")
        return cls(manifest, index, chunks)
