"""Reading bundle files out of a folder that anybody may have filled: a USB stick. Nothing in it is believed.

Only regular files at the top are opened, and only those that carry a release which this device is to have. Whatever is
wrong with one of them costs the others nothing.
"""

import hashlib
import os
import queue
import stat
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from dunlin_contract import merkle
from dunlin_contract.errors import ContractError
from dunlin_contract.header import HEADER_BYTES, Header
from dunlin_contract.limits import LIMITS
from fleet_agent.errors import line

MOST_FILES = 64
_MOST_ENTRIES = 1024
_SUFFIX = ".dnb"
_PAGE_BYTES = LIMITS.page_leaves * merkle.LEAF_BYTES


@dataclass(frozen=True, slots=True)
class Piece:
    """``length`` bytes from ``offset`` of a file in the folder."""

    file: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Found:
    """What the folder holds of what is desired: manifests and index pages by name, and by release the bundle file and
    where its chunks begin. ``trouble``: what is wrong with the first file that is of no use.
    """

    objects: Mapping[bytes, Piece] = field(default_factory=dict)
    bundles: Mapping[bytes, tuple[str, int]] = field(default_factory=dict)
    trouble: str = ""


class Told(Protocol):
    """Whom a reader tells; in a thread of its own."""

    def found(self, found: Found) -> None:
        """The answer to a look."""

    def piece(self, name: bytes, data: bytes) -> None:
        """Bytes of a piece, as many as it should have."""

    def ended(self, lost: Sequence[bytes], why: str) -> None:
        """A reading is over; the pieces named ``lost`` could not be read."""


class Reader(Protocol):
    """Does one thing at a time, without making its caller wait."""

    def look(self, desired: Mapping[bytes, bytes]) -> None:
        """See what is there. ``desired``: releases by the names of their manifests."""

    def read(self, pieces: Mapping[bytes, Piece]) -> None:
        """Read pieces, by name."""

    def close(self) -> None:
        """No more."""


class UnfitError(Exception):
    """A file is of no use; the text says why."""


class FolderReader:
    """A :class:`Reader` of a real folder, in a thread: a stick that dies may hold up its reader for minutes."""

    def __init__(self, folder: Path, told: Told) -> None:
        self._folder = folder
        self._told = told
        self._known: _Known = {}
        self._known_for: Mapping[bytes, bytes] = {}
        self._jobs: queue.SimpleQueue[tuple[bool, Mapping[bytes, bytes], Mapping[bytes, Piece]] | None] = (
            queue.SimpleQueue()
        )
        threading.Thread(target=self._serve, name="usb", daemon=True).start()

    def look(self, desired: Mapping[bytes, bytes]) -> None:
        self._jobs.put((True, desired, {}))

    def read(self, pieces: Mapping[bytes, Piece]) -> None:
        self._jobs.put((False, {}, pieces))

    def close(self) -> None:
        self._jobs.put(None)

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            looking, desired, pieces = job
            if looking:
                if desired != self._known_for:
                    self._known, self._known_for = {}, desired
                self._told.found(look(self._folder, desired, self._known))
            else:
                self._told.ended(*self._read(pieces))

    def _read(self, pieces: Mapping[bytes, Piece]) -> tuple[Sequence[bytes], str]:
        lost: list[bytes] = []
        why = ""
        for name, piece in pieces.items():
            try:
                data = read(self._folder, piece)
            except (OSError, UnfitError) as error:
                lost.append(name)
                why = _told(piece.file, error)
            else:
                self._told.piece(name, data)
        return lost, why


_Known = dict[tuple[str, int, int, int, int], Found | None]
"""What was found in a file, by its name, device, inode, size and time of change."""


def look(folder: Path, desired: Mapping[bytes, bytes], known: _Known) -> Found:
    """What the folder holds; one that is not there holds nothing. ``known``: from the look before, so that a stick that
    stays plugged in is not read again and again; brought up to date.
    """
    before = dict(known)
    known.clear()
    objects: dict[bytes, Piece] = {}
    bundles: dict[bytes, tuple[str, int]] = {}
    trouble = ""
    for name in _names(folder):
        try:
            fd = _open(folder, name)
            try:
                file = os.fstat(fd)
                key = (name, file.st_dev, file.st_ino, file.st_size, file.st_mtime_ns)
                mine = before[key] if key in before else _examine(fd, name, desired)
                known[key] = mine
            finally:
                os.close(fd)
        except (OSError, UnfitError, ContractError) as error:
            trouble = trouble or _told(name, error)
            continue
        if mine is not None:
            objects.update(mine.objects)
            bundles.update(mine.bundles)
    return Found(objects, bundles, trouble)


def read(folder: Path, piece: Piece) -> bytes:
    """The bytes of a piece. Raises OSError, UnfitError: it is not there (any more)."""
    fd = _open(folder, piece.file)
    try:
        return _exactly(fd, piece.length, piece.offset)
    finally:
        os.close(fd)


def _names(folder: Path) -> list[str]:
    names: list[str] = []
    with suppress(OSError), os.scandir(folder) as entries:
        for seen, entry in enumerate(entries):
            if seen == _MOST_ENTRIES or len(names) == MOST_FILES:
                break
            if entry.name.endswith(_SUFFIX) and not entry.name.startswith("."):
                names.append(entry.name)
    return names


def _open(folder: Path, name: str) -> int:
    path = folder / name
    if not stat.S_ISREG(path.lstat().st_mode):  # opening a device would already do something
        raise UnfitError("is no file")
    # What stands there now may be another thing than a moment ago.
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise UnfitError("is no file")
    return fd


def _examine(fd: int, name: str, desired: Mapping[bytes, bytes]) -> Found | None:
    """What a bundle file holds; None: nothing that is desired."""
    header = Header.unpack(_exactly(fd, HEADER_BYTES, 0, short=True))
    if header.index_length > LIMITS.index_pages * _PAGE_BYTES:
        raise UnfitError("has an index that is too large")
    envelope = _exactly(fd, header.manifest_length, HEADER_BYTES)
    digest = hashlib.sha256(envelope).digest()
    release = desired.get(digest)
    if release is None:
        return None
    begin = HEADER_BYTES + header.manifest_length
    chunks = begin + header.index_length
    if os.fstat(fd).st_size < chunks + header.chunks_length:
        raise UnfitError("is cut short: copy it again")
    objects = {digest: Piece(name, HEADER_BYTES, len(envelope))}
    for at in range(begin, chunks, _PAGE_BYTES):
        length = min(_PAGE_BYTES, chunks - at)
        objects[hashlib.sha256(_exactly(fd, length, at)).digest()] = Piece(name, at, length)
    return Found(objects, {release: (name, chunks)})


def _exactly(fd: int, length: int, at: int, *, short: bool = False) -> bytes:
    """``length`` bytes; with ``short`` as many of them as there are."""
    parts: list[bytes] = []
    while length:
        part = os.pread(fd, length, at)
        if not part:
            break
        parts.append(part)
        at, length = at + len(part), length - len(part)
    if length and not short:
        raise UnfitError("is cut short: copy it again")
    return b"".join(parts)


def _told(name: str, error: Exception) -> str:
    return line(f"{name}: {getattr(error, 'strerror', None) or error}")
