"""The control socket in the state folder: whoever may open it reads the agent's status as one JSON object."""

import json
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from fleet_agent.supervisor.loop import Loop

_WAIT_S = 10.0


def short(path: Path) -> tuple[str, int]:
    """A path to ``path`` that fits into a socket address (108 bytes), and the descriptor that keeps it valid."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    return f"/proc/self/fd/{folder}/{path.name}", folder


class Control:
    """Answers each connection with the status and closes it."""

    def __init__(self, loop: Loop, path: Path, status: Callable[[], dict[str, object]]) -> None:
        self._loop = loop
        self._status = status
        self._path = path
        path.unlink(missing_ok=True)
        address, folder = short(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            self._socket.bind(address)
        finally:
            os.umask(before)
            os.close(folder)
        self._socket.listen(4)
        threading.Thread(target=self._serve, name="control", daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.settimeout(_WAIT_S)
                connection.sendall(self._ask())

    def _ask(self) -> bytes:
        """The status, put together by the loop's thread."""
        answer: list[dict[str, object]] = []
        ready = threading.Event()

        def fill() -> None:
            try:
                answer.append(self._status())
            finally:
                ready.set()

        self._loop.post(fill)
        ready.wait(_WAIT_S)
        return json.dumps(answer[0] if answer else {"error": "the agent is busy"}).encode()
