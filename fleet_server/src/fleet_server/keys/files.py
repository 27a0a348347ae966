"""Writing small files so that they are whole or absent, and secret ones never readable by others."""

import os
import secrets
from pathlib import Path


def write(path: Path, data: bytes, mode: int) -> None:
    """Write `path` atomically and durably with permission bits `mode`, replacing what was there."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_dir(path.parent)


def write_secret(path: Path, data: bytes) -> None:
    """Write a private key: 0600 from its first byte on."""
    write(path, data, 0o600)


def sync_dir(directory: Path) -> None:
    """Make renames in `directory` survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
