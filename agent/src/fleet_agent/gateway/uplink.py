"""A child's messages, put together from pieces and held until the broker has them. Pure; the caller gives the time.

One message at a time: a child begins the next when it knows that the last one was handed over.
"""

from dataclasses import dataclass, field
from enum import Enum

from dunlin_contract import link
from fleet_agent.gateway.bucket import Bucket

BURST = 32
PER_S = 1.0
"""Messages of one line: a boot's events at once, then one a second. A child above that waits, and nothing is lost."""
DENIED_PAUSE_S = 30.0


@dataclass(frozen=True, slots=True)
class Hand:
    """Hand this to the broker, and tell :meth:`Uplink.handed` with the same ``number``."""

    number: int
    kind: link.UpKind
    payload: bytes


class _Stage(Enum):
    GATHERING = "receiving"
    WAITING = "waiting to publish"
    HANDING = "publishing"
    DONE = "published"


@dataclass(slots=True)
class _Message:
    number: int
    kind: link.UpKind
    id: int
    total: int
    data: bytearray = field(default_factory=bytearray)
    last: int = 0
    stage: _Stage = _Stage.GATHERING
    not_before: float = 0.0

    def is_of(self, up: link.Up) -> bool:
        return (self.kind, self.id, self.total) == (up.kind, up.id, up.total)

    def got(self) -> link.Got:
        """The last piece is not confirmed before the broker has the whole."""
        if self.stage is _Stage.DONE:
            return link.Got(self.id, self.total)
        return link.Got(self.id, len(self.data) if self.stage is _Stage.GATHERING else self.last)


class Uplink:
    """What one child is saying."""

    def __init__(self) -> None:
        self._message: _Message | None = None
        self._count = 0
        self._bucket = Bucket(BURST, PER_S)
        self._connected = False
        self.slowed = False
        """Whether the message has to wait because the child says too much."""

    def piece(self, up: link.Up) -> link.Got:
        """A piece came; returns what to answer. Ask :meth:`hand` then."""
        message = self._message
        if message is None or not message.is_of(up):
            self._count += 1
            message = self._message = _Message(self._count, up.kind, up.id, up.total)
        if message.stage is _Stage.GATHERING and up.offset == len(message.data):
            message.last = up.offset
            message.data += up.data
            if len(message.data) == message.total:
                message.stage = _Stage.WAITING
        return message.got()

    def hand(self, now: float) -> Hand | None:
        """The whole message, when it is time to publish it."""
        message = self._message
        if message is None or message.stage is not _Stage.WAITING or not self._connected or message.not_before > now:
            return None
        self.slowed = not self._bucket.take(1, now)
        if self.slowed:
            return None
        message.stage = _Stage.HANDING
        return Hand(message.number, message.kind, bytes(message.data))

    def handed(self, number: int, ok: bool, now: float) -> link.Got | None:
        """The broker answered; one that refuses is asked again after a pause."""
        message = self._message
        if message is None or message.number != number or message.stage is not _Stage.HANDING:
            return None
        if not ok:
            message.stage, message.not_before = _Stage.WAITING, now + DENIED_PAUSE_S
            return None
        message.stage = _Stage.DONE
        return message.got()

    def connected(self, there: bool) -> None:
        """The broker is there, or not. What was on its way when it went is published again."""
        self._connected = there
        if not there and self._message is not None and self._message.stage is _Stage.HANDING:
            self._message.stage = _Stage.WAITING

    def forget(self) -> None:
        """Another child, or the same after a reset, whose numbers begin anew."""
        self._message = None
        self.slowed = False

    def next_at(self, now: float) -> float | None:
        """When :meth:`hand` should be asked again."""
        message = self._message
        if message is None or message.stage is not _Stage.WAITING or not self._connected:
            return None
        return max(message.not_before, now + self._bucket.wait_s(1, now))

    def shown(self) -> str:
        """What is on its way, in words; empty when nothing is."""
        message = self._message
        if message is None or message.stage is _Stage.DONE:
            return ""
        return f"{message.stage.value} {message.kind.name.lower()} ({len(message.data)} of {message.total} bytes)"
