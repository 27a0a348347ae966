"""What a power cut leaves on a disk: every write of a program is watched, and before each one an image is taken.

Three images can follow one moment. ``kill``: the process ended, everything written is there. ``lost``: the power went,
and whatever was not synced is not there, neither bytes nor names. ``torn``: the names are there, but of what was not
synced only the first half. SQLite's own writes do not pass through Python; a commit is torn by cutting what it appended
to the write-ahead log.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from fleet_agent.journal import Journal

Files = dict[str, bytes | None]
"""Bytes by path below the state folder; None for a folder."""

_SQLITE = ("journal.db", "journal.db-wal", "results.db", "results.db-wal")
_IGNORED = ("journal.db-shm", "results.db-shm")
_BY_NAME = ("unlink", "remove", "mkdir", "rmdir", "rename", "replace")
_BY_DESCRIPTOR = ("write", "pwrite", "ftruncate", "posix_fallocate", "fsync", "fdatasync")


@dataclass(frozen=True)
class Image:
    """A disk as it may be found, and how it came about. ``moment`` is the watcher's own mark of when."""

    what: str
    files: Files
    moment: Any

    def restore(self, folder: Path) -> None:
        """Make ``folder`` that disk."""
        folder.mkdir()
        for name, data in sorted(self.files.items()):
            if data is None:
                (folder / name).mkdir(exist_ok=True)
            else:
                (folder / name).write_bytes(data)


class Disk:
    """Watches the writes below ``base``. ``moment`` says what else belongs to an image."""

    def __init__(self, base: Path, moment: Callable[[], Any]) -> None:
        self._base = base
        self._moment = moment
        self._synced: dict[int, bytes] = {}
        self._names: dict[str, dict[str, tuple[int, bool]]] = {}
        self._known: dict[bytes, bytes] = {}
        self._seen: set[bytes] = set()
        self.points = 0
        self.images: list[Image] = []
        for path in [base, *base.rglob("*")]:
            if path.is_dir():
                self._names[self._place(path)] = self._listed(path)
            else:
                self._synced[path.stat().st_ino] = self._kept(path.read_bytes())

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Take an image before each write and sync, and one at the end."""
        with ExitStack() as patches:
            for name in _BY_NAME:
                patches.enter_context(mock.patch.object(os, name, partial(self._named, getattr(os, name), name)))
            for name in _BY_DESCRIPTOR:
                patches.enter_context(mock.patch.object(os, name, partial(self._described, getattr(os, name), name)))
            disk, real = self, Journal.commit

            def commit(journal: Journal) -> None:
                disk.point("commit")
                before = disk._log()
                real(journal)
                disk.torn_commit(before)

            patches.enter_context(mock.patch.object(Journal, "commit", commit))
            yield
            self.point("the end")

    def _named(self, real: Callable[..., Any], name: str, path: Any, *rest: Any, **more: Any) -> Any:
        if str(path).startswith(str(self._base)) and "dir_fd" not in more:
            self.point(f"{name} {Path(path).name}")
        return real(path, *rest, **more)

    def _described(self, real: Callable[..., Any], name: str, fd: int, *rest: Any) -> Any:
        target = str(Path(f"/proc/self/fd/{fd}").readlink())
        ours = target.startswith(str(self._base))
        if ours:
            self.point(f"{name} {Path(target).name}")
        result = real(fd, *rest)
        if ours and name in {"fsync", "fdatasync"}:
            path = Path(target)
            if path.is_dir():
                self._names[self._place(path)] = self._listed(path)
            else:
                self._synced[os.fstat(fd).st_ino] = self._kept(Path(f"/proc/self/fd/{fd}").read_bytes())
        return result

    def point(self, what: str) -> None:
        """The power may go now."""
        self.points += 1
        now = self._now()
        self._keep(f"killed before: {what}", now)
        self._keep(f"power lost before: {what}", self._lost())
        self._keep(f"power lost, half written, before: {what}", self._torn())

    def torn_commit(self, before: bytes) -> None:
        """A commit happened; the power may have gone in the midst of it."""
        after = self._log()
        same = next((at for at, (old, new) in enumerate(zip(before, after, strict=False)) if old != new), None)
        same = min(len(before), len(after)) if same is None else same
        half = same + (len(after) - same) // 2
        self.points += 1
        self._keep("power lost in a commit", {**self._now(), "journal.db-wal": after[:half] + before[half:]})

    def _log(self) -> bytes:
        path = self._base / "journal.db-wal"
        return path.read_bytes() if path.exists() else b""

    def _keep(self, what: str, files: Files) -> None:
        moment = self._moment()
        mark = hashlib.blake2b(repr((moment.mark, sorted((k, v and id(v)) for k, v in files.items()))).encode())
        if mark.digest() not in self._seen:
            self._seen.add(mark.digest())
            self.images.append(Image(what, files, moment))

    def _kept(self, data: bytes) -> bytes:
        """The same object for the same bytes: images share what did not change."""
        return self._known.setdefault(hashlib.blake2b(data).digest(), data)

    def _place(self, path: Path) -> str:
        return str(path.relative_to(self._base))

    @staticmethod
    def _listed(folder: Path) -> dict[str, tuple[int, bool]]:
        return {entry.name: (entry.inode(), entry.is_dir()) for entry in os.scandir(folder)}

    def _now(self) -> Files:
        files: Files = {}
        for path in self._base.rglob("*"):
            if path.is_dir():
                files[self._place(path)] = None
            elif path.name not in _IGNORED and not path.is_socket():
                files[self._place(path)] = self._kept(path.read_bytes())
        return files

    def _lost(self) -> Files:
        files: Files = {}

        def walk(folder: str) -> None:
            for name, (inode, is_folder) in self._names.get(folder, {}).items():
                place = name if folder == "." else f"{folder}/{name}"
                if is_folder:
                    files[place] = None
                    walk(place)
                elif name not in _SQLITE + _IGNORED:
                    files[place] = self._synced.get(inode, b"")

        walk(".")
        # What SQLite committed it synced, together with the names of its files.
        files.update({name: data for name, data in self._now().items() if name in _SQLITE})
        return files

    def _torn(self) -> Files:
        files = self._now()
        for name, data in files.items():
            if data is None or name in _SQLITE:
                continue
            synced = self._synced.get((self._base / name).stat().st_ino)
            if synced is not data:
                files[name] = self._kept(data[: len(data) // 2] + (synced or b"")[len(data) // 2 :])
        return files
