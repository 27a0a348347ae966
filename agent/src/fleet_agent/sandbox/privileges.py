"""Who a process is and what it may still become: user, capabilities, death with its parent, core dumps, limits."""

import ctypes
import os
import resource
import signal
import struct
from typing import NamedTuple

from fleet_agent.sandbox import kernel

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION_3 = 0x20080522
_DESCRIPTORS = 256
_PROCESSES = 512


DAC_OVERRIDE = 1 << 1
"""To open files whoever they belong to. (``capabilities(7)``)"""
IPC_LOCK = 1 << 14
"""To lock pages: who has locked all of its future ones could not get another page without it."""


class Account(NamedTuple):
    """A user and its group, by number: names are the supervisor's to look up."""

    uid: int
    gid: int


def unreadable() -> None:
    """No core dump, and no other process of this user may look into this one, not by ptrace nor by /proc.

    A limit of 0 alone would not do: the kernel hands cores to a program in ``core_pattern`` whatever the limit is.
    """
    kernel.prctl(_PR_SET_DUMPABLE, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def become(account: Account | None, parent: int, capabilities: int = 0) -> None:
    """Give up every privilege: become ``account``, or stay who one is, with at most those ``capabilities``.

    Raises:
        SandboxError: the kernel refused, or ``parent`` is gone.
    """
    kernel.prctl(_PR_SET_NO_NEW_PRIVS, 1)
    if account is not None:
        with kernel.must(f"user {account.uid}"):
            os.setgroups([])
            os.setresgid(account.gid, account.gid, account.gid)
            os.setresuid(account.uid, account.uid, account.uid)
    _keep(capabilities)
    # A change of user undoes both of these.
    kernel.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    unreadable()
    if os.getppid() != parent:
        raise kernel.SandboxError("the supervisor is gone")


def limit(*, alone: bool) -> None:
    """Few descriptors, no file written; ``alone``: the user is for workers only, so its processes can be counted."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if alone:
        resource.setrlimit(resource.RLIMIT_NPROC, (_PROCESSES, _PROCESSES))


def _keep(capabilities: int) -> None:
    head = ctypes.create_string_buffer(struct.pack("Ii", _CAPABILITY_VERSION_3, 0))
    sets = ctypes.create_string_buffer(24)
    try:
        with kernel.must("capabilities"):
            kernel.call("capget", head, sets)
            _, permitted, _ = struct.unpack_from("3I", sets.raw)
            kept = permitted & capabilities
            struct.pack_into("6I", sets, 0, kept, kept, 0, 0, 0, 0)
            kernel.call("capset", head, sets)
    except kernel.AbsentError:
        # An architecture without a table: the record says that seccomp is missing, for the same reason.
        return
