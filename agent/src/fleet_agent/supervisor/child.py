"""A child process and its control socket: messages and the end are posted to the loop."""

import os
import select
import signal
import socket
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from fleet_agent import ipc
from fleet_agent.supervisor.loop import Loop

Receive = Callable[[ipc.Message], None]
"""Takes one message; the file descriptors in it are the receiver's to close."""
End = Callable[[str], None]
"""Takes why the process ended, in words."""

_LEAVE_MS = 1000
_DEAF_S = 5
"""How long the loop waits for a child that takes no messages."""


class Child:
    """One running ``python -m module``. Create and use it in the loop's thread: the kernel ties its life to that.

    One that could not be started (no memory, no more processes, no more descriptors) ends at once, and says why.
    ``pid`` is None then.
    """

    def __init__(self, loop: Loop, module: str, receive: Receive, end: End) -> None:
        self._loop = loop
        self._receive = receive
        self._end = end
        self._open = True
        self._gone: Callable[[], None] | None = None
        self._socket: socket.socket | None = None
        self._handle: int | None = None
        self.pid: int | None = None
        try:
            self._start(module)
        except (OSError, RuntimeError) as error:
            why = (error.strerror if isinstance(error, OSError) else None) or str(error)
            loop.post(partial(self._ended, f"not started ({why})"))

    def _start(self, module: str) -> None:
        """Raises OSError, or RuntimeError: no thread for it. Nothing runs then."""
        self._socket, theirs = ipc.pair()
        with theirs:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", _DEAF_S, 0))
            pid = ipc.spawn(module, theirs)
        try:
            # A pid may be another process's by the time it is signalled; this handle cannot.
            self._handle = handle = os.pidfd_open(pid)
            arguments = (self._socket, handle, pid)
            threading.Thread(target=self._listen, args=arguments, name=module.rpartition(".")[2], daemon=True).start()
        except (OSError, RuntimeError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        self.pid = pid

    def send(self, body: Mapping[str, object], fds: Sequence[int] = ()) -> None:
        """Send a message. To a child that has just died it goes nowhere: its end is about to be told.

        One that takes none any more is killed: the loop may not wait for what a child does, or does not.
        """
        if self._socket is None:
            return
        try:
            ipc.send(self._socket, body, fds)
        except BlockingIOError:
            self._kill()
        except OSError:
            return

    def close(self, gone: Callable[[], None] | None = None) -> None:
        """End it at once and hear no more of it; but ``gone`` is called when its memory is free."""
        if self._open:
            self._open = False
            self._gone = gone
            self._kill()
        elif gone is not None:
            gone()

    def _kill(self) -> None:
        if self._handle is None:
            return
        try:
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)
        except ProcessLookupError:
            return

    def _listen(self, control: socket.socket, handle: int, pid: int) -> None:
        try:
            while (message := ipc.recv(control)) is not None:
                self._loop.post(partial(self._received, message))
        except (ipc.IpcError, OSError):
            self._kill()
        # A child that closed its socket and lives on is of no use.
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        if not poll.poll(_LEAVE_MS):
            self._kill()
        _, status = os.waitpid(pid, 0)
        self._loop.post(partial(self._ended, _words(status)))

    def _received(self, message: ipc.Message) -> None:
        if self._open:
            self._receive(message)
        else:
            ipc.close_all(message.fds)

    def _ended(self, why: str) -> None:
        was_open, self._open = self._open, False
        if self._socket is not None:
            self._socket.close()
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        if was_open:
            self._end(why)
        elif self._gone is not None:
            self._gone()


def _words(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"exited with code {os.WEXITSTATUS(status)}"
