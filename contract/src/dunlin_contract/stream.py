"""Chunked encryption: the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015) as age uses it.

Nonce = 11-byte big-endian chunk index, then 1 for the last chunk and 0 for every other, so that chunks can be neither
reordered nor cut off. The key is the payload's own.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from dunlin_contract.manifest import AEAD_CHACHA20_POLY1305
from dunlin_contract.rules import Rule, refuse, require

CEK_BYTES = 32
_INDEX_BYTES = 11


def payload_key(cek: bytes, payload_id: bytes, aead: int, chunk_log2: int) -> bytes:
    """Key of one payload: HKDF-SHA256 (RFC 5869) of the content key, salted with the payload id.

    Naming AEAD and chunk size in ``info`` keeps one payload's bytes from being read under other parameters.
    """
    info = b"dnb/v1 payload" + bytes([aead, chunk_log2])
    return HKDF(hashes.SHA256(), 32, salt=payload_id, info=info).derive(cek)


class ChunkCipher:
    """Seals and opens the chunks of one payload."""

    def __init__(self, cek: bytes, payload_id: bytes, chunk_log2: int, aead: int = AEAD_CHACHA20_POLY1305) -> None:
        require(Rule.VALUE, aead == AEAD_CHACHA20_POLY1305, f"AEAD {aead} is not known")
        self._aead = ChaCha20Poly1305(payload_key(cek, payload_id, aead, chunk_log2))

    @staticmethod
    def _nonce(index: int, last: bool) -> bytes:
        return index.to_bytes(_INDEX_BYTES, "big") + bytes([last])

    def seal(self, index: int, last: bool, plaintext: bytes | memoryview) -> bytes:
        """Ciphertext chunk: as long as ``plaintext`` and a 16-byte tag."""
        return self._aead.encrypt(self._nonce(index, last), plaintext, None)

    def open(self, index: int, last: bool, ciphertext: bytes | memoryview) -> bytes:
        """Plaintext of one chunk.

        Raises:
            MismatchError: ``chunk-open``: wrong key, place or bytes.
        """
        try:
            return self._aead.decrypt(self._nonce(index, last), ciphertext, None)
        except InvalidTag:
            refuse(Rule.CHUNK_OPEN, f"chunk {index} does not decrypt: wrong key, wrong place, or damaged")
