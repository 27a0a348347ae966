"""From ciphertext in a slot to a sealed memory file with exactly the signed bytes, one chunk at a time."""

import fcntl
import os
from collections.abc import Callable, Iterator

from dunlin_contract.install import installed
from dunlin_contract.manifest import Payload
from dunlin_contract.rules import Rule, require
from dunlin_contract.stream import ChunkCipher
from fleet_agent.locking import Pinned

_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def sealed_memory(
    name: str, parts: Iterator[bytes], ready: Callable[[int], None] | None = None, length: int = 0
) -> int:
    """A memory file that nobody, its maker included, can change any more.

    ``ready`` is called with the file while it holds nothing but room for ``length`` bytes.
    """
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        if ready is not None:
            os.ftruncate(fd, length)
            ready(fd)
        for part in parts:
            view = memoryview(part)
            while view:
                view = view[os.write(fd, view) :]
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(fd)
        raise
    return fd


class Unlocked:
    """A decrypted payload in sealed memory; ``fd`` is its receiver's to close.

    Where pages may be locked its are, from before the first byte until :meth:`release`: when the receiver has them.
    """

    def __init__(self, ciphertext: int, offset: int, payload: Payload, cek: bytes, *, locked: bool) -> None:
        """Decrypt one payload that begins at ``offset`` of the open file ``ciphertext``.

        Raises:
            ContractError: ``chunk-open`` or ``installed``: the bytes on the disk are not the signed ones.
            OSError: no memory.
        """
        self._pinned: Pinned | None = None
        plaintext = installed(payload, _plaintext(ciphertext, offset, payload, cek))
        try:
            self.fd = sealed_memory("model", plaintext, self._pin if locked else None, payload.installed_length)
        except BaseException:
            self.release()
            raise

    def _pin(self, fd: int) -> None:
        self._pinned = Pinned(fd)

    def release(self) -> None:
        """Unlock the pages."""
        if self._pinned is not None:
            self._pinned.close()
            self._pinned = None


def _plaintext(ciphertext: int, offset: int, payload: Payload, cek: bytes) -> Iterator[bytes]:
    cipher = ChunkCipher(cek, payload.id, payload.chunk_log2, payload.aead)
    for place in range(payload.chunk_count):
        length = payload.chunk_length(place)
        chunk = os.pread(ciphertext, length, offset)
        require(Rule.CHUNK_OPEN, len(chunk) == length, f"chunk {place} is cut off")
        offset += length
        yield cipher.open(place, place == payload.chunk_count - 1, chunk)
