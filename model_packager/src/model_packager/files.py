"""Files that are there whole or not at all."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from model_packager.errors import OutputError


@contextlib.contextmanager
def whole(path: Path, mode: int = 0o644) -> Iterator[BinaryIO]:
    """A file to write that appears as ``path`` when the block ends well, synced, and otherwise leaves nothing.

    Raises:
        OutputError: it cannot be written (a full disk included).
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise refused(path, error) from None
    try:
        os.close(handle)
        with open(name, "wb") as file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(name).replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise refused(path, error) from None
        raise


def write(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a small file whole. Raises OutputError."""
    with whole(path, mode) as file:
        file.write(data)


def refused(path: Path, error: OSError) -> OutputError:
    """What an operating-system error means to the person who wanted ``path``."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(f"{path}: the disk is full: free some space, or write elsewhere; nothing was left behind")
    return OutputError(f"{path} cannot be written: {error.strerror}; choose another place")
