"""Who is at the other end of a connection to the local API."""

import ipaddress
import socket
import struct
from functools import cached_property
from pathlib import Path

_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid
_ESTABLISHED = "01"


class Peer:
    """The client of one connection."""

    def __init__(self, sock: socket.socket | None, proc: Path = Path("/proc/net")) -> None:
        self._sock = sock
        self._proc = proc

    @property
    def unix(self) -> bool:
        """It came through the Unix socket, so the kernel let it: it is in the socket's group."""
        return self._sock is not None and self._sock.family == socket.AF_UNIX

    @cached_property
    def uid(self) -> int | None:
        """The user at the other end; None: unknown, or on another machine."""
        if self._sock is None:
            return None
        try:
            if self.unix:
                raw = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
                return int(_CREDENTIALS.unpack(raw)[1])
            return self._of_tcp(self._sock)
        except OSError:
            return None

    def _of_tcp(self, sock: socket.socket) -> int | None:
        """Both ends of a loopback connection are in this machine's table, each with its user."""
        theirs, ours = sock.getpeername()[:2], sock.getsockname()[:2]
        if not ipaddress.ip_address(theirs[0]).is_loopback:
            return None
        for name, mapped in (("tcp", False), ("tcp6", False), ("tcp6", True)):
            wanted = (_shown(*theirs, mapped=mapped), _shown(*ours, mapped=mapped))
            path = self._proc / name
            for line in path.read_text("ascii").splitlines()[1:] if path.exists() else ():
                fields = line.split()
                # A connection that was closed over there is listed with user 0: only a living one tells its user.
                if tuple(fields[1:3]) == wanted and fields[3] == _ESTABLISHED:
                    return int(fields[7])
        return None


def _shown(host: str, port: int, *, mapped: bool) -> str:
    """An address as /proc/net/tcp shows it: 32-bit words in this machine's order of bytes."""
    raw = ipaddress.ip_address(host).packed
    if mapped and len(raw) == 4:
        raw = bytes(10) + b"\xff\xff" + raw
    words = struct.unpack(f"={len(raw) // 4}I", raw)
    return "".join(f"{word:08X}" for word in words) + f":{port:04X}"
