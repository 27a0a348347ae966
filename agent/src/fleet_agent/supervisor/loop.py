"""One thread decides: calls posted by other threads and timers run one after the other."""

import heapq
import itertools
import queue
import time
from collections.abc import Callable

from fleet_agent.supervisor.log import log_failure


class Timer:
    """A call that is due later; :meth:`cancel` it when it is no longer wanted."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[[], object]) -> None:
        self._call: Callable[[], object] | None = call

    def cancel(self) -> None:
        """Do not call."""
        self._call = None

    def fire(self) -> None:
        """Call, unless cancelled, once."""
        call, self._call = self._call, None
        if call is not None:
            call()


class Loop:
    """The inbox and the timers. ``run`` belongs to the main thread, ``post`` to any."""

    def __init__(self) -> None:
        self._inbox: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._running = True

    def post(self, call: Callable[[], object]) -> None:
        """Run ``call`` in the loop's thread, after what was posted before."""
        self._inbox.put(call)

    def after(self, seconds: float, call: Callable[[], object]) -> Timer:
        """Run ``call`` in the loop's thread in ``seconds``. Only from the loop's thread."""
        timer = Timer(call)
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), timer))
        return timer

    def stop(self) -> None:
        """Leave ``run`` after what was posted before. From any thread, also a signal handler."""
        self._inbox.put(None)

    def run(self) -> None:
        """Run until stopped. A call that fails is logged; the next one runs: one bad message must not end serving."""
        while self._running:
            call = self._next()
            if call is None:
                return
            try:
                call()
            except Exception as error:  # noqa: BLE001 - see above
                log_failure(error)

    def _next(self) -> Callable[[], object] | None:
        while True:
            now = time.monotonic()
            if self._timers and self._timers[0][0] <= now:
                return heapq.heappop(self._timers)[2].fire
            # A cap, since a signal does not wake a queue that waits without a time-out.
            wait = min(self._timers[0][0] - now, 60.0) if self._timers else 60.0
            try:
                return self._inbox.get(timeout=wait)
            except queue.Empty:
                continue
