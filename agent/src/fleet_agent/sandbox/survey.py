"""What of the sandbox this machine has, asked without entering it: for ``fleet-agent doctor``."""

from typing import NamedTuple

from fleet_agent.sandbox import accounts, groups, kernel, landlock, seccomp
from fleet_agent.sandbox.syscalls import architecture


class Finding(NamedTuple):
    """One part: its name, whether it is there, and in words what it gives or what to do."""

    part: str
    there: bool
    text: str


def survey(user: str | None) -> list[Finding]:
    """Every part; ``user`` is whom ``[worker]`` names, None where it names nobody."""
    return [_user(user), _landlock(), _seccomp(), _groups()]


def _user(name: str | None) -> Finding:
    try:
        account = accounts.find(name)
    except accounts.AccountError as error:
        return Finding("user", False, str(error))
    if account is None:
        return Finding("user", False, f"workers have the agent's own user: as root, add a user {accounts.USUAL}")
    return Finding("user", True, f"workers run as user {account.uid}")


def _landlock() -> Finding:
    try:
        return Finding("landlock", True, f"ABI {landlock.abi()}: workers reach no files")
    except kernel.AbsentError as error:
        return Finding("landlock", False, f"{error}; without another user, workers can read the device's keys")


def _seccomp() -> Finding:
    try:
        seccomp.available()
    except kernel.AbsentError as error:
        return Finding("seccomp", False, str(error))
    if architecture() is None:
        return Finding("seccomp", False, "there is no filter for this architecture")
    return Finding("seccomp", True, "workers have no sockets, no other processes, no new code")


def _groups() -> Finding:
    try:
        folder = groups.find()
    except groups.GroupsError as error:
        return Finding("limits", False, str(error))
    return Finding("limits", True, f"memory and tasks of workers are limited below {folder}")
