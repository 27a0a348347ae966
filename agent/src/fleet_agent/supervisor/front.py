"""The supervisor's side of the front: which workers it knows and which one each model's requests go to.

What is wanted is kept here, so that a front that died gets all of it again.
"""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from fleet_agent import ipc
from fleet_agent.supervisor.child import Child
from fleet_agent.supervisor.log import log
from fleet_agent.supervisor.loop import Loop, Timer

_RESTART_S = 1.0
_LONGEST_RESTART_S = 30.0
DRAIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Listen:
    """Where apps reach the local API: a loopback address and, if wanted, a Unix socket."""

    host: str
    port: int
    socket: str | None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A worker as the front must know it. ``connect`` makes a new data socket to the worker and returns our end."""

    number: int
    model: str
    version: str
    release: bytes
    io: dict[int, Any]
    runtime: str
    connect: Callable[[], socket.socket]


@dataclass(slots=True)
class Numbers:
    """Totals of one worker: answers, those of them that failed or were not finite, and a latency sketch."""

    count: int = 0
    errors: int = 0
    nonfinite: int = 0
    sketch: dict[int, int] = field(default_factory=dict)


class Listener(Protocol):
    """Whom the front tells of workers, in the loop's thread."""

    def worker_numbers(self, number: int, numbers: Numbers) -> None:
        """New totals since the worker was attached."""

    def worker_lost(self, number: int) -> None:
        """The worker's data socket broke."""

    def front_failed(self, code: str, text: str) -> None:
        """The local API cannot be had."""


class Front:
    """Starts the front with the first worker and keeps it running."""

    def __init__(self, loop: Loop, listen: Listen, listener: Listener) -> None:
        self._loop = loop
        self._listen = listen
        self._listener = listener
        self._child: Child | None = None
        self._attached: dict[int, Attachment] = {}
        self._routes: dict[str, int] = {}
        self._drains: dict[int, tuple[Callable[[], None], Timer]] = {}
        self._pause = _RESTART_S
        self.port: int | None = None
        """The port that the local API really listens on, once it does."""

    def attach(self, attachment: Attachment) -> None:
        """Make a worker known."""
        self._attached[attachment.number] = attachment
        if self._child is None:
            self._start()
        else:
            self._send_attach(attachment)

    def route(self, model: str, number: int) -> None:
        """From now on requests for ``model`` go to that worker, which is attached."""
        self._routes[model] = number
        self._send({"do": "route", "model": model, "worker": number})

    def unroute(self, model: str) -> None:
        """Let no request for ``model`` in."""
        if self._routes.pop(model, None) is not None:
            self._send({"do": "unroute", "model": model})

    def detach(self, number: int, drained: Callable[[], None]) -> None:
        """Let a worker finish what it has; ``drained`` is called when it has, or after DRAIN_S."""
        if self._attached.pop(number, None) is None or self._child is None:
            drained()
            return
        self._drains[number] = (drained, self._loop.after(DRAIN_S, lambda: self._drained(number)))
        self._send({"do": "detach", "worker": number})

    def forget(self, number: int) -> None:
        """A worker is dead. Its route stays for a while: requests wait there for the next one."""
        self._attached.pop(number, None)
        self._drained(number)
        self._send({"do": "detach", "worker": number})

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            self._child.close()
            self._child = None

    def _start(self) -> None:
        self._child = Child(self._loop, "fleet_agent.front", self._received, self._ended)
        listen = self._listen
        self._send({"do": "listen", "host": listen.host, "port": listen.port, "socket": listen.socket})
        for attachment in self._attached.values():
            self._send_attach(attachment)
        for model, number in self._routes.items():
            if number in self._attached:
                self._send({"do": "route", "model": model, "worker": number})

    def _send(self, body: dict[str, object]) -> None:
        if self._child is not None:
            self._child.send(body)

    def _send_attach(self, attachment: Attachment) -> None:
        body = {
            "do": "attach",
            "worker": attachment.number,
            "model": attachment.model,
            "version": attachment.version,
            "release": attachment.release,
            "io": attachment.io,
            "runtime": attachment.runtime,
        }
        with attachment.connect() as ours:
            if self._child is not None:
                self._child.send(body, [ours.fileno()])

    def _received(self, message: ipc.Message) -> None:
        for fd in message.fds:
            os.close(fd)
        body = message.body
        match body.get("is"):
            case "listening":
                self.port = int(body["port"])
                self._pause = _RESTART_S
                log(f"the local API listens on {self._listen.host} port {self.port}")
            case "failed":
                self._listener.front_failed(str(body["code"]), str(body["text"]))
                self.close()
                self._again()
            case "drained":
                self._drained(int(body["worker"]))
            case "lost":
                if int(body["worker"]) in self._attached:
                    self._listener.worker_lost(int(body["worker"]))
            case _:
                sketch = {int(bucket): int(count) for bucket, count in body["sketch"].items()}
                numbers = Numbers(int(body["count"]), int(body["errors"]), int(body["nonfinite"]), sketch)
                self._listener.worker_numbers(int(body["worker"]), numbers)

    def _ended(self, why: str) -> None:
        self._child = None
        self._listener.front_failed("front", f"the front was {why}")
        for number in list(self._drains):
            self._drained(number)
        self._again()

    def _again(self) -> None:
        self.port = None
        self._loop.after(self._pause, self._restart)
        self._pause = min(_LONGEST_RESTART_S, self._pause * 2)

    def _restart(self) -> None:
        if self._child is None and self._attached:
            self._start()

    def _drained(self, number: int) -> None:
        drained, timer = self._drains.pop(number, (None, None))
        if drained is not None and timer is not None:
            timer.cancel()
            drained()
