"""MQTT topics, built and parsed here and nowhere else. ``{gateway}/c/{child}`` is a device behind a gateway."""

import re
from dataclasses import dataclass

from dunlin_contract import ids
from dunlin_contract.rules import Rule, require

PREFIX = "dunlin/v1/"
UP = ("status", "reported", "events", "results", "telemetry")
DOWN = ("desired", "ack")
SERVER_CLIENT = "_server"
"""Certificate CN and MQTT client id of the fleet server; ``_`` cannot stand in a device id."""

ONLINE, OFFLINE = b"online", b"offline"
SERVER_FILTERS = (PREFIX + "+/up/+", PREFIX + "+/c/+/up/+")

_OBJECT = re.compile(re.escape(PREFIX) + r"obj/([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Address:
    """Whose message it is. ``gateway`` is None for a device with a broker connection of its own."""

    device: str
    gateway: str | None = None

    def _base(self) -> str:
        return f"{PREFIX}{self.gateway}/c/{self.device}/" if self.gateway else f"{PREFIX}{self.device}/"

    def up(self, kind: str) -> str:
        """Topic the device publishes ``kind`` on (one of UP)."""
        return f"{self._base()}up/{kind}"

    def down(self, kind: str) -> str:
        """Topic the device is subscribed to for ``kind`` (one of DOWN)."""
        return f"{self._base()}dn/{kind}"


def obj(name: bytes) -> str:
    """Topic of a content-addressed object."""
    return f"{PREFIX}obj/{name.hex()}"


def parse_object(topic: str) -> bytes | None:
    """Name of the object on ``topic``, None for other topics."""
    match = _OBJECT.fullmatch(topic)
    return bytes.fromhex(match.group(1)) if match else None


def parse_up(topic: str) -> tuple[Address, str]:
    """Sender and kind of a message that came up.

    Raises:
        SchemaError: ``topic``.
    """
    require(Rule.TOPIC, topic.startswith(PREFIX) and len(topic) <= 160, "not a topic of this contract")
    parts = topic.removeprefix(PREFIX).split("/")
    direct = len(parts) == 3 and parts[1] == "up"
    child = len(parts) == 5 and parts[1] == "c" and parts[3] == "up"
    require(Rule.TOPIC, direct or child, "not a topic a device publishes on")
    require(Rule.TOPIC, parts[-1] in UP, f"unknown kind {parts[-1][:32]!r}")
    names = (parts[0], parts[2]) if child else (parts[0],)
    require(Rule.TOPIC, all(ids.is_device(name) for name in names), "not a device id")
    return (Address(parts[2], parts[0]) if child else Address(parts[0])), parts[-1]
