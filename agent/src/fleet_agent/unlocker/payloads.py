"""From ciphertext in a slot to a sealed memory file with exactly the signed bytes, one chunk at a time."""

import fcntl
import os
from collections.abc import Iterator

from dunlin_contract.install import installed
from dunlin_contract.manifest import Payload
from dunlin_contract.rules import Rule, require
from dunlin_contract.stream import ChunkCipher

_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def sealed_memory(name: str, parts: Iterator[bytes]) -> int:
    """A memory file that nobody, its maker included, can change any more."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        for part in parts:
            view = memoryview(part)
            while view:
                view = view[os.write(fd, view) :]
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(fd)
        raise
    return fd


def unlock(ciphertext: int, offset: int, payload: Payload, cek: bytes) -> int:
    """Decrypt one payload that begins at ``offset`` of the open file ``ciphertext``.

    Raises:
        ContractError: ``chunk-open`` or ``installed``: the bytes on the disk are not the signed ones.
        OSError: no memory.
    """
    return sealed_memory("model", installed(payload, _plaintext(ciphertext, offset, payload, cek)))


def _plaintext(ciphertext: int, offset: int, payload: Payload, cek: bytes) -> Iterator[bytes]:
    cipher = ChunkCipher(cek, payload.id, payload.chunk_log2, payload.aead)
    for place in range(payload.chunk_count):
        length = payload.chunk_length(place)
        chunk = os.pread(ciphertext, length, offset)
        require(Rule.CHUNK_OPEN, len(chunk) == length, f"chunk {place} is cut off")
        offset += length
        yield cipher.open(place, place == payload.chunk_count - 1, chunk)
