"""The bundle file ``.dnb``: header, manifest, index, chunks. Nothing in the header is trusted: each length must equal
what the signed manifest implies. Reading and writing keep one chunk in memory, whatever the size.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from dunlin_contract import merkle
from dunlin_contract.envelopes import Release, open_manifest
from dunlin_contract.header import HEADER_BYTES, Header
from dunlin_contract.root import Root
from dunlin_contract.rules import Rule, require


class BundleFile:
    """A verified bundle, open for reading. Construct with :meth:`open`."""

    def __init__(self, file: BinaryIO, envelope: bytes, release: Release, leaves: list[bytes]) -> None:
        self._file = file
        self.envelope = envelope
        self.release = release
        self.manifest = release.manifest
        self.leaves = leaves
        """Leaf hashes of all payloads in order, already checked against the signed Merkle roots."""
        self._chunks_at = HEADER_BYTES + len(envelope) + 32 * len(leaves)

    @classmethod
    def open(cls, path: Path, root: Root) -> Self:
        """Verify signature, lengths and index; chunks are checked as they are read.

        Raises:
            OSError: the file cannot be read.
            ContractError: naming the rule that the bundle breaks.
        """
        file = path.open("rb")
        try:
            header = Header.unpack(file.read(HEADER_BYTES))
            envelope = file.read(header.manifest_length)
            whole = len(envelope) == header.manifest_length
            require(Rule.LENGTHS, whole, "the bundle ends inside its manifest")
            release = open_manifest(envelope, root)
            manifest = release.manifest
            agree = (header.index_length, header.chunks_length) == (manifest.index_length, manifest.chunks_length)
            require(Rule.LENGTHS, agree, "the header's lengths are not the signed ones")
            wanted = HEADER_BYTES + len(envelope) + manifest.index_length + manifest.chunks_length
            size = os.fstat(file.fileno()).st_size
            require(Rule.LENGTHS, size >= wanted, f"the bundle is cut short: {size} of {wanted} bytes")
            require(Rule.TRAILING, size <= wanted, f"{size - wanted} bytes follow the bundle's end")
            return cls(file, envelope, release, manifest.checked_leaves(file.read(manifest.index_length)))
        except BaseException:
            file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def places(self) -> Iterator[tuple[int, int]]:
        """(offset in the file, length) of every chunk, in the order of ``leaves``."""
        at = self._chunks_at
        for payload in self.manifest.payloads:
            for index in range(payload.chunk_count):
                length = payload.chunk_length(index)
                yield at, length
                at += length

    def chunks(self, payload_index: int) -> Iterator[bytes]:
        """Ciphertext chunks of one payload, each checked against its leaf. Raises MismatchError ``leaf``."""
        places = list(self.manifest.leaf_ranges())[payload_index]
        where = list(self.places())
        for place in places:
            at, length = where[place]
            chunk = os.pread(self._file.fileno(), length, at)
            check_chunk(chunk, self.leaves[place])
            yield chunk


def check_chunk(chunk: bytes, leaf: bytes) -> None:
    """Whether a chunk is the one its leaf names. Raises MismatchError ``leaf``."""
    require(Rule.LEAF, merkle.leaf(chunk) == leaf, "a chunk does not match its leaf hash: damaged or forged")


def write(
    file: BinaryIO, envelope: bytes, leaves: Iterable[bytes], chunks: Iterable[bytes], chunks_length: int
) -> None:
    """Write a bundle front to back. ``chunks`` are the ciphertext chunks of all payloads in order."""
    index = b"".join(leaves)
    file.write(Header(len(envelope), len(index), chunks_length).pack())
    file.write(envelope)
    file.write(index)
    file.writelines(chunks)
