"""Telemetry: mergeable counters and sketches, never raw samples; may be lost (QoS 0)."""

from collections.abc import Mapping
from typing import ClassVar

from dunlin_contract import ids
from dunlin_contract.limits import LIMITS
from dunlin_contract.rules import Rule, require
from dunlin_contract.schema import Record, array, at, format_version, octets, one_of, record, table, text, uint

_count = uint(LIMITS.sequence)
_sketch = table(uint(LIMITS.sketch_buckets), _count, LIMITS.sketch_buckets)


class Comparison(Record):
    """A candidate on trial against the release that serves, since the trial began.

    ``pairs``: requests that both answered (split: that the candidate answered); ``agreed``: of them, those where the
    largest output was the same; ``shed``: left out because the device was busy. ``distance``: largest absolute
    difference of the outputs in millionths of the serving release's largest output, as a sketch.
    """

    candidate: bytes = at(0, octets(32))
    mode: str = at(1, one_of("shadow", "split"))
    pairs: int = at(2, _count)
    agreed: int = at(3, _count)
    errors: int = at(4, _count)
    shed: int = at(5, _count)
    latency_us: Mapping[int, int] = at(6, _sketch)
    distance: Mapping[int, int] = at(7, _sketch)
    memory_bytes: int = at(8, uint(2**48))


class DriftCounts(Record):
    """One feature of the release's baseline (see :mod:`dunlin_contract.drift`): what was seen, what was expected."""

    feature: str = at(0, text(64, least=1))
    counts: tuple[int, ...] = at(1, array(_count, LIMITS.bins, 2))
    expected: tuple[int, ...] = at(2, array(uint(65_535), LIMITS.bins, 2))

    def check(self) -> None:
        require(Rule.BASELINE, len(self.counts) == len(self.expected), "a feature has as many counts as shares")


class Hardware(Record):
    """What the device's sensors say. ``throttled``: the firmware's flags (Raspberry Pi's get_throttled bits).

    ``policy``: what the agent does about heat and power.
    """

    temperature_dc: int | None = at(0, uint(3000, -1000), default=None)
    throttled: int = at(1, uint(2**32 - 1), default=0)
    power_mw: int | None = at(2, uint(2**32 - 1), default=None)
    gpu_permille: int | None = at(3, uint(1000), default=None)
    power_mode: str = at(4, text(64), default="")
    policy: str = at(5, one_of("normal", "reduced", "paused"), default="normal")


class ModelTelemetry(Record):
    """One release since its worker started. ``latency_us``: sketch buckets (see :mod:`dunlin_contract.sketch`).

    ``confidence``: how many answers had their largest output in each twentieth of 0 to 1.
    """

    release: bytes = at(0, octets(32))
    count: int = at(1, _count)
    errors: int = at(2, _count)
    latency_us: Mapping[int, int] = at(3, _sketch)
    comparison: Comparison | None = at(4, record(Comparison), default=None)
    drift: tuple[DriftCounts, ...] = at(5, array(record(DriftCounts), LIMITS.features), default=())
    confidence: tuple[int, ...] = at(6, array(_count, 20, 20), default=())


class Telemetry(Record):
    """Counters of one device."""

    CAP_BYTES: ClassVar[int] = LIMITS.telemetry_bytes

    format: int = format_version(default=1)
    models: Mapping[str, ModelTelemetry] = at(
        1, table(text(LIMITS.name_bytes, ids.is_model), record(ModelTelemetry), LIMITS.models)
    )
    memory_bytes: int = at(2, uint(2**48))
    load_permille: int = at(3, uint(1_000_000))
    hardware: Hardware | None = at(4, record(Hardware), default=None)
