"""How often each model may be asked while the device is hot."""

import math
import time
from collections.abc import Callable

from fleet_agent.front.errors import HttpError


class Rate:
    """A token bucket a model, of one second's requests and at least one; no limit until one is set."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._per_s: float | None = None
        self._buckets: dict[str, tuple[float, float]] = {}

    def limit(self, per_s: float | None) -> None:
        """At most so many requests a second and model from now on; None: as many as come."""
        self._per_s = per_s
        self._buckets.clear()

    def admit(self, model: str) -> None:
        """Count a request of that model, which this device serves.

        Raises:
            HttpError: 503, it is one too many; ``Retry-After`` says in how many seconds it is not.
        """
        if self._per_s is None:
            return
        now, most = self._clock(), max(1.0, self._per_s)
        tokens, at = self._buckets.get(model, (most, now))
        tokens = min(most, tokens + (now - at) * self._per_s)
        if tokens < 1:
            self._buckets[model] = (tokens, now)
            wait = math.ceil((1 - tokens) / self._per_s)
            text = f"this device is hot: each model answers {self._per_s:g} requests a second until it is cool again"
            raise HttpError(503, text, headers=b"retry-after: %d\r\n" % wait)
        self._buckets[model] = (tokens - 1, now)
