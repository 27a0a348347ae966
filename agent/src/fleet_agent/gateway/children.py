"""The children that the server keeps behind this gateway: their directives, and who was called online. Pure."""

from collections.abc import Collection

DESIRED_BYTES = 1 << 20
"""Directives remembered for children that are not there; one for a microcontroller has at most a few kilobytes."""


class Children:
    """The server's children of this gateway are those that it retains a directive for.

    Only they are spoken of: an id that somebody on a line made up leaves nothing on the broker.
    """

    def __init__(self) -> None:
        self._desired: dict[str, bytes] = {}
        self._held_bytes = 0
        self._said: dict[str, bool] = {}

    def reconnected(self) -> None:
        """A new connection: the broker tells everything again, and so do we."""
        self._desired.clear()
        self._held_bytes = 0
        self._said.clear()

    def remember(self, device: str, desired: bytes) -> str | None:
        """Take note of a directive; empty: the child is not ours any more. Returns whose had to make room, if any's."""
        self._held_bytes -= len(self._desired.pop(device, b""))
        if not desired:
            self._said.pop(device, None)
            return None
        self._desired[device] = desired
        self._held_bytes += len(desired)
        if self._held_bytes <= DESIRED_BYTES:
            return None
        oldest = next(iter(self._desired))
        self._held_bytes -= len(self._desired.pop(oldest))
        return oldest

    def desired(self, device: str) -> bytes:
        """The directive retained for a child, empty if there is none."""
        return self._desired.get(device, b"")

    def news(self, online: Collection[str], *, settled: bool) -> dict[str, bool]:
        """Whose status has to be published, and which: True is online.

        Until it is ``settled`` who is there (after a start, a child has yet to speak), nobody is called offline but
        who was online just now.
        """
        news = {}
        for device in self._desired:
            there = device in online
            if self._said.get(device) != there and (there or settled or device in self._said):
                news[device] = self._said[device] = there
        return news
