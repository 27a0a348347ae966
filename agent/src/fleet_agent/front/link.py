"""One worker as the front sees it: its data socket, the requests that wait for its answers, and its statistics."""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, cast

from dunlin_contract.sketch import Sketch
from fleet_agent import frames
from fleet_agent.frames import FRAME_BYTES, LENGTH, FrameError, Response, Status
from fleet_agent.front.errors import HttpError
from fleet_agent.front.limits import Limits

_CHECK_S = 1.0
_HUNG = 2  # answer times without any answer, with requests outstanding, after which a worker is given up


@dataclass(slots=True)
class Statistics:
    """Totals since the worker was attached. ``errors`` are the model's: failed runs and answers that never came."""

    count: int = 0
    errors: int = 0
    nonfinite: int = 0
    run_us: Sketch = field(default_factory=Sketch)

    def add(self, status: Status, run_us: int) -> None:
        """Count one answer; a request that the worker refused says nothing about its model."""
        if status is Status.REFUSED:
            return
        self.count += 1
        if status is Status.FAILED:
            self.errors += 1
            return
        self.nonfinite += status is Status.NONFINITE
        self.run_us.add(run_us)


class Caller(Protocol):
    """Who waits for a worker's answer; exactly one of these is called, once."""

    def answered(self, response: Response) -> None:
        """The worker's answer; its tensors are valid only during the call."""

    def lost(self) -> None:
        """The worker's socket broke first."""

    def overdue(self) -> None:
        """No answer came in time."""


class Link(asyncio.Protocol):
    """The data socket of one worker. Answers come in the order of the requests, and are matched by number."""

    def __init__(self, limits: Limits, on_change: Callable[[], None], on_lost: Callable[[], None]) -> None:
        self.statistics = Statistics()
        self.lost = False
        self._limits = limits
        self._on_change = on_change
        self._on_lost = on_lost
        self._numbers = itertools.count(1)
        self._waiting: dict[int, tuple[Caller, float]] = {}
        self._late: set[int] = set()
        self._heard = 0.0  # when the worker last answered, or was first asked after a rest
        self._buffer = bytearray()
        self._closing = False
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._transport = cast("asyncio.Transport", None)

    @property
    def idle(self) -> bool:
        """No request waits for an answer."""
        return not self._waiting

    def call(self, packed: bytes, caller: Caller) -> None:
        """Send a request (``frames.pack_tensors``); ``caller`` hears how it ends.

        Raises:
            HttpError: 503, the queue is full.
        """
        if len(self._waiting) + len(self._late) >= self._limits.queued_requests:
            raise HttpError(503, f"{self._limits.queued_requests} requests wait for this model already; try again")
        if not self._waiting and not self._late:
            self._heard = self._loop.time()
        number = next(self._numbers) & 0xFFFFFFFF
        self._waiting[number] = caller, self._loop.time() + self._limits.answer_s
        self._transport.write(frames.pack_request(number, packed))
        if self._timer is None:
            self._timer = self._loop.call_later(_CHECK_S, self._expire)

    def close(self) -> None:
        """Close on purpose; not reported as lost."""
        self._closing = True
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            if self._buffer:
                self._buffer += data
                if not _whole(self._buffer):
                    return
                data = bytes(self._buffer)
                self._buffer.clear()
            view = memoryview(data)
            while _whole(view):
                end = 4 + LENGTH.unpack_from(view)[0]
                self._answered(frames.parse_response(view[4:end]))
                view = view[end:]
            self._buffer += view
        except FrameError:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the reason changes nothing
        self.lost = True
        if self._timer:
            self._timer.cancel()
        waiting, self._waiting = self._waiting, {}
        if not self._closing:
            self._on_lost()
        for caller, _ in waiting.values():
            caller.lost()

    def _answered(self, response: Response) -> None:
        self._heard = self._loop.time()
        self._late.discard(response.id)
        waiting = self._waiting.pop(response.id, None)
        if waiting is None:
            return
        self.statistics.add(response.status, response.run_us)
        waiting[0].answered(response)
        self._on_change()

    def _expire(self) -> None:
        """Give up on what has waited too long. Its place in the queue stays taken until the worker answers."""
        self._timer = None
        now = self._loop.time()
        overdue = [number for number, (_, deadline) in self._waiting.items() if deadline <= now]
        for number in overdue:
            caller, _ = self._waiting.pop(number)
            self._late.add(number)
            self.statistics.add(Status.FAILED, 0)
            caller.overdue()
        if overdue:
            self._on_change()
        if not overdue and now >= self._heard + _HUNG * self._limits.answer_s:
            # It hangs in native code, and would for ever: as good as dead, so that the supervisor starts another.
            self._transport.abort()
        elif self._waiting or self._late:
            self._timer = self._loop.call_later(_CHECK_S, self._expire)


def _whole(data: bytearray | memoryview) -> bool:
    """``data`` begins with a whole frame."""
    if len(data) < 4:
        return False
    (length,) = LENGTH.unpack_from(data)
    if length > FRAME_BYTES:
        raise FrameError(f"a frame of {length} bytes")
    return len(data) >= 4 + int(length)
