"""Tree and chunk encryption against the definitions in RFC 9162 and in the STREAM paper, written anew here."""

import hashlib
import hmac
import zlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.vectors import material as m
from dunlin_contract import merkle
from dunlin_contract.errors import ContractError
from dunlin_contract.install import installed
from dunlin_contract.manifest import Payload
from dunlin_contract.stream import ChunkCipher, payload_key


def tree_hash(entries: list[bytes]) -> bytes:
    """MTH of RFC 9162 section 2.1.1, as it is written there."""
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    split = 1
    while split * 2 < len(entries):
        split *= 2
    return hashlib.sha256(b"\x01" + tree_hash(entries[:split]) + tree_hash(entries[split:])).digest()


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=70))
def test_merkle_root_is_rfc_9162_s(entries: list[bytes]) -> None:
    assert merkle.root([merkle.leaf(entry) for entry in entries]) == tree_hash(entries)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7, 8, 9, 127, 128, 129, 4095, 4096, 4097])
def test_merkle_root_at_the_edges(count: int) -> None:
    entries = [place.to_bytes(4, "big") for place in range(count)]
    assert merkle.root([merkle.leaf(entry) for entry in entries]) == tree_hash(entries)


def test_merkle_root_of_the_rfc_6962_test_tree() -> None:
    """The eight leaves that Certificate Transparency implementations share, and the root they all get."""
    entries = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    root = merkle.root([merkle.leaf(bytes.fromhex(entry)) for entry in entries])
    assert root.hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


def test_a_tree_needs_a_leaf() -> None:
    with pytest.raises(ValueError, match="leaf"):
        merkle.root([])


def hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    """One block of RFC 5869."""
    return hmac.digest(hmac.digest(salt, secret, "sha256"), info + b"\x01", "sha256")


@given(
    cek=st.binary(min_size=32, max_size=32),
    payload_id=st.binary(min_size=16, max_size=16),
    log2=st.integers(12, 20),
    index=st.integers(0, 2**40 - 1),
    last=st.booleans(),
    plaintext=st.binary(max_size=100),
)
def test_chunks_are_stream_s(
    cek: bytes, payload_id: bytes, log2: int, index: int, last: bool, plaintext: bytes
) -> None:
    key = hkdf(cek, payload_id, b"dnb/v1 payload\x18" + bytes([log2]))
    assert payload_key(cek, payload_id, 24, log2) == key
    cipher = ChunkCipher(cek, payload_id, log2)
    sealed = cipher.seal(index, last, plaintext)
    nonce = bytes(6) + index.to_bytes(5, "big") + (b"\x01" if last else b"\x00")
    assert ChaCha20Poly1305(key).decrypt(nonce, sealed, b"") == plaintext
    assert cipher.open(index, last, memoryview(sealed)) == plaintext
    for other in ((index + 1, last), (index, not last)):
        with pytest.raises(ContractError):
            cipher.open(*other, sealed)


def _payload(plaintext: bytes, made: bytes, compression: int) -> Payload:
    base: dict[int, Any] = m.CONTENT.payloads[0]
    chunks = max(1, -(-len(plaintext) // 4096))
    lengths = {5: len(made), 6: m.sha(made), 7: len(plaintext), 8: len(plaintext) + 16 * chunks, 10: chunks}
    return Payload.from_cbor({**base, 3: compression, **lengths})


@settings(deadline=None)
@given(made=st.binary(max_size=2000), repeat=st.integers(1, 50), cuts=st.lists(st.integers(1, 200), max_size=20))
def test_installed_bytes_whatever_the_pieces(made: bytes, repeat: int, cuts: list[int]) -> None:
    made *= repeat
    for compression, plaintext in ((0, made), (1, zlib.compress(made))):
        pieces, rest = [], plaintext
        for cut in cuts:
            pieces.append(rest[:cut])
            rest = rest[cut:]
        assert b"".join(installed(_payload(plaintext, made, compression), [*pieces, rest])) == made


@pytest.mark.parametrize("size", [(1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5_000_000])
def test_installed_bytes_in_pieces(size: int) -> None:
    """However well it compresses, memory holds a piece at a time."""
    made = bytes(size)
    plaintext = zlib.compress(made, 9)
    pieces = list(installed(_payload(plaintext, made, 1), [plaintext]))
    assert b"".join(pieces) == made
    assert max(map(len, pieces)) <= 1 << 20
