"""Files that are whole or absent: write beside, sync, rename, sync the folder."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fleet_agent.errors import StorageError

PRIVATE = 0o600
PRIVATE_FOLDER = 0o700


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turn the kernel's refusals into one clear line.

    Raises:
        StorageError: ``disk-full`` or ``disk``.
    """
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StorageError("disk-full", f"no space left for {what}: free some and try again") from None
        raise StorageError("disk", f"{what}: {error.strerror or error}") from None


def sync_folder(folder: Path) -> None:
    """Make renames and deletions in ``folder`` survive a power cut."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folder(folder: Path) -> None:
    """Create ``folder``, readable by this user only, durably."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        sync_folder(folder.parent)


def write_whole(path: Path, data: bytes, mode: int = PRIVATE) -> None:
    """Replace ``path`` by ``data``: after a power cut it holds the old bytes or the new ones.

    Raises:
        StorageError: nothing was changed.
    """
    beside = path.with_name(f".{path.name}.new")
    with disk_errors(path.name):
        try:
            fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(fd, view) :]
                os.fsync(fd)
            finally:
                os.close(fd)
            beside.replace(path)
        except OSError:
            beside.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def read_if_there(path: Path) -> bytes | None:
    """The file's bytes, None when there is no such file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def destroy(path: Path) -> int:
    """Overwrite a file with zeros, sync, unlink, sync its folder; returns how many bytes it had.

    On flash the old cells may outlive the overwrite: callers state the assurance as ``clear``, not ``purge``.
    """
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return 0
    try:
        size = os.fstat(fd).st_size
        zeros = bytes(min(size, 1 << 20))
        at = 0
        while at < size:
            at += os.pwrite(fd, zeros[: size - at], at)
        os.fsync(fd)
    finally:
        os.close(fd)
    path.unlink()
    sync_folder(path.parent)
    return size


def remove_tree(folder: Path) -> tuple[int, int]:
    """Delete a folder of plain files and folders, durably; returns how many files and bytes went."""
    if not folder.is_dir():
        return 0, 0
    files = size = 0
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and not entry.is_symlink():
            below = remove_tree(entry)
            files, size = files + below[0], size + below[1]
        else:
            size += entry.lstat().st_size
            files += 1
            entry.unlink()
    folder.rmdir()
    sync_folder(folder.parent)
    return files, size
