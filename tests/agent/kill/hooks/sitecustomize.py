"""Loaded by Python itself into an agent that is to be killed: this folder is on its PYTHONPATH.

DUNLIN_KILL_AT     number of the journal's commit, counted from the agent's start, at which all its processes end.
DUNLIN_KILL_HOW    ``before`` the commit, ``after`` it, or ``torn``: the power went while it was being written.
DUNLIN_KILL_TOLD   file that says that it happened.
"""

import os
import signal
from pathlib import Path
from typing import Any

_AT, _HOW = int(os.environ.get("DUNLIN_KILL_AT", "0")), os.environ.get("DUNLIN_KILL_HOW", "before")


def _die() -> None:
    Path(os.environ["DUNLIN_KILL_TOLD"]).write_text(str(_AT))
    os.killpg(0, signal.SIGKILL)


def _tear(log: Path, before: bytes) -> None:
    """Leave only half of what the commit appended; what was in shared memory is gone with the power."""
    after = log.read_bytes()
    same = next((at for at, (old, new) in enumerate(zip(before, after, strict=False)) if old != new), len(before))
    half = same + (len(after) - same) // 2
    log.write_bytes(after[:half] + before[half:])
    log.with_name("journal.db-shm").unlink()


def _arm() -> None:
    from fleet_agent.journal import Journal

    real, count = Journal.commit, 0

    def commit(self: Any) -> None:
        nonlocal count
        count += 1
        log = self._path.with_name("journal.db-wal")
        if count < _AT:
            real(self)
            return
        if _HOW != "before":
            before = log.read_bytes()
            real(self)
            if _HOW == "torn":
                _tear(log, before)
        _die()

    Journal.commit = commit  # type: ignore[method-assign]


if _AT:
    _arm()
