"""Telemetry: mergeable counters and sketches, never raw samples; may be lost (QoS 0)."""

from collections.abc import Mapping
from typing import ClassVar

from dunlin_contract import ids
from dunlin_contract.limits import LIMITS
from dunlin_contract.schema import Record, at, format_version, octets, record, table, text, uint

_count = uint(LIMITS.sequence)


class ModelTelemetry(Record):
    """One release since its worker started. ``latency_us``: sketch buckets (see :mod:`dunlin_contract.sketch`)."""

    release: bytes = at(0, octets(32))
    count: int = at(1, _count)
    errors: int = at(2, _count)
    latency_us: Mapping[int, int] = at(3, table(uint(LIMITS.sketch_buckets), _count, LIMITS.sketch_buckets))


class Telemetry(Record):
    """Counters of one device."""

    CAP_BYTES: ClassVar[int] = LIMITS.telemetry_bytes

    format: int = format_version(default=1)
    models: Mapping[str, ModelTelemetry] = at(
        1, table(text(LIMITS.name_bytes, ids.is_model), record(ModelTelemetry), LIMITS.models)
    )
    memory_bytes: int = at(2, uint(2**48))
    load_permille: int = at(3, uint(1_000_000))
