"""Merkle tree of RFC 9162 section 2.1 over ciphertext chunks.

Every device of a fleet knows the content key, so an AEAD tag cannot prove where a chunk came from; the signed root can,
before anything is written, for any chunk from any source in any order.
"""

import hashlib
from collections.abc import Sequence

LEAF_BYTES = 32


def leaf(chunk: bytes | memoryview) -> bytes:
    """Leaf hash of one ciphertext chunk: SHA-256(00 || chunk). It also names the chunk as an object."""
    digest = hashlib.sha256(b"\x00")
    digest.update(chunk)
    return digest.digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """Root over leaf hashes, at least one.

    Level by level with an odd last node carried up unchanged: the same tree as RFC 9162's recursive definition.
    """
    level = list(leaves)
    if not level:
        raise ValueError("a tree needs a leaf")
    while len(level) > 1:
        paired = [_node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = paired + level[len(paired) * 2 :]
    return level[0]


def split(index: bytes) -> list[bytes]:
    """Leaf hashes out of their concatenation."""
    return [index[at : at + LEAF_BYTES] for at in range(0, len(index), LEAF_BYTES)]
