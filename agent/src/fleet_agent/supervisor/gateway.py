"""What the supervisor knows of a gateway: who runs without serial lines never loads one."""

from collections.abc import Callable
from typing import Protocol

from fleet_agent.supervisor.control import Caller
from fleet_agent.supervisor.link import Link
from fleet_agent.supervisor.loop import Loop


class Gateway(Protocol):
    """Carries what microcontrollers and the broker have to say to each other. For the loop's thread."""

    def start(self) -> None:
        """Open the lines."""

    def close(self) -> None:
        """Close them."""

    def online(self) -> None:
        """Connected to the broker; nothing of the gateway's is subscribed yet."""

    def offline(self) -> None:
        """Not connected (any more)."""

    def message(self, topic: str, payload: bytes) -> None:
        """Something came that is not for this device itself."""

    def object_came(self, name: bytes, data: bytes) -> None:
        """Something came on an object's topic."""

    def configure(self, timeout_s: float) -> None:
        """A new setting: how long an object may stay away."""

    def enroll(self, request: dict[str, object], caller: Caller) -> None:
        """An operator wants to enrol a child."""

    def status(self) -> list[dict[str, object]]:
        """The lines and the children on them."""


Corrupted = Callable[[bytes], None]
"""Takes the name of an object that came damaged."""

MakeGateway = Callable[[Loop, Link, float, Corrupted], Gateway]
"""Makes a gateway; the number is how long an object may stay away, in seconds."""
