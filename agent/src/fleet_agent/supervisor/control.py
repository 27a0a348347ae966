"""The control socket in the state folder: whoever may open it asks the running agent, in JSON, one object a line.

A caller sends one request, ``{"do": "status"}``, and reads answers until the socket ends.
"""

import json
import os
import queue
import select
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from fleet_agent.control import short
from fleet_agent.supervisor.loop import Loop

REQUEST_BYTES = 4096
CALLERS = 8

_WAIT_S = 10.0
_LOOK_S = 0.1


class Caller:
    """Whoever is connected, from the loop's side. ``hung_up`` is called when the caller left before the end."""

    def __init__(self) -> None:
        self.answers: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.hung_up: Callable[[], object] | None = None

    def say(self, message: Mapping[str, object]) -> None:
        """Send one answer."""
        self.answers.put(json.dumps(message).encode() + b"\n")

    def end(self) -> None:
        """That was the last one."""
        self.answers.put(None)

    def left(self) -> None:
        """The caller hung up."""
        if self.hung_up is not None:
            self.hung_up()


Serve = Callable[[dict[str, object], Caller], None]
"""Takes a request, in the loop's thread, and answers now or later."""


class Control:
    """Hands each connection's request to whoever serves what it wants done."""

    def __init__(self, loop: Loop, path: Path, served: Mapping[str, Serve]) -> None:
        self._loop = loop
        self._served = served
        self._path = path
        self._room = threading.BoundedSemaphore(CALLERS)
        path.unlink(missing_ok=True)
        address, folder = short(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            self._socket.bind(address)
        finally:
            os.umask(before)
            os.close(folder)
        self._socket.listen(2 * CALLERS)
        threading.Thread(target=self._accept, name="control", daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            if self._room.acquire(blocking=False):
                threading.Thread(target=self._talk, args=(connection,), name="caller", daemon=True).start()
            else:
                connection.close()

    def _talk(self, connection: socket.socket) -> None:
        caller = Caller()
        try:
            with connection:
                connection.settimeout(_WAIT_S)
                request = _read(connection)
                self._loop.post(partial(self._serve, request, caller))
                while (answer := _next(connection, caller)) is not None:
                    connection.sendall(answer)
        except OSError:
            self._loop.post(caller.left)
        finally:
            self._room.release()

    def _serve(self, request: dict[str, object], caller: Caller) -> None:
        serve = self._served.get(str(request.get("do")))
        if serve is None:
            caller.say({"error": "the agent that runs does not know this request: is it of another version?"})
            caller.end()
            return
        try:
            serve(request, caller)
        except Exception:
            caller.say({"error": "the agent failed: its log says where"})
            caller.end()
            raise


def _read(connection: socket.socket) -> dict[str, object]:
    """The caller's one line; what is not a request asks for nothing that is known."""
    data = b""
    while b"\n" not in data and len(data) < REQUEST_BYTES:
        part = connection.recv(REQUEST_BYTES - len(data))
        if not part:
            break
        data += part
    with suppress(ValueError, RecursionError):
        request = json.loads(data)
        if isinstance(request, dict):
            return request
    return {}


def _next(connection: socket.socket, caller: Caller) -> bytes | None:
    """The next answer, None after the last. Raises OSError: the caller hung up."""
    while True:
        try:
            return caller.answers.get(timeout=_LOOK_S)
        except queue.Empty:
            poll = select.poll()
            poll.register(connection, select.POLLRDHUP)
            if poll.poll(0):
                raise ConnectionResetError("the caller hung up") from None
