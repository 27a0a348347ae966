"""A release in a slot: manifest envelope, index, sealed content key, and the ciphertext chunks this device needs.

A chunk is checked against the signed Merkle root (through the verified index) before its bytes are written at their
place; the bytes are synced before the journal holds a receipt for them. What has a receipt is never fetched again.
"""

import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path

from dunlin_contract import merkle
from dunlin_contract.manifest import Manifest, Variant
from fleet_agent import files
from fleet_agent.errors import StorageError
from fleet_agent.journal import Journal
from fleet_agent.paths import Paths

RESERVE_BYTES = 4 << 20
"""Left free on the disk by every download, so that the journal can still say what went wrong."""


@dataclass(frozen=True, slots=True)
class Part:
    """One payload in a slot's chunk file: its index in the manifest, its first place and first byte there."""

    payload: int
    first_place: int
    offset: int


class Layout:
    """Where each chunk that a variant needs lies in a slot: the model, golden samples, labels, the baseline.

    What a second variant needs besides comes after that (:meth:`also`), so that the first one's places stay.
    """

    def __init__(self, manifest: Manifest, variant: Variant, leaves: Sequence[bytes]) -> None:
        self.manifest = manifest
        self.parts: list[Part] = []
        self.leaves: list[bytes] = []
        self.size = 0
        self._starts: list[int] = []
        self._all_leaves = leaves
        self._take(variant)

    def also(self, variant: Variant) -> "Layout":
        """Make room for another variant, too; the layout as that one sees it."""
        other = copy(self)
        other._take(variant)  # its lists are this one's
        self.size, self._starts = other.size, other._starts
        return other

    def _take(self, variant: Variant) -> None:
        """See things as ``variant``; what it needs and is not there yet is put at the end."""
        ranges = list(self.manifest.leaf_ranges())
        self.variant = variant

        def part(payload: int) -> Part:
            there = next((part for part in self.parts if part.payload == payload), None)
            if there is not None:
                return there
            self.parts.append(Part(payload, len(self.leaves), self.size))
            self.leaves.extend(self._all_leaves[place] for place in ranges[payload])
            self.size += self.manifest.payloads[payload].ciphertext_length
            return self.parts[-1]

        post = variant.io.postprocess
        self.model = part(self.manifest.model_payload(variant))
        self.golden = part(variant.golden.payload)
        self.labels = part(post.labels) if post is not None and post.labels is not None else None
        baseline = self.manifest.baseline_payload(variant)
        self.baseline = part(baseline) if baseline is not None else None
        self._starts = [part.first_place for part in self.parts]

    def chunk(self, place: int) -> tuple[int, int]:
        """Payload (its place in the manifest) and chunk of it that lie at ``place``."""
        part = self.parts[bisect_right(self._starts, place) - 1]
        return part.payload, place - part.first_place

    def place(self, place: int) -> tuple[int, int]:
        """Offset and length of the chunk at ``place``."""
        part = self.parts[bisect_right(self._starts, place) - 1]
        payload = self.manifest.payloads[part.payload]
        index = place - part.first_place
        return part.offset + index * ((1 << payload.chunk_log2) + 16), payload.chunk_length(index)


@dataclass(frozen=True, slots=True)
class Plan:
    """A verified release, the variant chosen for this device, and what is needed to bring it into a slot.

    ``lean``: the kind of a cheaper variant that the layout has room for, too, or empty.
    """

    release: bytes
    envelope: bytes
    index: bytes
    sealed_cek: bytes
    layout: Layout
    lean: str = ""


