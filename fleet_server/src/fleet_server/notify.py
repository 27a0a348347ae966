"""Who wants to know that something changed: worker threads publish small topics, asyncio tasks wait for them.

Topics are short texts such as `device:cam-1`, `rollout:3`, `release:<digest>`, `wipe:<id>`, `fleet`. They carry no
data: a subscriber reads the database again. A slow subscriber loses nothing it needs, because its pending topics are a
set. A topic with a listener is the server's own business and goes to nobody else.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator

MAX_PENDING = 1000  # more different topics than this become the one topic "fleet"


class Subscription:
    """One subscriber's pending topics. Made by `Notifier.subscribe`, read by one asyncio task."""

    def __init__(self, prefixes: tuple[str, ...]) -> None:
        self._prefixes = prefixes
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._lock = threading.Lock()
        self._pending: set[str] = set()
        self._closed = False

    async def next(self, timeout_s: float | None = None) -> set[str]:
        """Wait for changes and return their topics; an empty set after `timeout_s` of silence or once closed."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), timeout_s)
        with self._lock:
            topics, self._pending = self._pending, set()
            if not self._closed:
                self._wake.clear()
        return topics

    @property
    def closed(self) -> bool:
        """Whether the server is shutting down: stop reading."""
        return self._closed

    def _offer(self, topic: str) -> None:
        if self._prefixes and not topic.startswith(self._prefixes) and topic != "fleet":
            return
        with self._lock:
            self._pending.add(topic)
            if len(self._pending) > MAX_PENDING:
                self._pending = {"fleet"}
        self._signal()

    def _close(self) -> None:
        self._closed = True
        self._signal()

    def _signal(self) -> None:
        with contextlib.suppress(RuntimeError):  # the subscriber's loop is already closed
            self._loop.call_soon_threadsafe(self._wake.set)


class Notifier:
    """Fans topics out to subscribers. `publish` may be called from any thread and never blocks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscriptions: set[Subscription] = set()
        self._listeners: dict[str, Callable[[], None]] = {}

    def listen(self, topic: str, callback: Callable[[], None]) -> None:
        """Call `callback` (which must not block) on each publication of exactly `topic`; one a topic."""
        with self._lock:
            self._listeners[topic] = callback

    def publish(self, topic: str) -> None:
        """Tell every subscriber whose prefixes match."""
        with self._lock:
            listener = self._listeners.get(topic)
            subscriptions = list(self._subscriptions)
        if listener is not None:
            listener()
            return
        for subscription in subscriptions:
            subscription._offer(topic)

    @contextlib.contextmanager
    def subscribe(self, *prefixes: str) -> Iterator[Subscription]:
        """Subscribe the running asyncio task to topics that start with one of `prefixes` (none: to all)."""
        subscription = Subscription(prefixes)
        with self._lock:
            self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            with self._lock:
                self._subscriptions.discard(subscription)

    def close(self) -> None:
        """Wake every subscriber for the last time, so that open event streams end with the server."""
        with self._lock:
            subscriptions = list(self._subscriptions)
        for subscription in subscriptions:
            subscription._close()
