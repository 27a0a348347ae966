"""Asking the running agent over its control socket: one JSON object there, JSON objects back, one a line."""

import json
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fleet_agent.errors import SetupError


def short(path: Path) -> tuple[str, int]:
    """A path to ``path`` that fits into a socket address (108 bytes), and the descriptor that keeps it valid."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    return f"/proc/self/fd/{folder}/{path.name}", folder


def ask(path: Path, request: Mapping[str, object], wait_s: float | None) -> Iterator[dict[str, Any]]:
    """The answers of the agent whose control socket is ``path``; none when no agent runs there.

    Raises:
        SetupError: it does not answer within ``wait_s`` (None: however long it takes).
    """
    if not path.exists():
        return
    address, folder = short(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            sock.settimeout(wait_s)
            sock.connect(address)
            sock.sendall(json.dumps(request).encode() + b"\n")
            with sock.makefile("rb") as answers:
                for answer in answers:
                    yield json.loads(answer)
        except TimeoutError:
            raise SetupError("the agent does not answer: it is busy; try again") from None
        except (ConnectionError, FileNotFoundError):
            return  # a socket that an agent left behind, or an agent that is just going
        finally:
            os.close(folder)
