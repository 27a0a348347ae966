"""Putting the calling process into its sandbox. There is no way back."""

import os
from pathlib import Path

from fleet_agent.sandbox import landlock, privileges, seccomp
from fleet_agent.sandbox.kernel import AbsentError, SandboxError
from fleet_agent.sandbox.privileges import Account
from fleet_agent.sandbox.profiles import Profile
from fleet_agent.sandbox.record import Record

EXIT_REFUSED = 71
"""How a child ends that could not enter: os.EX_OSERR."""

_NO_USER = "the agent has one user for all its processes: run it as root with a user dunlin-worker, or as a unit"


def enter(profile: Profile, parent: int, account: Account | None = None) -> Record:
    """Confine this process, which has one thread and whose imports are done; ``parent`` is its supervisor's process.

    A part that the kernel does not have is left out and named in the record.

    Raises:
        SandboxError: a part that the kernel has did not work. The process must end.
    """
    threads = sum(1 for _ in Path("/proc/self/task").iterdir())
    if threads != 1 and _landlock_is_there():
        raise SandboxError(f"{threads} threads run already, and Landlock would hold for one of them only")
    privileges.become(account, parent, profile.capabilities)
    if not profile.writes:
        privileges.limit(alone=account is not None)
    lacking = {} if account is not None or profile.writes else {"user": _NO_USER}
    version, filtered = 0, False
    try:
        version = landlock.restrict(profile.rules, network=profile.network)
    except AbsentError as error:
        lacking["landlock"] = str(error)
    try:
        seccomp.install(
            seccomp.only_computing(os.getpid())
            if profile.computing
            else seccomp.nothing_alien(os.getpid(), profile.denied, families=profile.families)
        )
        filtered = True
    except AbsentError as error:
        lacking["seccomp"] = str(error)
    return Record(account.uid if account is not None else None, version, filtered, lacking)


def _landlock_is_there() -> bool:
    """Without it there may be other threads: an emulated processor brings one of its own, and has no Landlock."""
    try:
        landlock.abi()
    except AbsentError:
        return False
    return True
