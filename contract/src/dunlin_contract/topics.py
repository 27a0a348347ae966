"""MQTT topics, built and parsed here and nowhere else. ``{gateway}/c/{child}`` is a device behind a gateway."""

import re
from dataclasses import dataclass

from dunlin_contract import ids
from dunlin_contract.rules import Rule, require

PREFIX = "dunlin/v1/"
UP = ("status", "reported", "events", "results", "telemetry")
DOWN = ("desired", "ack")
CHILD_UP = ("status", "reported", "events", "enrol")
"""Of a device behind a gateway, which must sign what it says; ``status`` is the gateway's word, a hint."""
CHILD_DOWN = ("desired", "ack", "enrol")
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
        """Topic the device publishes ``kind`` on (one of UP, behind a gateway one of CHILD_UP)."""
        return f"{self._base()}up/{kind}"

    def down(self, kind: str) -> str:
        """Topic the device is subscribed to for ``kind`` (one of DOWN, behind a gateway one of CHILD_DOWN)."""
        return f"{self._base()}dn/{kind}"


def child_filter(gateway: str) -> str:
    """What a gateway subscribes to: everything for the devices behind it."""
    return f"{PREFIX}{gateway}/c/+/dn/+"


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
    return _parse(topic, "up", UP, CHILD_UP)


def parse_down(topic: str) -> tuple[Address, str]:
    """Receiver and kind of a message that goes down.

    Raises:
        SchemaError: ``topic``.
    """
    return _parse(topic, "dn", DOWN, CHILD_DOWN)


def _parse(topic: str, way: str, kinds: tuple[str, ...], child_kinds: tuple[str, ...]) -> tuple[Address, str]:
    require(Rule.TOPIC, topic.startswith(PREFIX) and len(topic) <= 160, "not a topic of this contract")
    parts = topic.removeprefix(PREFIX).split("/")
    direct = len(parts) == 3 and parts[1] == way
    child = len(parts) == 5 and parts[1] == "c" and parts[3] == way
    require(Rule.TOPIC, direct or child, "not a topic of a device")
    require(Rule.TOPIC, parts[-1] in (child_kinds if child else kinds), f"unknown kind {parts[-1][:32]!r}")
    names = (parts[0], parts[2]) if child else (parts[0],)
    require(Rule.TOPIC, all(ids.is_device(name) for name in names), "not a device id")
    return (Address(parts[2], parts[0]) if child else Address(parts[0])), parts[-1]
