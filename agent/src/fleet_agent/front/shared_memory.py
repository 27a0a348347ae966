"""System shared memory: tensors that a process of this machine keeps in a file under ``/dev/shm``.

The files are read and written, never mapped: a client that truncates its own file would kill a process that has it
mapped (SIGBUS), and could change tensors between their check and their use. One copy costs 16 us for 600 KB.

Whoever names a region must own its file. The agent may read more than its clients may, and would otherwise lend them
that. A region is seen by the user who registered it and by nobody else.
"""

import os
import stat
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fleet_agent.frames import Buffer
from fleet_agent.front.errors import HttpError
from fleet_agent.front.exchange import Exchange
from fleet_agent.front.limits import Limits

_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_NAME_CHARS = 256
_KEY_BYTES = 255


class Region:
    """A part of a shared memory file; the file is closed when nothing refers to the region any more."""

    def __init__(self, name: str, key: str, offset: int, size: int, fd: int) -> None:
        self.name = name
        self.key = key
        self.offset = offset
        self.size = size
        self._fd = fd
        weakref.finalize(self, os.close, fd)

    def check(self, offset: int, size: int) -> None:
        """Whether the region has ``size`` bytes at ``offset``.

        Raises:
            HttpError: 400.
        """
        if offset + size > self.size:
            text = f"{size} bytes at offset {offset} do not fit into shared memory region {self.name!r}"
            raise HttpError(400, f"{text}, which has {self.size}")

    def read(self, offset: int, size: int) -> bytes:
        """A copy of ``size`` bytes.

        Raises:
            HttpError: 400, out of bounds, or the file is shorter by now.
        """
        self.check(offset, size)
        data = b""
        # One call gives less than asked at the file's end only, or at 2 GiB.
        try:
            data = os.pread(self._fd, size, self.offset + offset)
        except OSError as error:
            self._lost(error.strerror or "unreadable")
        if len(data) != size:
            self._lost("it was truncated")
        return data

    def write(self, offset: int, data: Buffer) -> None:
        """Put bytes in.

        Raises:
            HttpError: 400, out of bounds, or the file is shorter by now or sealed.
        """
        self.check(offset, len(data))
        at = self.offset + offset
        try:
            # Writing beyond its end would make the file longer again.
            if os.fstat(self._fd).st_size < at + len(data):
                self._lost("it was truncated")
            if os.pwrite(self._fd, data, at) != len(data):
                self._lost("it took only a part")
        except OSError as error:
            self._lost(error.strerror or "unwritable")

    def _lost(self, why: str) -> None:
        raise HttpError(400, f"shared memory region {self.name!r} cannot be used: {why}; register it again")

    def described(self) -> dict[str, Any]:
        """As the status of the protocol's extension shows it."""
        return {"name": self.name, "key": self.key, "offset": self.offset, "byte_size": self.size}


