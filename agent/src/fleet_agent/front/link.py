"""One worker as the front sees it: its data socket, the requests that wait for its answers, and its statistics."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, count, islice
from typing import Protocol, cast

from fleet_agent import frames
from fleet_agent.frames import FRAME_BYTES, LENGTH, FrameError, Response, Status
from fleet_agent.front.errors import HttpError
from fleet_agent.front.limits import Limits
from fleet_agent.front.reading import Reading
from fleet_agent.front.statistics import Statistics

_CHECK_S = 1.0
_LATE_S = 0.001  # the least time that a request may give its answer: none could come in less


class Caller(Protocol):
    """Who waits for a worker's answer; exactly one of these is called, once."""

    def answered(self, response: Response) -> None:
        """The worker's answer; its tensors are valid only during the call."""

    def lost(self) -> None:
        """The worker's socket broke first."""

    def overdue(self, *, running: bool) -> None:
        """No answer came in time; ``running``: it was this request's turn, else others were before it."""


@dataclass(slots=True)
class _Waiting:
    """A request of ``size`` bytes that was sent; ``timer``: it gave its answer less time than others have."""

    caller: Caller
    size: int
    deadline: float
    timer: asyncio.TimerHandle | None

    def stop(self) -> Caller:
        if self.timer is not None:
            self.timer.cancel()
        return self.caller


class Link(Reading):
    """The data socket of one worker. Answers come in the order of the requests, and are matched by number."""

    def __init__(
        self,
        limits: Limits,
        on_change: Callable[[], None],
        on_lost: Callable[[], None],
        on_hung: Callable[[], None] = lambda: None,
    ) -> None:
        self.statistics = Statistics()
        self.lost = False
        self._limits = limits
        self._on_change = on_change
        self._on_lost = on_lost
        self._on_hung = on_hung
        self._numbers = count(1)
        self._waiting: dict[int, _Waiting] = {}
        self._late: dict[int, int] = {}  # given up, but still the worker's to answer, and their sizes
        self._unanswered_bytes = 0
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

    @property
    def outstanding(self) -> int:
        """Requests that the worker still has to answer, also those that nobody waits for any more."""
        return len(self._waiting) + len(self._late)

    def call(self, packed: bytes, caller: Caller, timeout_s: float | None = None) -> None:
        """Send a request (``frames.pack_tensors``, ``pack_image``); ``caller`` hears how it ends.

        ``timeout_s``: less than what all requests have to be answered in.

        Raises:
            HttpError: 503, the queue is full. Its bytes count until the worker answers: who sent them may be long gone.
        """
        outstanding = len(self._waiting) + len(self._late)
        if outstanding >= self._limits.queued_requests:
            raise HttpError(503, f"{self._limits.queued_requests} requests wait for this model already; try again")
        if outstanding and self._unanswered_bytes + len(packed) > self._limits.held_bytes:
            raise HttpError(503, "too many large requests wait for this model already; try again")
        now = self._loop.time()
        if not outstanding:
            self._heard = now
        number = next(self._numbers) & 0xFFFFFFFF
        timer = None
        if timeout_s is not None and timeout_s < self._limits.answer_s:
            timer = self._loop.call_later(max(_LATE_S, timeout_s), self._give_up, number)
        self._waiting[number] = _Waiting(caller, len(packed), now + self._limits.answer_s, timer)
        self._unanswered_bytes += len(packed)
        self._transport.write(frames.pack_request(number, packed))
        if self._timer is None:
            self._timer = self._loop.call_later(min(_CHECK_S, self._limits.answer_s), self._expire)

    def close(self) -> None:
        """Close on purpose; not reported as lost."""
        self._closing = True
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: memoryview) -> None:
        try:
            if self._buffer:
                self._buffer += data
                if not _whole(self._buffer):
                    return
                view = memoryview(bytes(self._buffer))
                self._buffer.clear()
            else:
                # A copy: who waits for the answer may keep parts of it.
                view = memoryview(bytes(data))
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
        for request in waiting.values():
            request.stop().lost()

    def _answered(self, response: Response) -> None:
        self._heard = self._loop.time()
        waiting = self._waiting.pop(response.id, None)
        size = waiting.size if waiting is not None else self._late.pop(response.id, None)
        if size is not None:
            self._unanswered_bytes -= size
            self.statistics.add(response.status, response.run_us)
        if waiting is not None:
            waiting.stop().answered(response)
        self._on_change()

    def _give_up(self, number: int, *, hung: bool = False) -> None:
        """Its time is over. Its place in the queue stays taken until the worker answers.

        The model is at fault only when it hangs: an app in a hurry must not make a release fail its probation.
        """
        running = number == self._first
        waiting = self._waiting.pop(number)
        self._late[number] = waiting.size
        if running and hung:
            self.statistics.add(Status.FAILED, 0)
        waiting.stop().overdue(running=running)
        self._on_change()

    @property
    def _first(self) -> int:
        """The request whose turn it is. Those that wait stand in their order, those given up in that of their times."""
        return min(chain(islice(self._waiting, 1), self._late))

    def _expire(self) -> None:
        """Give up on what has waited too long for its turn, and on a worker that has taken too long over one."""
        self._timer = None
        now = self._loop.time()
        hung = self.outstanding > 0 and now >= self._heard + self._limits.answer_s
        for number in [number for number, waiting in self._waiting.items() if waiting.deadline <= now]:
            if hung or number != self._first:
                self._give_up(number, hung=hung)
        if hung:
            # It may hang in native code for ever: as good as dead, so that the supervisor starts another.
            self._on_hung()
            self._transport.abort()
        elif self.outstanding:
            self._timer = self._loop.call_later(min(_CHECK_S, self._limits.answer_s), self._expire)


def _whole(data: bytearray | memoryview) -> bool:
    """``data`` begins with a whole frame."""
    if len(data) < 4:
        return False
    (length,) = LENGTH.unpack_from(data)
    if length > FRAME_BYTES:
        raise FrameError(f"a frame of {length} bytes")
    return len(data) >= 4 + int(length)
