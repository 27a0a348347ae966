"""Settings a server may choose for a device: a closed list, an object named by its digest in a signed directive."""

from typing import ClassVar

from dunlin_contract.limits import LIMITS
from dunlin_contract.schema import Record, at, format_version, uint


class Settings(Record):
    """Times in seconds; ``window`` is how many objects are asked for at a time."""

    CAP_BYTES: ClassVar[int] = LIMITS.settings_bytes

    format: int = format_version(default=1)
    report_interval_s: int = at(1, uint(86_400, 1), default=900)
    report_jitter_s: int = at(2, uint(3_600), default=60)
    window: int = at(3, uint(32, 1), default=6)
    object_timeout_s: int = at(4, uint(3_600, 1), default=20)
    probation_s: int = at(5, uint(604_800), default=300)
    probation_requests: int = at(6, uint(1_000_000), default=20)
    probation_max_s: int = at(7, uint(2_592_000, 1), default=3_600)
    telemetry_interval_s: int = at(8, uint(86_400, 1), default=300)
