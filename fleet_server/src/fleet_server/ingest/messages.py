"""From a topic and bytes to a record, or nothing: everything is hostile until the contract has parsed it."""

from dataclasses import dataclass

from dunlin_contract import topics
from dunlin_contract.event import Event
from dunlin_contract.reported import Reported
from dunlin_contract.rules import Rule, require
from dunlin_contract.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class Status:
    """Whether a device is connected; `retained` if this is what the broker remembers, not news."""

    online: bool
    retained: bool


Record = Status | Reported | Event | Telemetry


@dataclass(frozen=True, slots=True)
class Message:
    """One parsed message. The broker lets a device publish below its own prefix only, so the topic says who spoke."""

    device: str
    record: Record


def parse(topic: str, payload: bytes, retained: bool) -> Message:
    """The message on `topic`. Raises: ContractError for anything a device of this fleet does not say."""
    address, kind = topics.parse_up(topic)
    require(Rule.TOPIC, address.gateway is None, "a device behind a gateway is not known here")
    return Message(address.device, _record(kind, payload, retained))


def _record(kind: str, payload: bytes, retained: bool) -> Record:
    if kind == "status":
        require(Rule.VALUE, payload in {topics.ONLINE, topics.OFFLINE}, "a status is online or offline")
        return Status(payload == topics.ONLINE, retained)
    if kind == "reported":
        return Reported.from_bytes(payload)
    if kind == "events":
        return Event.from_bytes(payload)
    require(Rule.TOPIC, kind == "telemetry", f"{kind} is not taken here")
    return Telemetry.from_bytes(payload)
