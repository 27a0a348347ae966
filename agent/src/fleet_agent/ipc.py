"""Messages between the agent's processes: one CBOR map a packet on a SOCK_SEQPACKET pair, file descriptors beside it.

The kernel keeps packet boundaries, so a message is whole or absent; the end of the socket is the death of the peer.
A child inherits its end as file descriptor 3 and nothing else. The supervisor imports this module: keep it light.
"""

import array
import os
import resource
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from dunlin_contract import cbor
from dunlin_contract.errors import ContractError

CONTROL_FD = 3
MESSAGE_BYTES = 65_536
MESSAGE_FDS = 4

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
# The few variables that a C library or a runtime looks at; everything else of the supervisor's environment stays there.
_KEPT_ENVIRONMENT = ("LANG", "LC_ALL", "TZ", "PATH", "LD_LIBRARY_PATH")
_SET_ENVIRONMENT = {
    # onnxruntime's wheel otherwise reports to its maker from the moment of its import: a thread, a file, a connection.
    "ORT_DISABLE_TELEMETRY": "1",
    # numpy's linear algebra is not used: no threads for it.
    "OPENBLAS_NUM_THREADS": "1",
}


class IpcError(Exception):
    """The peer sent what is not a message; treat it as dead."""


class Message(NamedTuple):
    """One packet: its map, and the file descriptors that came with it (the receiver owns and closes them)."""

    body: dict[str, Any]
    fds: list[int]


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected control sockets, closed on exec."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(sock: socket.socket, message: Mapping[str, object], fds: Sequence[int] = ()) -> None:
    """Send one message; ``fds`` are duplicated into the receiver, the caller's stay open.

    Raises:
        OSError: the peer is gone (BrokenPipeError, ConnectionResetError) or a non-blocking socket is full.
        ValueError: the message is longer than MESSAGE_BYTES or carries more than MESSAGE_FDS descriptors.
    """
    data = cbor.encode(message)
    if len(data) > MESSAGE_BYTES or len(fds) > MESSAGE_FDS:
        raise ValueError(
            f"a message of {len(data)} bytes with {len(fds)} descriptors is too big for the control socket"
        )
    extra = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds).tobytes())] if fds else []
    sock.sendmsg([data], extra)


def recv(sock: socket.socket) -> Message | None:
    """Receive one message, or None when the peer has closed its end.

    Raises:
        IpcError: not a message (its descriptors are closed).
        BlockingIOError: nothing there, on a non-blocking socket.
    """
    space = socket.CMSG_SPACE(MESSAGE_FDS * 4)
    try:
        data, extra, flags, _ = sock.recvmsg(MESSAGE_BYTES, space, socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError:
        return None
    fds = array.array("i")
    for level, kind, value in extra:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(value[: len(value) - len(value) % 4])
    if not data and not fds:
        return None
    try:
        return Message(_body(data, flags), list(fds))
    except (IpcError, ContractError) as error:
        close_all(fds)
        raise IpcError(f"not a control message: {error}") from None


def _body(data: bytes, flags: int) -> dict[str, Any]:
    if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
        raise IpcError("it is too long")
    body = cbor.decode(data, MESSAGE_BYTES)
    if not isinstance(body, dict) or not all(isinstance(key, str) for key in body):
        raise IpcError("it is not a map of names")
    return body


def close_all(fds: Sequence[int]) -> None:
    """Close received descriptors."""
    for fd in fds:
        os.close(fd)


def environment() -> dict[str, str]:
    """What a child finds in its environment."""
    return {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ} | _SET_ENVIRONMENT


def spawn(module: str, control: socket.socket) -> int:
    """Start ``python -m module`` with ``control`` as its descriptor 3; returns the process id, to be waited for.

    Call it from a thread that lives as long as the supervisor: the kernel kills the child when that thread ends.
    Standard input is empty; output and error are the caller's. The caller closes its copy of ``control``.

    It has a session of its own: one in the session of the terminal that the supervisor was started from could type
    into that terminal (``ioctl`` TIOCSTI), as whoever sits at it.

    Raises:
        OSError: no memory, or no more processes.
    """
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, control.fileno(), CONTROL_FD),
        *((os.POSIX_SPAWN_CLOSE, fd) for fd in _inheritable() if fd > CONTROL_FD),
    ]
    # -I: neither the working directory nor the environment may put modules into the child.
    arguments = [sys.executable, "-I", "-m", module]
    return os.posix_spawn(sys.executable, arguments, environment(), file_actions=actions, setsigmask=(), setsid=True)


def _inheritable() -> list[int]:
    """What whoever started the supervisor left open: Python's own descriptors stay with it anyway."""
    found = []
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names are numbers here
        with suppress(OSError):
            if os.get_inheritable(int(name)):
                found.append(int(name))
    return found


def enter_child() -> socket.socket:
    """What a child does first; returns its control socket.

    It dies with its parent, cannot gain privileges, leaves no core dump (it may hold a plaintext model) and is not
    readable by other processes of the same user. Ctrl-C in a terminal is the supervisor's to act on.
    """
    import ctypes

    control = socket.socket(fileno=CONTROL_FD)
    control.set_inheritable(False)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return control
