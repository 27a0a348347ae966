"""Byte pipes between a board made of Python and its gateway: a TCP port or a pseudo-terminal."""

import contextlib
import os
import pty
import select
import socket
import time
import tty
from typing import Protocol


class Pipe(Protocol):
    """A byte pipe to the gateway."""

    name: str
    """What the gateway is given as ``--line``."""

    def read(self, seconds: float) -> bytes:
        """What comes within some time, empty if nothing does."""

    def write(self, data: bytes) -> None:
        """Send, or lose it when nobody is there."""

    def close(self) -> None:
        """End it."""


class Socket:
    """A listening TCP port; one gateway at a time."""

    def __init__(self, port: int = 0) -> None:
        self._listener: socket.socket | None = socket.create_server(("127.0.0.1", port))
        self.port = int(self._listener.getsockname()[1])
        self.name = f"socket://127.0.0.1:{self.port}"
        self.plugged = True
        """Whether there is a cable."""
        self._peer: socket.socket | None = None

    def read(self, seconds: float) -> bytes:
        if self.plugged and self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port))
        elif not self.plugged:
            self.close()
            time.sleep(seconds)
            return b""
        waiting = self._peer or self._listener
        assert waiting is not None
        with contextlib.suppress(OSError, ValueError):
            if not select.select([waiting], [], [], seconds)[0]:
                return b""
            if self._peer is None:
                assert self._listener is not None
                self._peer, _ = self._listener.accept()
                self._peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return b""
            data = self._peer.recv(65536)
            if data:
                return data
        self._hang_up()
        return b""

    def write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            if self._peer is not None:
                self._peer.sendall(data)

    def _hang_up(self) -> None:
        if self._peer is not None:
            self._peer.close()
        self._peer = None

    def close(self) -> None:
        self._hang_up()
        if self._listener is not None:
            self._listener.close()
        self._listener = None


class Terminal:
    """A pseudo-terminal: to the gateway a serial device."""

    def __init__(self) -> None:
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.name = os.ttyname(self._slave)

    def read(self, seconds: float) -> bytes:
        with contextlib.suppress(OSError):
            if select.select([self._master], [], [], seconds)[0]:
                return os.read(self._master, 65536)
        return b""

    def write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            while data:
                data = data[os.write(self._master, data) :]

    def close(self) -> None:
        os.close(self._slave)
        os.close(self._master)
