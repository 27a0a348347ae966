"""Control groups (v2): how much memory and how many tasks a worker may take, where systemd has left that to the agent.

Source: the kernel's ``Documentation/admin-guide/cgroup-v2.rst`` and systemd's "Control Group APIs and Delegation". The
agent changes only a group that says it was delegated (``Delegate=yes`` in the unit): any other has another master.
"""

import errno
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

from fleet_agent.supervisor.log import log

_ROOT = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
_CONTROLLERS = ("memory", "pids")
_SUPERVISOR = "supervisor"
_WORKER = "worker-"
_TASKS = 512
_MARKS = ("user.delegate", "trusted.delegate")


class GroupsError(Exception):
    """This process may not make groups; the text says why, for people."""


class Group:
    """The group of one worker."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, pid: int) -> None:
        """Move a process in, with what it starts. Raises OSError: it has ended."""
        (self._folder / "cgroup.procs").write_text(str(pid))

    @property
    def starved(self) -> bool:
        """Whether a process of it was killed because it took more memory than its limit."""
        try:
            events = (self._folder / "memory.events").read_text("ascii")
        except OSError:
            return False
        counts = dict(line.split() for line in events.splitlines())
        return int(counts.get("oom_kill", 0)) > 0


class Groups:
    """Makes groups for workers below the group that this agent was given."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def make(self, number: int, memory_mb: int) -> Group:
        """A group for worker ``number``; ``memory_mb`` 0: no limit of its own.

        Raises:
            OSError: the kernel refused.
        """
        self.sweep()
        folder = self._folder / f"{_WORKER}{number}"
        folder.mkdir(exist_ok=True)
        (folder / "pids.max").write_text(str(_TASKS))
        if memory_mb:
            (folder / "memory.max").write_text(str(memory_mb << 20))
            _write_if_there(folder / "memory.swap.max", "0")
            _write_if_there(folder / "memory.oom.group", "1")
        return Group(folder)

    def sweep(self) -> None:
        """Remove the groups of workers that are gone."""
        for folder in self._folder.glob(f"{_WORKER}*"):
            try:
                folder.rmdir()
            except OSError as error:
                if error.errno not in (errno.EBUSY, errno.ENOENT, errno.ENOTEMPTY):
                    raise


def delegated(folder: Path) -> bool:
    """Whether systemd has marked a group as somebody else's to divide."""
    for mark in _MARKS:
        try:
            if os.getxattr(folder, mark) == b"1":
                return True
        except OSError:
            continue
    return False


def find(root: Path = _ROOT, own: Path = _OWN, is_delegated: Callable[[Path], bool] = delegated) -> Path:
    """The group that this agent was given to divide. Changes nothing.

    Raises:
        GroupsError: it was given none; the text says what to do.
    """
    try:
        lines = own.read_text("ascii").splitlines()
        path = next((line[3:] for line in lines if line.startswith("0::")), None)
        if path is None or not (root / "cgroup.controllers").exists():
            raise GroupsError("no control groups of version 2 are mounted: no memory limits for workers")
        folder = root / path.lstrip("/")
        if folder.name == _SUPERVISOR and is_delegated(folder.parent):
            folder = folder.parent
        elif not is_delegated(folder):
            raise GroupsError("the agent's control group is not its own: add Delegate=yes to its unit")
        lacking = set(_CONTROLLERS) - set((folder / "cgroup.controllers").read_text("ascii").split())
    except OSError as error:
        raise _unusable(error) from None
    if lacking:
        raise GroupsError(f"the agent's control group has no {', '.join(sorted(lacking))} controller")
    return folder


def take(folder: Path) -> Groups:
    """Divide that group: this process goes into one part of it, so that workers can have others.

    Raises:
        GroupsError: the kernel refused.
    """
    try:
        home = folder / _SUPERVISOR
        home.mkdir(exist_ok=True)
        # A group that has parts may hold no processes itself.
        for pid in (folder / "cgroup.procs").read_text("ascii").split():
            (home / "cgroup.procs").write_text(pid)
        (folder / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in _CONTROLLERS))
        groups = Groups(folder)
        groups.sweep()
    except OSError as error:
        raise _unusable(error) from None
    return groups


@cache
def _own() -> Groups | None:
    try:
        return take(find())
    except GroupsError:
        return None  # `fleet-agent doctor` tells why


def confine(number: int, pid: int, memory_mb: int) -> Group | None:
    """Put a new worker into a group of its own; None where this agent has none to give."""
    groups = _own()
    if groups is None:
        return None
    try:
        group = groups.make(number, memory_mb)
        group.add(pid)
    except OSError as error:
        log(f"worker {number} runs without limits of its own: {error.strerror or error}")
        return None
    return group


def _unusable(error: OSError) -> GroupsError:
    return GroupsError(f"control groups: {error.strerror or error}: no memory limits for workers")


def _write_if_there(path: Path, text: str) -> None:
    if path.exists():
        path.write_text(text)
