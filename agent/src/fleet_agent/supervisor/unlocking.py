"""The supervisor's side of the unlocker: requests queue up, one process answers them and leaves when idle."""

import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fleet_agent import ipc
from fleet_agent.paths import Paths
from fleet_agent.supervisor.child import Child
from fleet_agent.supervisor.loop import Loop, Timer
from fleet_agent.supervisor.memory import give_back

IDLE_S = 3.0
_TRIES = 2


@dataclass(slots=True)
class Answer:
    """``refused``: a rule of the contract, ``code``, says no; else, if not ``ok``, the device failed."""

    ok: bool
    refused: bool = False
    code: str = ""
    text: str = ""
    body: dict[str, object] = field(default_factory=dict)
    fds: list[int] = field(default_factory=list)

    def blob(self) -> bytes:
        """The memory file that came with it, as bytes."""
        fd = self.fds[0]
        return os.pread(fd, os.fstat(fd).st_size, 0)

    def take_fd(self) -> int:
        """The memory file that came with it, now the caller's to close."""
        return self.fds.pop(0)


Done = Callable[[Answer], None]


@dataclass(slots=True)
class _Request:
    body: dict[str, object]
    fds: list[int]
    done: Done
    tries: int = 0


def blob(data: bytes) -> int:
    """A memory file that holds ``data``."""
    fd = os.memfd_create("request", os.MFD_CLOEXEC)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    return fd


class Unlocker:
    """Asks the unlocker, starting it when there is something to ask."""

    def __init__(self, loop: Loop, paths: Paths) -> None:
        self._loop = loop
        self._paths = paths
        self._waiting: deque[_Request] = deque()
        self._current: _Request | None = None
        self._child: Child | None = None
        self._idle: Timer | None = None

    def ask(self, body: dict[str, object], done: Done, *, data: bytes | None = None, fds: Sequence[int] = ()) -> None:
        """Queue a request. ``data`` travels as a memory file; ``fds`` are closed here once it is answered."""
        files = [*([blob(data)] if data is not None else []), *fds]
        self._waiting.append(_Request(body, files, done))
        self._next()

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            self._child.close()
            self._child = None

    def _next(self) -> None:
        if self._current is not None or not self._waiting:
            return
        if self._idle is not None:
            self._idle.cancel()
        if self._child is None:
            self._child = Child(self._loop, "fleet_agent.unlocker", self._answered, self._ended)
            self._child.send({"state": str(self._paths.base.absolute())})
        self._current = self._waiting.popleft()
        self._current.tries += 1
        self._child.send(self._current.body, self._current.fds)

    def _answered(self, message: ipc.Message) -> None:
        kind, body = message.body.get("is"), message.body
        code, text = str(body.get("code", "")), str(body.get("text", ""))
        self._finish(Answer(kind == "done", kind == "refused", code, text, body, message.fds))

    def _ended(self, why: str) -> None:
        self._child = None
        request = self._current
        if request is None:
            return
        self._current = None
        if request.tries < _TRIES:
            self._waiting.appendleft(request)
            self._next()
        else:
            self._current = request
            self._finish(Answer(ok=False, code="unlocker", text=f"the unlocker was {why}"))

    def _finish(self, answer: Answer) -> None:
        request, self._current = self._current, None
        if request is not None:
            ipc.close_all(request.fds)
            try:
                request.done(answer)
            finally:
                ipc.close_all(answer.fds)
                self._idle = self._loop.after(IDLE_S, self._rest)
                self._next()

    def _rest(self) -> None:
        if self._current is None and not self._waiting:
            self.close()
            # What the unlocker was needed for is done: a good moment to become small again.
            give_back()
