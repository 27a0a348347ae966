"""The head of an engine's file: what it was built of and for. The rest is ciphertext that only the unlocker reads.

A slot may hold one, built on this device of the slot's model. It is a cache: whatever is wrong with it, another is
built.
"""

import os
import struct
from pathlib import Path
from typing import ClassVar

from dunlin_contract.errors import ContractError
from dunlin_contract.manifest import TAG_BYTES
from dunlin_contract.schema import Record, at, format_version, octets, text, uint

CHUNK_LOG2 = 20
MOST_BYTES = 1 << 33
_LENGTH = struct.Struct(">H")


class Head(Record):
    """``key``: digest of everything the engine depends on. ``compute``: the GPU's compute capability, ``8.7``.

    ``rows``: how large a free first dimension may be. ``length``: of the engine. ``cek``: its content key, sealed under
    the model's storage key and bound to the other fields; empty while these are being bound.
    """

    CAP_BYTES: ClassVar[int] = 1024

    format: int = format_version(default=1)
    key: bytes = at(1, octets(32))
    compute: str = at(2, text(16))
    rows: int = at(3, uint(1024, 1))
    length: int = at(4, uint(MOST_BYTES, 1))
    id: bytes = at(5, octets(16))
    cek: bytes = at(6, octets(128, 0))

    def to_file(self) -> bytes:
        """As it stands at the file's beginning."""
        data = self.to_bytes()
        return _LENGTH.pack(len(data)) + data

    @property
    def chunks(self) -> int:
        """How many follow."""
        return -(-self.length >> CHUNK_LOG2)

    @property
    def file_bytes(self) -> int:
        """Length of the whole file."""
        return len(self.to_file()) + self.length + TAG_BYTES * self.chunks


def path(folder: Path) -> Path:
    """Where a slot's engine lies."""
    return folder / "engine"


def head(fd: int) -> Head | None:
    """The head of an open file; None: it is no engine's file, or not a whole one."""
    start = os.pread(fd, _LENGTH.size + Head.CAP_BYTES, 0)
    try:
        (length,) = _LENGTH.unpack_from(start)
        found = Head.from_bytes(start[_LENGTH.size : _LENGTH.size + length])
    except (struct.error, ContractError):
        return None
    return found if os.fstat(fd).st_size == found.file_bytes else None
