"""The user that workers run as."""

import os
import pwd

from fleet_agent.sandbox.privileges import Account

USUAL = "dunlin-worker"


class AccountError(Exception):
    """Workers cannot run as who was named; the text says what to do."""


def find(name: str | None) -> Account | None:
    """Account of the user ``name``, or of the usual one where nobody named any; None: workers stay as they are.

    Only root may become somebody else, so an agent that is not root has none.

    Raises:
        AccountError: the user that was named is not there, or is root.
    """
    if os.geteuid() != 0:
        if name is None:
            return None
        raise AccountError(f"workers cannot run as {name}: the agent is not root; leave user out of [worker]")
    try:
        entry = pwd.getpwnam(name or USUAL)
    except KeyError:
        if name is None:
            return None
        make = f"useradd --system --shell /usr/sbin/nologin {name}"
        raise AccountError(f"there is no user {name} for workers: make one ({make}), or name another") from None
    if entry.pw_uid == 0:
        raise AccountError(f"workers must not run as {entry.pw_name}: name a user without privileges in [worker]")
    return Account(entry.pw_uid, entry.pw_gid)
