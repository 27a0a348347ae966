"""From a payload's decrypted chunks to the bytes it installs: decompressed, bounded, checked against the manifest."""

import hashlib
import zlib
from collections.abc import Iterable, Iterator

from dunlin_contract.manifest import ZLIB, Payload
from dunlin_contract.rules import Rule, require

_PIECE_BYTES = 1 << 20


def installed(payload: Payload, plaintext: Iterable[bytes]) -> Iterator[bytes]:
    """What ``payload`` installs, piece by piece. Nothing of it may be used before the iterator has ended.

    Never more than the signed length is produced, whatever the plaintext decompresses to.

    Raises:
        MismatchError: ``installed``: another length or another SHA-256 than the signed ones, or not decompressible.
    """
    digest = hashlib.sha256()
    left = payload.installed_length
    for piece in _expanded(plaintext) if payload.compression == ZLIB else plaintext:
        left -= len(piece)
        require(Rule.INSTALLED, left >= 0, "the payload is longer than the manifest says")
        digest.update(piece)
        yield piece
    same = left == 0 and digest.digest() == payload.installed_sha256
    require(Rule.INSTALLED, same, "the payload is not what the manifest says: build the bundle anew")


def _expanded(compressed: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress one zlib stream, in pieces of at most ``_PIECE_BYTES``: the reader may stop at any of them."""
    stream = zlib.decompressobj()
    damaged = False
    try:
        for chunk in compressed:
            rest = chunk
            while rest:
                yield stream.decompress(rest, _PIECE_BYTES)
                rest = stream.unconsumed_tail
        yield stream.flush()
    except zlib.error:
        damaged = True
    whole = not damaged and stream.eof and not stream.unused_data
    require(Rule.INSTALLED, whole, "the payload is damaged or cut short, or bytes follow its compressed stream")
