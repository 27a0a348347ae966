"""What a device says of itself: on connect, on change, and every so often."""

from collections.abc import Mapping
from typing import ClassVar

from dunlin_contract import ids
from dunlin_contract.fit import DeviceDescription
from dunlin_contract.limits import LIMITS
from dunlin_contract.schema import Record, array, at, format_version, octets, one_of, record, table, text, uint

PHASES = (
    "idle",
    "planned",
    "downloading",
    "verified",
    "staged",
    "loaded",
    "testing",
    "trial",
    "probation",
    "committed",
    "rolled-back",
    "refused",
)
"""Phases of an update, in order; the last two are its other ends: after it served, and before. ``trial``: the candidate
runs beside the release that serves, until a directive ends the trial."""

_digest = octets(32)
_count = uint(LIMITS.sequence)


class Rejected(Record):
    """A variant that does not fit this device, and why."""

    kind: str = at(0, text(24, ids.is_model))
    reasons: tuple[str, ...] = at(1, array(text(LIMITS.text_bytes), LIMITS.rejected_reasons, 1))


class ModelState(Record):
    """One model on one device. Digests name releases. ``served`` counts inferences of the newest release shown."""

    phase: str = at(0, one_of(*PHASES))
    active: bytes | None = at(1, _digest, default=None)
    previous: bytes | None = at(2, _digest, default=None)
    candidate: bytes | None = at(3, _digest, default=None)
    error_code: str = at(4, text(64), default="")
    error_text: str = at(5, text(LIMITS.text_bytes), default="")
    variant: str = at(6, text(24), default="")
    served: int = at(7, _count, default=0)
    chunks_have: int = at(8, _count, default=0)
    chunks_need: int = at(9, _count, default=0)
    rejected: tuple[Rejected, ...] = at(10, array(record(Rejected), LIMITS.variants), default=())


class Reported(Record):
    """The whole reported state of one device. ``time_s`` is its wall clock, believed by nobody.

    ``number`` rises with every signed report over the life of the device's keys, so that nobody between the device and
    its server can replay an old one; 0 in reports that are not signed.
    """

    CAP_BYTES: ClassVar[int] = LIMITS.reported_bytes

    format: int = format_version(default=1)
    epoch: int = at(1, uint(LIMITS.counter))
    seq: int = at(2, _count)
    boot_nonce: bytes = at(3, octets(16))
    missing: tuple[bytes, ...] = at(4, array(_digest, LIMITS.missing_objects), default=())
    models: Mapping[str, ModelState] = at(
        5, table(text(LIMITS.name_bytes, ids.is_model), record(ModelState), LIMITS.models)
    )
    device: DeviceDescription = at(6, record(DeviceDescription))
    number: int = at(7, _count, default=0)
    uptime_s: int = at(8, _count)
    time_s: int = at(9, uint(LIMITS.time_s))
    agent_version: str = at(10, text(LIMITS.version_bytes))
    temperature_dc: int | None = at(11, uint(3000, -1000), default=None)
    root_version: int = at(12, uint(LIMITS.counter, 1))
