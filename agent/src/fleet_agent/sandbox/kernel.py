"""System calls that neither Python nor an older C library has a name for."""

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import c_long

from fleet_agent.sandbox.syscalls import number

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = c_long


class SandboxError(Exception):
    """The sandbox could not be entered; the process must not go on."""


class AbsentError(Exception):
    """This kernel has no such thing; the text says why, for people."""


def call(name: str, *arguments: object) -> int:
    """Call it; integers go as the long ones that the kernel takes.

    Raises:
        OSError: it failed.
        AbsentError: this machine's architecture is not in the table.
    """
    which = number(name)
    if which is None:
        raise AbsentError(f"{os.uname().machine} is not supported")
    result = int(_libc.syscall(c_long(which), *(c_long(one) if isinstance(one, int) else one for one in arguments)))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def prctl(option: int, value: int) -> None:
    """prctl(2) with one argument.

    Raises:
        SandboxError: refused.
    """
    if _libc.prctl(option, c_long(value), c_long(0), c_long(0), c_long(0)):
        raise SandboxError(f"prctl {option}: {os.strerror(ctypes.get_errno())}")


@contextmanager
def must(what: str) -> Iterator[None]:
    """Turn a refusal into the end of the process.

    Raises:
        SandboxError: an OSError came.
    """
    try:
        yield
    except OSError as error:
        raise SandboxError(f"{what}: {error.strerror or error}") from None


def asked(what: str, code: int | None) -> AbsentError:
    """Why the question whether a feature is there, which needs no privilege, was answered with an error."""
    if code == errno.EPERM:
        return AbsentError(f"a container's filter forbids {what}: let it through, or run the agent outside")
    if code == errno.EOPNOTSUPP:
        return AbsentError(f"{what} is switched off: add it to lsm= on the kernel's command line")
    return AbsentError(f"this kernel has no {what}")
