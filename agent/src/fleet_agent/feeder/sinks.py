"""Where results go: lines of a file, a topic of a broker, the fleet's server. The local API's stream has all anyway."""

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from dunlin_contract.errors import ContractError
from dunlin_contract.limits import LIMITS
from dunlin_contract.results import Result
from fleet_agent.config.sinks import Sink
from fleet_agent.feeder.calling import Answer
from fleet_agent.feeder.errors import LaterError, NeverError

_SYNC_S = 1.0
_SENT_S = 10.0
_MODE = 0o640

Keep = Callable[[Result, int], None]
"""Hands a result and its priority to the supervisor; returns when it is on the disk.

Raises LaterError or NeverError."""


class Open(Protocol):
    """A sink that is open."""

    def put(self, source: str, name: str, answer: Answer) -> None:
        """Take what a model said of the input ``name`` of ``source``. Raises LaterError or NeverError."""


def open_all(sinks: tuple[Sink, ...], keep: Keep) -> list[Open]:
    """The sinks of one source that have anything to do."""
    made: list[Open] = []
    for sink in sinks:
        match sink.kind:
            case "file":
                assert sink.path is not None
                made.append(FileSink(sink.path, sink.most_bytes))
            case "mqtt":
                made.append(MqttSink(sink.url, sink.topic))
            case "fleet":
                made.append(FleetSink(sink.priority, keep))
    return made


def as_json(source: str, name: str, answer: Answer) -> bytes:
    """A result as one line."""
    head: dict[str, Any] = {"time": round(time.time(), 3), "source": source, "input": name}
    head |= {"model": answer.model, "version": answer.version}
    return json.dumps(head | dict(answer.body), separators=(",", ":")).encode()


class FileSink:
    """JSON lines. Each is written at once and synced at most a second later: a power cut may cost the last second.

    When a line would make the file longer than its cap, the file becomes ``NAME.1``, in the place of an older one.
    """

    def __init__(self, path: Path, most_bytes: int, now: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._most = most_bytes
        self._now = now
        self._synced = now()

    def put(self, source: str, name: str, answer: Answer) -> None:
        """See :class:`Open`."""
        data = as_json(source, name, answer) + b"\n"
        if len(data) > self._most:
            raise NeverError(f"a result of {len(data)} bytes is longer than {self._path} may be")
        try:
            # Opened each time: whoever moves the file away, as logrotate does, gets a new one.
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _MODE)
            try:
                size = os.fstat(fd).st_size
                if size + len(data) <= self._most:
                    self._write(fd, size, data)
                    return
                os.fsync(fd)
            finally:
                os.close(fd)
            self._path.replace(self._path.with_name(self._path.name + ".1"))
        except OSError as error:
            raise LaterError(f"{self._path} takes no results: {error.strerror}") from None
        self.put(source, name, answer)

    def _write(self, fd: int, size: int, data: bytes) -> None:
        try:
            left = memoryview(data)
            while left:  # a full disk takes a part first
                left = left[os.write(fd, left) :]
            if self._now() - self._synced >= _SYNC_S:
                os.fsync(fd)
                self._synced = self._now()
        except OSError:
            # Half a line would spoil the next one.
            with suppress(OSError):
                os.ftruncate(fd, size)
            raise


class MqttSink:
    """JSON on a topic of a broker, QoS 1: taken when the broker has it."""

    def __init__(self, url: str, topic: str) -> None:
        from fleet_agent.feeder.network import Broker

        self._broker = Broker(url)
        self._topic = topic

    def put(self, source: str, name: str, answer: Answer) -> None:
        """See :class:`Open`."""
        if self._broker.why:
            raise LaterError(f"{self._broker.shown}: {self._broker.why}")
        sent = self._broker.client.publish(self._topic, as_json(source, name, answer), 1)
        with suppress(ValueError, RuntimeError):
            sent.wait_for_publish(_SENT_S)
            if sent.is_published():
                return
        raise LaterError(f"{self._broker.shown} does not take results on {self._topic}")


class FleetSink:
    """Kept by the supervisor until the fleet's server has it."""

    def __init__(self, priority: int, keep: Keep) -> None:
        self._priority = priority
        self._keep = keep

    def put(self, source: str, name: str, answer: Answer) -> None:  # noqa: ARG002 - names may be personal
        """See :class:`Open`."""
        try:
            result = Result(
                stream=bytes(16), n=1, time_s=0, uptime_s=0, kind="result", model=answer.model,
                release=answer.release, source=source, outputs=answer.tensors(),
            )  # fmt: skip
            size = len(result.to_bytes())
        except (ContractError, ValueError, TypeError) as error:
            raise NeverError(f"a result cannot be written down ({error})") from None
        if size > LIMITS.result_bytes:
            raise NeverError(f"a result of {size} bytes; the fleet takes {LIMITS.result_bytes}")
        self._keep(result, self._priority)
