"""Any flipped bit is refused: of a manifest, of a chunk, of every signed message."""

from collections.abc import Iterator

import pytest

from dunlin_contract import bundle
from dunlin_contract.errors import ContractError
from dunlin_contract.stream import ChunkCipher
from tests.contract import vectors


def flips(data: bytes) -> Iterator[bytes]:
    changed = bytearray(data)
    for place in range(len(data)):
        for bit in range(8):
            changed[place] ^= 1 << bit
            yield bytes(changed)
            changed[place] ^= 1 << bit


def _named(name: str) -> vectors.Vector:
    return next(vector for vector in vectors.every() if vector["name"] == name)


@pytest.mark.parametrize("name", ["manifest-good", "wipe-two-owners", "capture-two-owners", "ack-good", "receipt-good"])
def test_every_bit_of_an_envelope(name: str) -> None:
    good = _named(name)
    assert vectors.verdict(good) == "ok"
    tried = 0
    for changed in flips(vectors.octets(good)):
        assert vectors.verdict({**good, "bytes": changed.hex()}) != "ok"
        tried += 1
    assert tried == 8 * len(vectors.octets(good))


def test_every_bit_of_a_chunk() -> None:
    good = _named("chunk-first")
    chunk, leaf = vectors.octets(good), vectors.octets(good, "leaf")
    cipher = ChunkCipher(vectors.octets(good, "cek"), vectors.octets(good, "payload_id"), good["chunk_log2"])
    bundle.check_chunk(chunk, leaf)
    cipher.open(good["index"], good["last"], chunk)
    for changed in flips(chunk):
        with pytest.raises(ContractError, match="leaf"):
            bundle.check_chunk(changed, leaf)
        # Neither does the AEAD take it: two independent proofs.
        with pytest.raises(ContractError, match="chunk-open"):
            cipher.open(good["index"], good["last"], changed)


def test_every_byte_of_a_bundle() -> None:
    """No byte of the file is without effect: header, manifest, index and chunks are all checked."""
    good = _named("bundle-good")
    data = vectors.octets(good)
    for place in range(0, len(data), 7):
        changed = bytearray(data)
        changed[place] ^= 0x80 >> place % 8
        assert vectors.verdict({**good, "bytes": changed.hex()}) != "ok", place


def test_every_length_of_a_bundle() -> None:
    good = _named("bundle-good")
    data = vectors.octets(good)
    for length in (*range(200), *range(200, len(data), 97)):
        assert vectors.verdict({**good, "bytes": data[:length].hex()}) in {"magic", "header", "lengths"}
