"""Trying something in a process of its own: what crashes or hangs there is a finding, not the end of the doctor."""

import json
import subprocess
import sys
from typing import Any

from fleet_agent import ipc
from fleet_agent.errors import line

_LIMIT_S = 300
"""Emulated processors need half a minute for an import."""


class TryError(Exception):
    """It did not work; the text says why, for people."""


def attempt(code: str) -> Any:
    """Run Python ``code`` as the agent's children are run; returns the JSON that it prints.

    Raises:
        TryError: it failed, crashed or hung.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", code],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=ipc.environment(),
            timeout=_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TryError(f"no answer in {_LIMIT_S} s") from None
    except OSError as error:
        raise TryError(f"{sys.executable} cannot be started ({error.strerror})") from None
    if done.returncode < 0:
        raise TryError(f"it crashed with signal {-done.returncode}")
    try:
        return json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise TryError(line(said[-1]) if said else f"it ended with code {done.returncode}") from None
