"""Keeping plaintext out of swap: locked pages, where this user may lock as many as a model needs.

``mlockall`` with MCL_ONFAULT (Linux 4.4) locks what a process really touches, so it costs no memory; but the kernel
counts whole mappings against RLIMIT_MEMLOCK, so only an unlimited one will do (systemd: ``LimitMEMLOCK=infinity``).
"""

import ctypes
import mmap
import os
import resource
from functools import cache

_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
_CAP_IPC_LOCK = 14
_FAILED = ctypes.c_void_p(-1).value

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *(ctypes.c_int,) * 3, ctypes.c_long)
_libc.mlock.argtypes = _libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)


@cache
def possible(*, keeps_rights: bool = True) -> bool:
    """Whether this process may lock all it needs; raises the soft limit to what is allowed first.

    ``keeps_rights``: it goes on with the rights it has; root's right to lock ends in a sandbox, a limit does not.
    """
    if not _unlimited() and not (keeps_rights and _privileged()):
        return False
    # A container may forbid it whatever is said: try with one page.
    fd = os.memfd_create("page", os.MFD_CLOEXEC)
    try:
        os.ftruncate(fd, mmap.PAGESIZE)
        Pinned(fd).close()
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def _unlimited() -> bool:
    try:
        _, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
        wanted = resource.RLIM_INFINITY if os.geteuid() == 0 else hard
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (wanted, wanted))
    except (OSError, ValueError):
        return False
    return wanted == resource.RLIM_INFINITY


def _privileged() -> bool:
    try:
        with open("/proc/self/status", encoding="ascii") as file:
            effective = next(line for line in file if line.startswith("CapEff:"))
    except (OSError, StopIteration):
        return False
    return bool(int(effective.split()[1], 16) >> _CAP_IPC_LOCK & 1)


def lock_process() -> bool:
    """Lock whatever this process, which goes into a sandbox, has touched and will touch; whether it worked."""
    return possible(keeps_rights=False) and _libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) == 0


class Pinned:
    """All pages of a memory file, locked until :meth:`close`. Nothing may shorten the file meanwhile."""

    def __init__(self, fd: int) -> None:
        """Raises OSError: it may not, or there is no room."""
        self._length = os.fstat(fd).st_size
        # Private: a shared mapping of a file that may be written would keep it from being sealed.
        self._address = _libc.mmap(None, max(1, self._length), mmap.PROT_READ, mmap.MAP_PRIVATE, fd, 0)
        if self._address == _FAILED:
            raise _error("mmap")
        if _libc.mlock(self._address, self._length) != 0:
            error = _error("mlock")
            self.close()
            raise error

    def close(self) -> None:
        """Let the kernel do with the pages as it likes."""
        _libc.munmap(self._address, max(1, self._length))


def _error(call: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{call}: {os.strerror(number)}")
