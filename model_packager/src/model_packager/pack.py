"""Compress, encrypt, hash: one payload at a time, one chunk in memory, whatever its size."""

import hashlib
import secrets
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dunlin_contract import merkle
from dunlin_contract.limits import LIMITS
from dunlin_contract.manifest import AEAD_CHACHA20_POLY1305, STORED, TAG_BYTES, ZLIB, Payload, chunk_count
from dunlin_contract.stream import ChunkCipher
from model_packager.errors import ModelRefusedError

CHUNK_LOG2 = LIMITS.chunk_log2_linux
_CHUNK = 1 << CHUNK_LOG2
_WORTH = 0.95
"""Compression is used when it saves at least a twentieth: below that it only costs the device time."""


@dataclass(frozen=True, slots=True)
class Source:
    """What becomes a payload: a file, or bytes made here. ``sha256`` is that of the file when it was tried.

    ``micro``: for a microcontroller, which takes small chunks and decompresses nothing.
    """

    role: str
    format: str
    content: Path | bytes
    sha256: bytes
    micro: bool = False

    @property
    def name(self) -> str:
        """For progress and errors."""
        return self.content.name if isinstance(self.content, Path) else self.role

    @property
    def length(self) -> int:
        """Bytes, as they are installed."""
        return self.content.stat().st_size if isinstance(self.content, Path) else len(self.content)

    @property
    def chunk_log2(self) -> int:
        """Size of its chunks, as a power of two."""
        return LIMITS.chunk_log2_mcu if self.micro else CHUNK_LOG2

    def read(self) -> Iterator[bytes]:
        """The content in parts."""
        if isinstance(self.content, bytes):
            for at in range(0, len(self.content), _CHUNK):
                yield self.content[at : at + _CHUNK]
            return
        with self.content.open("rb") as file:
            while part := file.read(_CHUNK):
                yield part


def from_bytes(role: str, form: str, content: bytes, micro: bool = False) -> Source:
    """A payload made here."""
    return Source(role, form, content, hashlib.sha256(content).digest(), micro)


def from_file(role: str, form: str, path: Path, micro: bool = False) -> Source:
    """A payload from a file, pinned by its present SHA-256."""
    with path.open("rb") as file:
        return Source(role, form, path, hashlib.file_digest(file, "sha256").digest(), micro)


@dataclass(frozen=True, slots=True)
class Packed:
    """A payload as the manifest lists it, and its leaf hashes. Its ciphertext chunks lie in the spool."""

    payload: Payload
    leaves: list[bytes]


def pack(source: Source, cek: bytes, spool: BinaryIO, advance: Callable[[int, int], None]) -> Packed:
    """Encrypt ``source`` to the end of ``spool``. ``advance(done, total)`` counts installed bytes.

    Raises:
        ModelRefusedError: the file changed since it was tried, or is too large.
        OSError: the spool cannot be written.
    """
    length, compressed_length = _measure(source)
    if length > LIMITS.payload_bytes:
        raise ModelRefusedError(f"{source.name}: {length} bytes; a payload may have {LIMITS.payload_bytes}")
    compression = ZLIB if compressed_length <= _WORTH * length and not source.micro else STORED
    plaintext_length = compressed_length if compression == ZLIB else length
    count = chunk_count(plaintext_length, source.chunk_log2)
    payload_id = secrets.token_bytes(16)
    cipher = ChunkCipher(cek, payload_id, source.chunk_log2)
    digest = hashlib.sha256()
    done = 0

    def counted() -> Iterator[bytes]:
        nonlocal done
        for part in source.read():
            digest.update(part)
            done += len(part)
            advance(done, length)
            yield part

    leaves: list[bytes] = []
    plaintext = 0
    for chunk in _chunks(_deflate(counted()) if compression == ZLIB else counted(), 1 << source.chunk_log2):
        sealed = cipher.seal(len(leaves), len(leaves) == count - 1, chunk)
        leaves.append(merkle.leaf(sealed))
        plaintext += len(chunk)
        spool.write(sealed)
    if digest.digest() != source.sha256 or len(leaves) != count or plaintext != plaintext_length:
        raise ModelRefusedError(f"{source.name} changed while it was being packed: build again when it is at rest")
    payload = Payload(
        id=payload_id,
        role=source.role,
        format=source.format,
        compression=compression,
        installed_length=length,
        installed_sha256=source.sha256,
        plaintext_length=plaintext_length,
        ciphertext_length=plaintext_length + TAG_BYTES * count,
        chunk_log2=source.chunk_log2,
        chunk_count=count,
        merkle_root=merkle.root(leaves),
        aead=AEAD_CHACHA20_POLY1305,
    )
    return Packed(payload, leaves)


def _measure(source: Source) -> tuple[int, int]:
    """Installed bytes, and bytes when compressed: compressing twice keeps plaintext off the disk."""
    length = 0

    def counted() -> Iterator[bytes]:
        nonlocal length
        for part in source.read():
            length += len(part)
            yield part

    compressed = sum(len(part) for part in _deflate(counted()))
    return length, compressed


def _deflate(parts: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(9)
    for part in parts:
        yield packer.compress(part)
    yield packer.flush()


def _chunks(parts: Iterator[bytes], full: int) -> Iterator[bytes]:
    """The same bytes in full chunks and a last one; a single empty chunk when there are none."""
    held = bytearray()
    some = False
    for part in parts:
        held += part
        while len(held) >= full:
            some = True
            yield bytes(held[:full])
            del held[:full]
    if held or not some:
        yield bytes(held)
