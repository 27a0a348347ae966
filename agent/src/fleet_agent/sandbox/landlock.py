"""Landlock: the files that a process may still reach, that it signals nobody and, mostly, opens no TCP connection.

Source: the kernel's ``Documentation/userspace-api/landlock.rst`` and ``include/uapi/linux/landlock.h``. A restriction
holds for the calling thread and what it starts, for ever.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Sequence
from enum import IntFlag
from typing import NamedTuple

from fleet_agent.sandbox import kernel

_VERSION = 1
_PATH_BENEATH = 1
_NEWEST = 7
# What each ABI knows; a ruleset that names a right the kernel does not know is refused.
_RIGHTS = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF}
_ALL_RIGHTS = 0xFFFF
_NETWORK = 3  # bind and connect TCP
_NETWORK_ABI = 4
_SCOPES = 3  # abstract Unix sockets, signals
_SCOPES_ABI = 6


class Right(IntFlag):
    """What a rule allows beneath its path."""

    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15


READ = Right.READ_FILE | Right.READ_DIR
WRITE = READ | Right.WRITE_FILE | Right.TRUNCATE
KEEP = WRITE | Right.REMOVE_DIR | Right.REMOVE_FILE | Right.MAKE_DIR | Right.MAKE_REG | Right.REFER
DEVICE = READ | Right.WRITE_FILE | Right.IOCTL_DEV
PUT = Right.MAKE_REG | Right.REMOVE_FILE | Right.REFER
"""Files may be moved to there."""
TAKE = WRITE | Right.REMOVE_FILE | Right.REFER
"""Files may be read, deleted, and moved to a place that allows writing: a file gains no rights by being moved."""
WRITE_NEW = Right.WRITE_FILE | Right.TRUNCATE | Right.MAKE_REG | Right.REMOVE_FILE
"""Files may be made, written and renamed, not read."""
# The kernel refuses rules that grant a file what only folders have.
_OF_FILES = Right.WRITE_FILE | Right.READ_FILE | Right.TRUNCATE | Right.IOCTL_DEV


class Rule(NamedTuple):
    """``rights`` on everything beneath ``path``; a path that is not there needs no rule."""

    path: str
    rights: Right


def abi() -> int:
    """Version of the interface.

    Raises:
        AbsentError: the kernel has none, or it is switched off.
    """
    try:
        return kernel.call("landlock_create_ruleset", None, 0, _VERSION)
    except OSError as error:
        raise kernel.asked("Landlock", error.errno) from None


def restrict(rules: Sequence[Rule], *, network: bool = False) -> int:
    """Restrict the calling thread to ``rules``; returns the ABI that it was done by. ``network``: TCP is left free.

    Raises:
        AbsentError: the kernel has no Landlock.
        SandboxError: it has, and it did not work.
    """
    version = abi()
    rights = _RIGHTS.get(version, _ALL_RIGHTS)
    words = [rights]
    if version >= _NETWORK_ABI:
        words.append(0 if network else _NETWORK)
    if version >= _SCOPES_ABI:
        words.append(_SCOPES)
    attribute = struct.pack(f"={len(words)}Q", *words)
    with kernel.must("Landlock"):
        ruleset = kernel.call("landlock_create_ruleset", _buffer(attribute), len(attribute), 0)
        try:
            for rule in rules:
                _add(ruleset, rule, rights)
            kernel.call("landlock_restrict_self", ruleset, 0)
        finally:
            os.close(ruleset)
    return min(version, _NEWEST)


def _add(ruleset: int, rule: Rule, rights: int) -> None:
    try:
        path = os.open(rule.path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EACCES, errno.ENOTDIR):
            return
        raise
    folder = os.fstat(path).st_mode & 0o170000 == 0o040000
    allowed = rule.rights & rights if folder else rule.rights & _OF_FILES & rights
    kernel.call("landlock_add_rule", ruleset, _PATH_BENEATH, _buffer(struct.pack("=Qi", allowed, path)), 0)
    # A rule hangs on an inode, and procfs makes a new one whenever it dropped the name: there the path stays open.
    if not rule.path.startswith("/proc/"):
        os.close(path)


def _buffer(data: bytes) -> "ctypes.Array[ctypes.c_char]":
    return ctypes.create_string_buffer(data, len(data))
