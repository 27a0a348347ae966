"""The supervisor's side of the front: which workers it knows and which one each model's requests go to.

What is wanted is kept here, so that a front that died gets all of it again.
"""

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from dunlin_contract.limits import LIMITS
from fleet_agent import ipc
from fleet_agent.config.api import Api
from fleet_agent.supervisor.child import Child
from fleet_agent.supervisor.log import log
from fleet_agent.supervisor.loop import Loop, Timer

_RESTART_S = 1.0
_LONGEST_RESTART_S = 30.0
DRAIN_S = 10.0
_MOST = 1 << 48


@dataclass(frozen=True, slots=True)
class Listen:
    """Where apps reach the local API, an address and if wanted a Unix socket, and what it allows them."""

    host: str
    port: int
    socket: str | None
    api: Api = field(default_factory=Api)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A worker as the front must know it. ``connect`` makes a new data socket to the worker and returns our end.

    ``load_ms``, ``rss``: what loading took, for the front's statistics. ``labels``: a file with the names of the
    classes, which stays the caller's and open. ``way``: how it runs its release; requests are shared among workers that
    run it the same way.
    """

    number: int
    model: str
    version: str
    release: bytes
    io: dict[int, Any]
    runtime: str
    connect: Callable[[], socket.socket]
    load_ms: int = 0
    rss: int = 0
    labels: int | None = None
    way: str = ""


@dataclass(slots=True)
class Compared:
    """A worker on trial against the one that serves; the contract's telemetry.Comparison says what is counted."""

    pairs: int = 0
    agreed: int = 0
    errors: int = 0
    shed: int = 0
    latency_us: dict[int, int] = field(default_factory=dict)
    distance: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class Numbers:
    """Totals of one worker: answers, those of them that failed or were not finite, and a latency sketch.

    ``compared``: while it is on trial, or the release that a candidate on probation is compared with.
    """

    count: int = 0
    errors: int = 0
    nonfinite: int = 0
    sketch: dict[int, int] = field(default_factory=dict)
    compared: Compared | None = None


