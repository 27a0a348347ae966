"""Objects over MQTT: each is the retained message of a topic of its own, pulled a few at a time.

A broker acknowledges a publisher and then silently drops for a slow subscriber; a retained message that the device asks
for when it has room is never lost, and the server publishes it once for the whole fleet.
"""

import time
from collections.abc import Sequence
from typing import Protocol

from dunlin_contract import topics
from fleet_agent.carriers.base import Place, Receiver
from fleet_agent.carriers.window import Window
from fleet_agent.supervisor.loop import Loop, Timer


class Subscriber(Protocol):
    """The part of the connection that this carrier needs."""

    def subscribe(self, names: Sequence[str]) -> None:
        """Ask for the retained messages of topics, and for what is published there later."""

    def unsubscribe(self, names: Sequence[str]) -> None:
        """Ask no more."""


class MqttCarrier:
    """A :class:`fleet_agent.carriers.base.Source` over the agent's one connection."""

    kind = "mqtt"

    def __init__(self, loop: Loop, link: Subscriber, receiver: Receiver, window: int, timeout_s: float) -> None:
        self._loop = loop
        self._link = link
        self._receiver = receiver
        self._window = Window(window, timeout_s)
        self._timer: Timer | None = None
        self._online = False

    @property
    def why(self) -> str:
        return "" if self._online else "not connected"

    def offers(self, name: bytes, place: Place | None) -> bool:  # noqa: ARG002 - the broker may hold any object
        return self._online and (place is None or not place.large)

    def configure(self, window: int, timeout_s: float) -> None:
        """New settings."""
        self._window.size = window
        self._window.timeout_s = timeout_s
        self._move()

    def want(self, names: Sequence[bytes]) -> None:
        self._window.want(names)
        self._move()

    def corrupt(self, name: bytes) -> None:
        self._window.later(name, time.monotonic())
        self._move()

    def online(self, there: bool) -> None:
        """The connection came or went."""
        self._online = there
        self._window.online(there)
        self._move()

    def message(self, name: bytes, data: bytes) -> None:
        """A message on an object's topic. An empty one only says that the server has cleared it."""
        if data and self._window.wants(name):
            self._window.arrived(name)
            self._receiver.arrived(name, data)
            self._move()

    def _move(self) -> None:
        moves = self._window.moves(time.monotonic())
        if moves.drop:
            self._link.unsubscribe([topics.obj(name) for name in moves.drop])
        if moves.ask:
            self._link.subscribe([topics.obj(name) for name in moves.ask])
        for name in moves.silent:
            self._receiver.gave_up(name)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._window.next_at()
        if due is not None:
            self._timer = self._loop.after(max(0.01, due - time.monotonic()), self._move)