class Slot:
    """One of a model's two slots on the disk."""

    def __init__(self, paths: Paths, journal: Journal, model: str, slot: str) -> None:
        self.model = model
        self.name = slot
        self.folder = paths.slot(model, slot)
        self._journal = journal
        self._fact = f"slot/{model}/{slot}"
        self._lean_fact = f"lean/{model}/{slot}"

    @property
    def release(self) -> bytes | None:
        """Digest of the release that the slot's files are of."""
        return self._journal.fact(self._fact)

    @property
    def lean(self) -> str:
        """Kind of a cheaper variant of the same release that lies here, too, or empty."""
        return (self._journal.fact(self._lean_fact) or b"").decode()

    @property
    def _chunks(self) -> Path:
        return self.folder / "chunks"

    def envelope(self) -> bytes | None:
        """The manifest's envelope."""
        return files.read_if_there(self.folder / "manifest.cose")

    def manifest(self) -> bytes | None:
        """The manifest's payload, whose SHA-256 is the release's digest."""
        return files.read_if_there(self.folder / "manifest")

    def index(self) -> bytes | None:
        """All leaf hashes of the bundle, end to end."""
        return files.read_if_there(self.folder / "index")

    def sealed_cek(self) -> bytes | None:
        """The content key under the model's storage key."""
        return files.read_if_there(self.folder / "cek")

    def prepare(self, plan: Plan) -> None:
        """Make the slot ready to take the planned release's chunks, keeping what it already holds of the same release.

        Raises:
            StorageError: ``disk-full``: not enough room; the slot is empty then.
        """
        lean = self.lean
        if self.release != plan.release or (lean and plan.lean and lean != plan.lean):
            self.erase()
        size = plan.layout.size
        self._check_room(size)
        with files.disk_errors(f"{self.model}"):
            files.make_folder(self.folder)
            try:
                self._allocate(size)
            except OSError:
                self._chunks.unlink(missing_ok=True)
                raise
        files.write_whole(self.folder / "manifest.cose", plan.envelope)
        files.write_whole(self.folder / "manifest", plan.layout.manifest.to_bytes())
        files.write_whole(self.folder / "index", plan.index)
        files.write_whole(self.folder / "cek", plan.sealed_cek)
        with self._journal.transaction() as write:
            write.fact(self._fact, plan.release)
            if plan.lean:
                write.fact(self._lean_fact, plan.lean.encode())

    def _check_room(self, size: int) -> None:
        parent = self.folder
        while not parent.is_dir():
            parent = parent.parent
        disk = os.statvfs(parent)
        free = disk.f_bavail * disk.f_frsize
        have = self._chunks.stat().st_blocks * 512 if self._chunks.exists() else 0
        need = size - have + RESERVE_BYTES
        if free < need:
            raise StorageError("disk-full", f"{self.model} needs {need} bytes of disk, {free} are free: free some")

    def _allocate(self, size: int) -> None:
        fd = os.open(self._chunks, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, files.PRIVATE)
        try:
            # Never shorter: what lies behind has receipts, and may be wanted again.
            if os.fstat(fd).st_size < size:
                os.ftruncate(fd, size)
            if size:
                os.posix_fallocate(fd, 0, size)
            os.fsync(fd)
        finally:
            os.close(fd)

    def erase(self) -> tuple[int, int]:
        """Withdraw all receipts, then delete the files; returns how many files and bytes went."""
        with self._journal.transaction() as write:
            write.no_chunks(self.model, self.name)
            write.fact(self._fact, None)
            write.fact(self._lean_fact, None)
        return files.remove_tree(self.folder)

    def have(self) -> set[int]:
        """Places whose chunks lie here."""
        return self._journal.chunks(self.model, self.name)

    def put(self, layout: Layout, place: int, chunk: bytes) -> None:
        """Keep one chunk whose leaf hash and length the caller has checked.

        Raises:
            StorageError: it was not kept.
        """
        offset, _ = layout.place(place)
        with files.disk_errors(f"a chunk of {self.model}"):
            fd = os.open(self._chunks, os.O_WRONLY | os.O_CLOEXEC)
            try:
                view = memoryview(chunk)
                while view:
                    written = os.pwrite(fd, view, offset)
                    view, offset = view[written:], offset + written
                os.fdatasync(fd)
            finally:
                os.close(fd)
        with self._journal.transaction() as write:
            write.chunk(self.model, self.name, place)

    def recheck(self, layout: Layout) -> Iterator[None]:
        """Read every chunk that has a receipt again and withdraw those that are damaged; yields between chunks."""
        damaged: set[int] = set()
        with open(self._chunks, "rb", buffering=0) as file:
            for place in sorted(one for one in self.have() if one < len(layout.leaves)):
                offset, length = layout.place(place)
                if merkle.leaf(os.pread(file.fileno(), length, offset)) != layout.leaves[place]:
                    damaged.add(place)
                yield
        with self._journal.transaction() as write:
            write.no_chunks(self.model, self.name, damaged)

    def open_chunks(self) -> int:
        """Descriptor of the chunk file, for the unlocker."""
        with files.disk_errors(self.model):
            return os.open(self._chunks, os.O_RDONLY | os.O_CLOEXEC)