class Listener(Protocol):
    """Whom the front tells of workers, in the loop's thread."""

    def worker_numbers(self, number: int, numbers: Numbers) -> None:
        """New totals since the worker was attached."""

    def worker_lost(self, number: int) -> None:
        """The worker's data socket broke."""

    def worker_hung(self, number: int) -> None:
        """The worker took too long over a request: it will not answer any more."""

    def routed(self, model: str) -> None:
        """A worker of the model was attached, or requests go to another one: called soon after."""

    def worker_captured(self, number: int, length: int) -> None:
        """The front keeps a request of so many bytes (0: too many) that a candidate answered otherwise than worker."""

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
        self._trials: dict[int, tuple[str, int]] = {}
        self._batches: dict[int, int] = {}
        self._rooms: dict[str, int] = {}
        self._drains: dict[int, tuple[Callable[[], None], Timer]] = {}
        self._pause = _RESTART_S
        self._per_s: float | None = None
        self.port: int | None = None
        """The port that the local API really listens on, once it does."""

    def attach(self, attachment: Attachment) -> None:
        """Make a worker known."""
        self._attached[attachment.number] = attachment
        if self._child is None:
            self._start()
        else:
            self._send_attach(attachment)
        self._loop.post(partial(self._listener.routed, attachment.model))

    def batch(self, number: int, rows: int) -> None:
        """A worker was found to run up to ``rows`` rows together."""
        self._batches[number] = rows
        self._send({"do": "batch", "worker": number, "rows": rows})

    def route(self, model: str, number: int) -> None:
        """From now on requests for ``model`` go to that worker, which is attached."""
        self._routes[model] = number
        self._trials.pop(number, None)
        self._send({"do": "route", "model": model, "worker": number})
        self._loop.post(partial(self._listener.routed, model))

    def limit(self, per_s: float | None) -> None:
        """At most so many requests a second and model; None: as many as come."""
        self._per_s = per_s
        self._send({"do": "limit", "per_s": per_s})

    def try_beside(self, number: int, mode: str, share: int) -> None:
        """Run that worker, which is attached, beside the one that its model is routed to; see the contract's Trial.

        It ends when the model is routed to the worker, or the worker goes.
        """
        for other in [one for one in self._trials if self._attached[one].model == self._attached[number].model]:
            del self._trials[other]
        self._trials[number] = (mode, share)
        self._send({"do": "trial", "worker": number, "mode": mode, "share": share})

    def capture(self, model: str, room: int | None) -> None:
        """Keep requests that a candidate on trial answers otherwise, one at a time, in ``room``; None: keep none.

        The room stays the caller's, and open.
        """
        if room is not None:
            self._rooms[model] = room
            self._send({"do": "capture", "model": model}, [room])
        elif self._rooms.pop(model, None) is not None:
            self._send({"do": "capture", "model": model})

    def capture_again(self, model: str) -> None:
        """What the room held was taken."""
        if model in self._rooms:
            self._send({"do": "captured", "model": model})

    def unroute(self, model: str) -> None:
        """Let no request for ``model`` in."""
        if self._routes.pop(model, None) is not None:
            self._send({"do": "unroute", "model": model})

    def detach(self, number: int, drained: Callable[[], None]) -> None:
        """Let a worker finish what it has; ``drained`` is called when it has, or after DRAIN_S."""
        self._batches.pop(number, None)
        self._trials.pop(number, None)
        if self._attached.pop(number, None) is None or self._child is None:
            drained()
            return
        self._drains[number] = (drained, self._loop.after(DRAIN_S, lambda: self._drained(number)))
        self._send({"do": "detach", "worker": number})

    def forget(self, number: int) -> None:
        """A worker is dead. Its route stays for a while: requests wait there for the next one."""
        self._attached.pop(number, None)
        self._trials.pop(number, None)
        self._batches.pop(number, None)
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
        self._send(
            {
                "do": "listen",
                "host": listen.host,
                "port": listen.port,
                "socket": listen.socket,
                "token": listen.api.token_sha256,
                "shared_memory": listen.api.shared_memory,
                "limits": listen.api.limits,
            }
        )
        if self._per_s is not None:
            self._send({"do": "limit", "per_s": self._per_s})
        for attachment in self._attached.values():
            self._send_attach(attachment)
        for model, number in self._routes.items():
            if number in self._attached:
                self._send({"do": "route", "model": model, "worker": number})
        for number, (mode, share) in self._trials.items():
            self._send({"do": "trial", "worker": number, "mode": mode, "share": share})
        for model, room in self._rooms.items():
            self._send({"do": "capture", "model": model}, [room])

    def _send(self, body: dict[str, object], fds: Sequence[int] = ()) -> None:
        if self._child is not None:
            self._child.send(body, fds)

    def _send_attach(self, attachment: Attachment) -> None:
        body = {
            "do": "attach",
            "worker": attachment.number,
            "model": attachment.model,
            "version": attachment.version,
            "release": attachment.release,
            "io": attachment.io,
            "runtime": attachment.runtime,
            "load_ms": attachment.load_ms,
            "rss": attachment.rss,
            "way": attachment.way,
        }
        labels = [] if attachment.labels is None else [attachment.labels]
        with attachment.connect() as ours:
            if self._child is not None:
                self._child.send(body, [ours.fileno(), *labels])
        if attachment.number in self._batches:
            self._send({"do": "batch", "worker": attachment.number, "rows": self._batches[attachment.number]})

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
            case "captured":
                if int(body["worker"]) in self._attached:
                    self._listener.worker_captured(int(body["worker"]), int(body["bytes"]))
            case "hung":
                if int(body["worker"]) in self._attached:
                    self._listener.worker_hung(int(body["worker"]))
            case _:
                self._listener.worker_numbers(int(body["worker"]), _numbers(body))

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


def _numbers(body: Mapping[str, Any]) -> Numbers:
    """What the front counted; it reads what applications send, so its numbers are looked at like theirs.

    Raises:
        ValueError: one of them is no such number: what is told on the device and to the server could not be made of it.
    """
    said = body.get("compared")
    compared = None
    if said is not None:
        pairs, agreed, errors, shed = (_count(said[name]) for name in ("pairs", "agreed", "errors", "shed"))
        compared = Compared(pairs, agreed, errors, shed, _sketch(said["latency_us"]), _sketch(said["distance"]))
    count, errors, nonfinite = (_count(body[name]) for name in ("count", "errors", "nonfinite"))
    return Numbers(count, errors, nonfinite, _sketch(body["sketch"]), compared)


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value <= _MOST:
        raise ValueError("not a count")
    return value


def _sketch(value: object) -> dict[int, int]:
    if not isinstance(value, dict) or not all(type(key) is int and 0 <= key <= LIMITS.sketch_buckets for key in value):
        raise ValueError("not a sketch")
    return {bucket: _count(count) for bucket, count in value.items()}
