"""Binding the local API's two sockets: TCP, which is loopback without a token, and a Unix socket for its group."""

import errno
import ipaddress
import os
import socket
import stat
from pathlib import Path

_MODE_MASK = 0o117  # leaves rw-rw----


class ListenError(Exception):
    """The address cannot be had; ``code`` for the supervisor, the text says what to do."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def bind_tcp(host: str, port: int, *, wide: bool = False) -> socket.socket:
    """Bind a loopback address, or with ``wide`` any of this machine's; port 0 takes any free one.

    Raises:
        ListenError: not loopback, in use, or refused by the system.
    """
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise ListenError("bad-address", f"{host!r} is not an IP address; use 127.0.0.1 or ::1") from None
    if not address.is_loopback and not wide:
        text = (
            "is reachable from outside: give the local API a token ([api] token_file in agent.toml), or use 127.0.0.1"
        )
        raise ListenError("not-loopback", f"{host} {text}")
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    # The protocol is named, though there is only one: asyncio sets TCP_NODELAY where it sees it, and an answer in two
    # parts would otherwise wait 40 ms for the client's delayed acknowledgement.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((str(address), port))
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise ListenError("port-in-use", f"port {port} on {host} is in use; choose another for the agent") from None
        raise ListenError("bad-address", f"cannot listen on {host} port {port}: {error.strerror}") from None
    return sock


def bind_unix(path: str) -> socket.socket:
    """Bind ``path`` with mode 0660, in the place of a socket that a dead process left there.

    Raises:
        ListenError: another process listens there, or the path cannot be used.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(_MODE_MASK)
    try:
        _remove_stale(path)
        sock.bind(path)
    except OSError as error:
        sock.close()
        raise ListenError("bad-socket", f"cannot listen on {path}: {error.strerror or error}") from None
    except ListenError:
        sock.close()
        raise
    finally:
        os.umask(before)
    return sock


def _remove_stale(path: str) -> None:
    try:
        mode = Path(path).lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ListenError("socket-in-use", f"{path} is there and no socket; move it away or choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
            return
    raise ListenError("socket-in-use", f"another process listens on {path}; stop it or choose another path")
