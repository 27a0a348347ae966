"""Telling systemd that the agent is ready and its loop alive: datagrams to a socket that the environment names.

Source: sd_notify(3) and sd_watchdog_enabled(3). Without such a socket nothing is sent.
"""

import os
import socket
from contextlib import suppress

from fleet_agent.supervisor.loop import Loop


class Notify:
    """The service manager that started this process, if one did."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        self._pause_s = _watchdog_s() / 2

    def ready(self, status: str) -> None:
        """The agent serves, or will without anybody's help; from now on the loop proves that it runs."""
        self._send(f"READY=1\nSTATUS={status}")
        if self._pause_s:
            self._alive()

    def stopping(self) -> None:
        """What takes time now is the end."""
        self._send("STOPPING=1")

    def _alive(self) -> None:
        self._send("WATCHDOG=1")
        self._loop.after(self._pause_s, self._alive)

    def _send(self, text: str) -> None:
        if not self._address.startswith(("/", "@")):
            return
        # "@" stands for the zero byte of an abstract address. systemd going away is no reason to stop serving.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.setblocking(False)
            sock.sendto(text.encode(), self._address.replace("@", "\0", 1))


def _watchdog_s() -> float:
    """How long the manager waits for a sign of life of this very process; 0: it does not."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    wait = os.environ.get("WATCHDOG_USEC", "")
    return int(wait) / 1e6 if wait.isascii() and wait.isdecimal() else 0.0
