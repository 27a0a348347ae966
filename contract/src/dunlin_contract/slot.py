"""How much flash one slot of a microcontroller takes: packager and firmware must agree to the byte."""

from collections.abc import Sequence

SECTOR_BYTES = 4096
_HEADER_BYTES = 64
_MARK_BYTES = 32
_LEAF_BYTES = 32


def _sectors(length: int) -> int:
    return -(-length // SECTOR_BYTES) * SECTOR_BYTES


def slot_bytes(lengths: Sequence[int], chunks: int) -> int:
    """Flash of one slot in bytes, for the installed lengths of a variant's payloads and all their chunks together.

    Header and one mark a chunk; the manifest's envelope; the leaf hashes; each payload from a sector of its own on.
    """
    marks = _sectors(_HEADER_BYTES + _MARK_BYTES * chunks)
    return marks + SECTOR_BYTES + _sectors(_LEAF_BYTES * chunks) + sum(map(_sectors, lengths))
