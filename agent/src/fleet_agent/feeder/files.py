"""Sources that are folders: files as they come, and all files of a folder once a day."""

import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from fleet_agent.config.sources import Source
from fleet_agent.feeder.calling import MOST_BYTES
from fleet_agent.feeder.errors import NeverError, SourceError
from fleet_agent.feeder.inputs import Input

_LOOK_S = 1.0
_MOST_FILES = 100_000
_LONGEST_LOOK_S = 30.0
_CAREFULLY = os.O_NOFOLLOW | os.O_NONBLOCK
_Mark = tuple[int, int, int]
"""What a file is known by, besides its name: inode, size, time of its last change in ns."""


class Folder:
    """A file is taken when it has not changed between two looks; better still, rename finished files into the folder.

    With ``done = "keep"`` those that are there at the start are left alone. What could not be used stays where it is
    and is not tried again by this process.
    """

    durable = True

    def __init__(self, source: Source, wait: Callable[[float], object] = time.sleep) -> None:
        assert source.folder is not None
        self._folder = source.folder
        self._source = source
        self._wait = wait
        self._handled: dict[str, _Mark] | None = None
        self._seen: dict[str, _Mark] = {}

    def inputs(self) -> Iterator[Input | None]:
        """Files, the oldest first; None after each look that found nothing.

        Raises:
            SourceError: the folder cannot be read.
        """
        if self._handled is None:
            self._handled = self._look() if self._source.done == "keep" else {}
        while True:
            found = self._look()
            settled = {name: mark for name, mark in found.items() if self._seen.get(name) == mark}
            self._seen = found
            self._handled = {name: mark for name, mark in self._handled.items() if found.get(name) == mark}
            new = [name for name, mark in settled.items() if self._handled.get(name) != mark]
            for name in sorted(new, key=lambda name: (settled[name][2], name)):
                self._handled[name] = settled[name]
                yield read(self._source, self._folder / name)
            if not new:
                yield None
                self._wait(_LOOK_S)

    def _look(self) -> dict[str, _Mark]:
        return look(self._folder)


class Schedule:
    """All files of a folder, daily at a local time. A time at which the device was off is not made up for."""

    durable = True

    def __init__(
        self,
        source: Source,
        wait: Callable[[float], object] = time.sleep,
        now: Callable[[], float] = time.time,
    ) -> None:
        assert source.folder is not None
        self._folder = source.folder
        self._source = source
        self._wait = wait
        self._now = now
        self._due: float | None = None

    def inputs(self) -> Iterator[Input | None]:
        """The files of each run; None while it is not yet time. Raises SourceError: the folder cannot be read."""
        while True:
            now = self._now()
            if self._due is None or self._due - now > 2 * 86_400:  # first time, or the clock was set back
                self._due = next_time(now, self._source.at)
            if now < self._due:
                yield None
                self._wait(min(_LONGEST_LOOK_S, self._due - now))
                continue
            found = look(self._folder)
            self._due = next_time(now, self._source.at)
            for name in sorted(found):
                yield read(self._source, self._folder / name)


def next_time(now: float, at: str) -> float:
    """When it is ``at`` (HH:MM, local time) next after ``now`` (seconds since 1970)."""
    hour, _, minute = at.partition(":")
    day = time.localtime(now)
    for days in (0, 1, 2):
        # mktime carries a day beyond the month's end over, and knows of summer time.
        due = time.mktime((day.tm_year, day.tm_mon, day.tm_mday + days, int(hour), int(minute), 0, 0, 0, -1))
        if due > now:
            return due
    return now + 86_400


def look(folder: Path) -> dict[str, _Mark]:
    """The plain files of a folder that are not hidden. Raises SourceError."""
    found: dict[str, _Mark] = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or len(found) == _MOST_FILES:
                    continue
                try:
                    about = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if stat.S_ISREG(about.st_mode):
                    found[entry.name] = _mark(about)
    except OSError as error:
        raise SourceError(f"folder {folder} cannot be read: {error.strerror}") from None
    return found


def _mark(about: os.stat_result) -> _Mark:
    return about.st_ino, about.st_size, about.st_mtime_ns


def read(source: Source, path: Path) -> Input:
    """A file as an input; one that cannot be read says so when its data is asked for."""

    taken: _Mark | None = None

    def data() -> bytes:
        nonlocal taken
        try:
            # Never waiting: it may have become a pipe since it was seen.
            with open(path, "rb", opener=lambda name, flags: os.open(name, flags | _CAREFULLY)) as opened:
                taken = _mark(os.fstat(opened.fileno()))
                raw = opened.read(MOST_BYTES + 1)
        except OSError as error:
            raise NeverError(f"{path.name} cannot be read: {error.strerror}") from None
        if len(raw) > MOST_BYTES:
            raise NeverError(f"{path.name} has more than {MOST_BYTES} bytes")
        return raw

    def done() -> None:
        try:
            if source.done == "keep" or _mark(path.lstat()) != taken:
                return  # what lies there now came meanwhile, and has its turn yet
            if source.done == "delete":
                path.unlink()
            else:
                assert source.done_folder is not None
                path.replace(source.done_folder / path.name)
        except FileNotFoundError as error:
            if error.filename2 is not None and path.exists():
                raise NeverError(f"{path.name} cannot be moved to {source.done_folder}: {error.strerror}") from None
        except OSError as error:
            where = f" to {source.done_folder}" if source.done == "move" else ""
            raise NeverError(f"{path.name} cannot be {source.done}d{where}: {error.strerror}") from None

    return Input(path.name, data, done)
