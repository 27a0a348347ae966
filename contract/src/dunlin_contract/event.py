"""Numbered events, kept on the device until acknowledged, and the acknowledgement."""

from typing import ClassVar

from dunlin_contract import ids
from dunlin_contract.limits import LIMITS
from dunlin_contract.schema import Record, at, format_version, octets, one_of, text, uint

KINDS = (
    "boot",
    "update-planned",
    "update-refused",
    "update-probation",
    "update-committed",
    "update-rolled-back",
    "model-removed",
    "worker-crashed",
    "object-corrupt",
    "directive-refused",
    "lease-expired",
    "wiped",
    "wipe-refused",
    "root-changed",
    "device-fault",
    "note",
)


class Event(Record):
    """Number ``n`` of a random ``stream``. ``code`` is a rule or reason, ``text`` one line for people.

    Of a ``device-fault`` the code names the part that does not work: ``flash``, ``entropy``, ``clock``...
    """

    CAP_BYTES: ClassVar[int] = LIMITS.event_bytes

    format: int = format_version(default=1)
    stream: bytes = at(1, octets(16))
    n: int = at(2, uint(LIMITS.sequence, 1))
    kind: str = at(3, one_of(*KINDS))
    time_s: int = at(4, uint(LIMITS.time_s))
    uptime_s: int = at(5, uint(LIMITS.sequence))
    model: str | None = at(6, text(LIMITS.name_bytes, ids.is_model), default=None)
    release: bytes | None = at(7, octets(32), default=None)
    code: str = at(8, text(64), default="")
    text: str = at(9, text(LIMITS.text_bytes), default="")
    receipt: bytes | None = at(10, octets(LIMITS.receipt_bytes, 1), default=None)


class Ack(Record):
    """Signed by the director after its commit: events of ``stream`` up to ``n`` may be forgotten."""

    CAP_BYTES: ClassVar[int] = LIMITS.ack_bytes

    format: int = format_version(default=1)
    device: str = at(1, text(LIMITS.device_bytes, ids.is_device))
    stream: bytes = at(2, octets(16))
    n: int = at(3, uint(LIMITS.sequence, 1))
