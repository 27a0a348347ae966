"""From a topic and bytes to a record, or nothing: everything is hostile until the contract has parsed it."""

from dataclasses import dataclass

from dunlin_contract import topics
from dunlin_contract.event import Event
from dunlin_contract.limits import LIMITS
from dunlin_contract.reported import Reported
from dunlin_contract.results import Result
from dunlin_contract.rules import Rule, require
from dunlin_contract.telemetry import Telemetry
from dunlin_contract.topics import Address


@dataclass(frozen=True, slots=True)
class Status:
    """Whether a device is connected; `retained` if this is what the broker remembers, not news."""

    online: bool
    retained: bool


@dataclass(frozen=True, slots=True)
class Signed:
    """What a device behind a gateway says: nothing, until it is found to be signed by that device's own key."""

    kind: str  # reported | events
    envelope: bytes


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A device behind a gateway asks to be let in."""

    envelope: bytes


Record = Status | Reported | Event | Result | Telemetry | Signed | Enrolment

_CAP_BYTES = {"reported": LIMITS.reported_bytes, "events": LIMITS.event_bytes, "enrol": LIMITS.enrolment_bytes}


@dataclass(frozen=True, slots=True)
class Message:
    """One parsed message. The broker lets a device publish below its own prefix only, so the topic says who spoke.

    Behind a gateway that proves the gateway alone. `repeated`: the broker delivers it again.
    """

    address: Address
    record: Record
    repeated: bool = False

    @property
    def device(self) -> str:
        """Whose message it is, by its topic."""
        return self.address.device


def parse(topic: str, payload: bytes, retained: bool, repeated: bool = False) -> Message:
    """The message on `topic`. Raises: ContractError for anything a device of this fleet does not say."""
    address, kind = topics.parse_up(topic)
    record = _record(kind, payload, retained) if address.gateway is None else _carried(kind, payload, retained)
    return Message(address, record, repeated)


def _record(kind: str, payload: bytes, retained: bool) -> Record:
    if kind == "status":
        return _status(payload, retained)
    if kind == "reported":
        return Reported.from_bytes(payload)
    if kind == "events":
        return Event.from_bytes(payload)
    if kind == "results":
        return Result.from_bytes(payload)
    return Telemetry.from_bytes(payload)


def _carried(kind: str, payload: bytes, retained: bool) -> Record:
    if kind == "status":
        return _status(payload, retained)
    require(Rule.SIZE, len(payload) <= _CAP_BYTES[kind], f"over {_CAP_BYTES[kind]} bytes")
    return Enrolment(payload) if kind == "enrol" else Signed(kind, payload)


def _status(payload: bytes, retained: bool) -> Status:
    require(Rule.VALUE, payload in {topics.ONLINE, topics.OFFLINE}, "a status is online or offline")
    return Status(payload == topics.ONLINE, retained)
