"""Engines on the disk: encrypted under their model's storage key, in chunks, behind a head that says what of."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace

from dunlin_contract.manifest import TAG_BYTES
from dunlin_contract.rules import Rule, refuse, require
from dunlin_contract.stream import CEK_BYTES, ChunkCipher
from fleet_agent import engine_file
from fleet_agent.engine_file import CHUNK_LOG2, Head
from fleet_agent.sealed import Sealed
from fleet_agent.unlocker.keystore import StorageKey, seal, unseal

_CHUNK = 1 << CHUNK_LOG2


def keep(storage: StorageKey, head: Head, plaintext: int, target: int) -> None:
    """Write the engine in the memory file ``plaintext`` to the open, empty file ``target``, and sync it.

    Raises:
        OSError: no room, or the disk failed.
        ContractError: ``length``: the memory file is not as long as the head says.
    """
    cek = os.urandom(CEK_BYTES)
    bare = replace(head, id=os.urandom(16), cek=b"")
    whole = replace(bare, cek=seal(storage, cek, _bound(bare)))
    _write(target, whole.to_file())
    cipher = ChunkCipher(cek, whole.id, CHUNK_LOG2)
    for place in range(whole.chunks):
        last = place == whole.chunks - 1
        wanted = whole.length - place * _CHUNK if last else _CHUNK
        chunk = os.pread(plaintext, wanted, place * _CHUNK)
        require(Rule.LENGTHS, len(chunk) == wanted, "the engine is shorter than it was said to be")
        _write(target, cipher.seal(place, last, chunk))
    os.fsync(target)


class OpenedEngine(Sealed):
    """A decrypted engine."""

    def __init__(self, storage: StorageKey, file: int, *, locked: bool) -> None:
        """Decrypt the open ``file``.

        Raises:
            ContractError: ``chunk-open``: it is damaged, cut off, or of another model.
            OSError: no memory.
        """
        head = engine_file.head(file)
        if head is None:
            refuse(Rule.CHUNK_OPEN, "the engine's file is cut off or damaged")
        cek = unseal(storage, head.cek, _bound(replace(head, cek=b"")))
        if cek is None:
            refuse(Rule.CHUNK_OPEN, "the engine's key does not open: damaged, or of another model")
        super().__init__("engine", _plaintext(head, cek, file), head.length, locked=locked)


def _plaintext(head: Head, cek: bytes, file: int) -> Iterator[bytes]:
    cipher = ChunkCipher(cek, head.id, CHUNK_LOG2)
    offset = len(head.to_file())
    for place in range(head.chunks):
        last = place == head.chunks - 1
        length = (head.length - place * _CHUNK if last else _CHUNK) + TAG_BYTES
        chunk = os.pread(file, length, offset)
        require(Rule.CHUNK_OPEN, len(chunk) == length, f"chunk {place} is cut off")
        offset += length
        yield cipher.open(place, last, chunk)


def _bound(bare: Head) -> bytes:
    return b"engine" + hashlib.sha256(bare.to_bytes()).digest()


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