class Regions:
    """All registered regions, by owner and name."""

    def __init__(self, limits: Limits, folder: Path = Path("/dev/shm")) -> None:  # noqa: S108 - where shm_open puts them
        self._limits = limits
        self._folder = folder
        self._regions: dict[tuple[int, str], Region] = {}

    def register(self, uid: int, name: str, request: Mapping[str, Any]) -> None:
        """Make a region known; ``request`` is the extension's ``{"key","offset","byte_size"}``.

        Raises:
            HttpError: 400, it cannot be used; 403, the file is another user's; 503, too many are registered.
        """
        if not 1 <= len(name) <= _NAME_CHARS:
            raise HttpError(400, f"the name of a shared memory region has 1 to {_NAME_CHARS} characters")
        if (uid, name) in self._regions:
            raise HttpError(400, f"shared memory region {name!r} is registered already; unregister it first")
        if len(self._regions) >= self._limits.regions:
            raise HttpError(503, f"{self._limits.regions} shared memory regions are registered; unregister some")
        key = _key(request.get("key"))
        offset, size = request.get("offset", 0), request.get("byte_size")
        if type(offset) is not int or offset < 0 or type(size) is not int or not 1 <= size <= self._limits.region_bytes:
            text = f"1 to {self._limits.region_bytes}"
            raise HttpError(400, f"offset must be a number of bytes from 0, byte_size one of {text}")
        self._regions[uid, name] = Region(name, key, offset, size, self._open(uid, key, offset + size))

    def unregister(self, uid: int, name: str | None) -> None:
        """Forget one region of that user, or all; one that is not there is forgotten already."""
        for key in [key for key in self._regions if key[0] == uid and name in (None, key[1])]:
            del self._regions[key]

    def listed(self, uid: int) -> list[Region]:
        """That user's regions."""
        return [region for (owner, _), region in self._regions.items() if owner == uid]

    def find(self, uid: int, name: str, status: int = 400) -> Region:
        """A region of that user.

        Raises:
            HttpError: with ``status``, there is none.
        """
        region = self._regions.get((uid, name))
        if region is None:
            raise HttpError(status, f"you have registered no shared memory region {name[:64]!r}")
        return region

    def _open(self, uid: int, key: str, end: int) -> int:
        try:
            fd = os.open(self._folder / key, _FLAGS)
        except OSError as error:
            why = error.strerror or "cannot be opened"
            text = f"shared memory key {key!r}: {why}; create it first, readable and writable for the agent's user"
            raise HttpError(400, text) from None
        wrong = _wrong(os.fstat(fd), uid, key, end)
        if wrong is not None:
            os.close(fd)
            raise wrong
        return fd


class Memory:
    """The regions that one request may name. Who sent it is found out when it names one."""

    def __init__(self, regions: Regions | None, exchange: Exchange) -> None:
        self._regions = regions
        self._exchange = exchange

    @property
    def regions(self) -> Regions:
        """Raises HttpError: 400, shared memory is switched off."""
        if self._regions is None:
            raise HttpError(400, "shared memory is switched off in this device's agent.toml; send binary data")
        return self._regions

    @property
    def uid(self) -> int:
        """The user who sent the request. Raises HttpError: 403, nobody of this machine."""
        uid = self._exchange.peer.uid
        if uid is None:
            raise HttpError(403, "shared memory is for processes of this machine; connect over loopback or the socket")
        return uid

    def read(self, name: str, offset: int, size: int) -> bytes:
        """A copy of a part of a region, counted as held by the request. Raises HttpError."""
        region = self.regions.find(self.uid, name)
        region.check(offset, size)
        self._exchange.hold(size)
        return region.read(offset, size)

    def target(self, name: str, offset: int, size: int) -> "Target":
        """Where an output goes. Raises HttpError: 400, out of bounds."""
        region = self.regions.find(self.uid, name)
        region.check(offset, size)
        return Target(region, offset, size)


class Target:
    """Room for one output in a region."""

    def __init__(self, region: Region, offset: int, size: int) -> None:
        self._region = region
        self._offset = offset
        self._size = size

    def write(self, name: str, data: Buffer) -> None:
        """Put the output there. Raises HttpError: 400, it does not fit, or the file has changed."""
        if len(data) > self._size:
            raise HttpError(400, f"output {name!r} has {len(data)} bytes; {self._size} of shared memory were offered")
        self._region.write(self._offset, data)


def _wrong(found: os.stat_result, uid: int, key: str, end: int) -> HttpError | None:
    """Why this file cannot be a region of that user that reaches to ``end``."""
    if found.st_uid != uid:
        return HttpError(403, f"shared memory key {key!r} is another user's")
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        return HttpError(400, f"shared memory key {key!r} is no shared memory")
    if found.st_size < end:
        return HttpError(
            400, f"shared memory key {key!r} has {found.st_size} bytes; offset and byte_size ask for {end}"
        )
    return None


def _key(key: object) -> str:
    """The file's name: keys of shm_open may or may not begin with a slash."""
    if not isinstance(key, str):
        raise HttpError(400, "key must be a JSON string")
    name = key.lstrip("/")
    if not 1 <= len(name.encode("utf-8", "replace")) <= _KEY_BYTES or name in (".", "..") or set(name) & {"/", "\0"}:
        raise HttpError(400, f"key {key[:64]!r} names no shared memory")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise HttpError(400, "key is not UTF-8") from None
    return name
