"""From ciphertext in a slot to a sealed memory file with exactly the signed bytes, one chunk at a time."""

import os
from collections.abc import Iterator

from dunlin_contract.install import installed
from dunlin_contract.manifest import Payload
from dunlin_contract.rules import Rule, require
from dunlin_contract.stream import ChunkCipher
from fleet_agent.sealed import Sealed


class Unlocked(Sealed):
    """A decrypted payload."""

    def __init__(self, ciphertext: int, offset: int, payload: Payload, cek: bytes, *, locked: bool) -> None:
        """Decrypt one payload that begins at ``offset`` of the open file ``ciphertext``.

        Raises:
            ContractError: ``chunk-open`` or ``installed``: the bytes on the disk are not the signed ones.
            OSError: no memory.
        """
        parts = installed(payload, _plaintext(ciphertext, offset, payload, cek))
        super().__init__("model", parts, payload.installed_length, locked=locked)


def _plaintext(ciphertext: int, offset: int, payload: Payload, cek: bytes) -> Iterator[bytes]:
    cipher = ChunkCipher(cek, payload.id, payload.chunk_log2, payload.aead)
    for place in range(payload.chunk_count):
        length = payload.chunk_length(place)
        chunk = os.pread(ciphertext, length, offset)
        require(Rule.CHUNK_OPEN, len(chunk) == length, f"chunk {place} is cut off")
        offset += length
        yield cipher.open(place, place == payload.chunk_count - 1, chunk)
