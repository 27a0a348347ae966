"""One serial line, in a thread of its own: opened again whenever it went, read and written without ever waiting for it.

pyserial opens and sets up the device; reading and writing go straight to its file descriptor, so that one thread does
both and neither a slow line nor a babbling one holds up the supervisor.
"""

import errno
import os
import select
import socket
import termios
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from dunlin_contract import link
from dunlin_contract.console import UsageError

BAUD = 115_200
OUT_BYTES = 16_384
"""Frames that wait for a slow line. What does not fit is dropped, as a line may drop it: the child asks again."""

_READ_BYTES = 4096
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 5.0
_QUIET_S = 1.0
_KNOWN = {
    errno.EACCES: "permission denied: add this user to the device's group (often dialout)",
    errno.EAGAIN: "another program uses it",
    errno.ENOENT: "it is not there: plug it in",
    errno.EIO: "it was unplugged",
    errno.ENOTTY: "it is no serial line: name another --line",
    errno.EISDIR: "it is no serial line: name another --line",
    errno.ECONNREFUSED: "nobody listens there: start the port server",
}
_TCP = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)


@dataclass(frozen=True, slots=True)
class Where:
    """A line: a device file, or ``socket://host:port`` (a serial port server in raw mode), and its speed."""

    device: str
    baud: int = BAUD


def parse(text: str) -> Where:
    """Read ``DEVICE[@BAUD]``. Raises UsageError."""
    device, at, baud = text.rpartition("@")
    if not at or not (baud.isascii() and baud.isdecimal()):
        device, baud = text, str(BAUD)
    if device.startswith("socket://"):
        with suppress(ValueError):
            parts = urlsplit(device)
            if parts.hostname and parts.port and not parts.path.strip("/") and not parts.query:
                return Where(device, int(baud))
    elif device.startswith("/") and 0 < int(baud) <= 12_000_000:
        return Where(device, int(baud))
    raise UsageError(f"--line {text}: write DEVICE[@BAUD], such as /dev/ttyACM0@115200, or socket://HOST:PORT")


class Port:
    """Keeps one line open. ``heard`` and ``changed`` are called in the port's thread.

    After ``heard`` nothing more is read until :meth:`go_on`: whoever takes the frames sets the pace.
    """

    def __init__(
        self, where: Where, heard: Callable[[list[bytes]], object], changed: Callable[[bool, str], object]
    ) -> None:
        self._where = where
        self._heard = heard
        self._changed = changed
        self._lock = threading.Lock()
        self._out = bytearray()
        self._wrote = 0.0
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._stopping = False
        self._busy = False
        self._why = ""
        self._thread = threading.Thread(target=self._run, name=f"line {where.device}", daemon=True)
        self.errors = 0
        """Frames that did not decode."""
        self.dropped = 0
        """Frames that a slow line had no room for."""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Close the line and end the thread."""
        self._stopping = True
        os.eventfd_write(self._wake, 1)
        self._thread.join(5)
        if not self._thread.is_alive():
            os.close(self._wake)

    def send(self, bodies: Sequence[bytes]) -> None:
        """Queue frames. From any thread; never waits."""
        with self._lock:
            quiet = not self._out and time.monotonic() - self._wrote > _QUIET_S
            for body in bodies:
                # After a silence the other side may hold a piece of noise: an empty frame ends it.
                frame = b"\0" * quiet + link.encode(body)
                quiet = False
                if len(self._out) + len(frame) > OUT_BYTES:
                    self.dropped += 1
                else:
                    self._out += frame
        os.eventfd_write(self._wake, 1)

    def go_on(self) -> None:
        """What was heard is done with."""
        self._busy = False
        os.eventfd_write(self._wake, 1)

    def _run(self) -> None:
        import serial

        pause = _FIRST_PAUSE_S
        while not self._stopping:
            try:
                # Exclusive, so that two programs do not share the bytes of one board.
                device = serial.serial_for_url(self._where.device, baudrate=self._where.baud, exclusive=True)
            except (OSError, ValueError, termios.error) as error:
                self._tell(False, _reason(error))
                self._sleep(pause)
                pause = min(_LONGEST_PAUSE_S, pause * 2)
                continue
            pause = _FIRST_PAUSE_S
            self._tell(True, "")
            try:
                if self._where.device.startswith("socket:"):
                    _tune(device.fileno())
                why = self._serve(device.fileno())
            except OSError as error:
                why = _reason(error)
            with suppress(OSError, termios.error):
                device.close()
            self._tell(False, why)
            self._sleep(pause)

    def _serve(self, fd: int) -> str:
        """Carry bytes until the line goes; returns why."""
        decoder, before = link.Decoder(), self.errors
        with self._lock:
            self._out.clear()
        self._busy = False
        while not self._stopping:
            poll = select.poll()
            poll.register(self._wake, select.POLLIN)
            flags = (0 if self._busy else select.POLLIN) | (select.POLLOUT if self._out else 0)
            if flags:
                poll.register(fd, flags)
            ready = dict(poll.poll())
            if self._wake in ready:
                os.eventfd_read(self._wake)
            if ready.get(fd, 0) & ~select.POLLOUT:
                with suppress(BlockingIOError):
                    data = os.read(fd, _READ_BYTES)
                    if not data:
                        return "it was unplugged, or the other side closed it"
                    bodies = decoder.feed(data)
                    self.errors = before + decoder.errors
                    if bodies:
                        self._busy = True
                        self._heard(bodies)
            if ready.get(fd, 0) & select.POLLOUT:
                self._write(fd)
        return ""

    def _write(self, fd: int) -> None:
        with self._lock, suppress(BlockingIOError):
            written = os.write(fd, self._out)
            del self._out[:written]
            self._wrote = time.monotonic()

    def _tell(self, there: bool, why: str) -> None:
        if there or why != self._why:
            self._changed(there, why)
        self._why = why

    def _sleep(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        while not self._stopping and (rest := deadline - time.monotonic()) > 0:
            poll.poll(rest * 1000)
            with suppress(BlockingIOError):
                os.eventfd_read(self._wake)


def _reason(error: Exception) -> str:
    """Why a line cannot be used, and what to do about it."""
    number = getattr(error, "errno", None)
    if number is not None:
        return _KNOWN.get(number) or os.strerror(number)
    # pyserial puts the system's error into a sentence of its own.
    known = _KNOWN.get(next(iter(getattr(error.__context__, "args", ())), 0))
    return known or str(error).rpartition("] ")[2].rstrip(")")


def _tune(fd: int) -> None:
    """A line over TCP: no waiting to fill packets, and a server that vanished is noticed in silence too."""
    sock = socket.socket(fileno=os.dup(fd))
    with sock:
        for level, option, value in _TCP:
            sock.setsockopt(level, option, value)
