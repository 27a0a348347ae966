"""Memory files that hold plaintext of a model: sealed once they are written, and locked where pages may be."""

import fcntl
import os
from collections.abc import Callable, Iterator

from fleet_agent.locking import Pinned

_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def sealed_memory(
    name: str, parts: Iterator[bytes], ready: Callable[[int], None] | None = None, length: int = 0
) -> int:
    """A memory file that nobody, its maker included, can change any more.

    ``ready`` is called with the file while it holds nothing but room for ``length`` bytes.
    """
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        if ready is not None:
            os.ftruncate(fd, length)
            ready(fd)
        for part in parts:
            view = memoryview(part)
            while view:
                view = view[os.write(fd, view) :]
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(fd)
        raise
    return fd


class Sealed:
    """Plaintext in sealed memory; ``fd`` is its receiver's to close.

    Where pages may be locked its are, from before the first byte until :meth:`release`: when the receiver has them.
    """

    def __init__(self, name: str, parts: Iterator[bytes], length: int, *, locked: bool) -> None:
        """Raises OSError: no memory, and whatever ``parts`` raises."""
        self._pinned: Pinned | None = None
        try:
            self.fd = sealed_memory(name, parts, self._pin if locked else None, length)
        except BaseException:
            self.release()
            raise

    def _pin(self, fd: int) -> None:
        self._pinned = Pinned(fd)

    def release(self) -> None:
        """Unlock the pages."""
        if self._pinned is not None:
            self._pinned.close()
            self._pinned = None
