"""Hypothesis strategies: what a device is told, and what it says back."""

from typing import Any

from hypothesis import strategies as st

from dunlin_contract import drift, reported, results, telemetry
from dunlin_contract.directive import Desired, Directive, Lease, Trial
from dunlin_contract.golden import ITEM_BYTES, Sample, TensorData
from dunlin_contract.limits import LIMITS
from tests.contract.strategies.values import (
    device,
    digest,
    dtype,
    id16,
    kind,
    maybe,
    name,
    real,
    sequence,
    table,
    text,
    tuples,
    u32,
    uint,
    unix_time,
)


@st.composite
def directives(draw: st.DrawFn) -> Directive:
    issued = draw(uint(LIMITS.time_s - 1))
    desired = st.builds(
        Desired,
        release=digest,
        floor=u32,
        grant=st.binary(min_size=1, max_size=512),
        lease=st.builds(Lease, seconds=uint(315_360_000, 60), action=st.sampled_from(["warn", "stop"])),
        manifest=digest,
        index=tuples(digest, 3, 1),
    )
    models = draw(table(name, desired))
    trial = st.builds(
        Trial, candidate=desired, mode=st.sampled_from(["shadow", "split", "standby"]), share=uint(1000, 1)
    )
    trials = {
        one: candidate
        for one, candidate in draw(st.fixed_dictionaries({}, optional=dict.fromkeys(models, trial))).items()
        if candidate.candidate.release != models[one].release
    }
    return Directive(
        device=draw(device),
        epoch=draw(u32),
        seq=draw(uint(LIMITS.sequence, 1)),
        issued=issued,
        expires=draw(uint(LIMITS.time_s, issued + 1)),
        desired=models,
        settings=draw(maybe(digest)),
        wipe=draw(maybe(st.binary(min_size=1, max_size=64))),
        nonce=draw(maybe(id16)),
        root=draw(maybe(digest)),
        trials=trials,
        captures=draw(table(name, st.binary(min_size=1, max_size=64))),
    )


@st.composite
def tensor_data(draw: st.DrawFn) -> TensorData:
    shape, kind_ = draw(tuples(uint(3), 3)), draw(dtype)
    length = ITEM_BYTES[kind_]
    for dimension in shape:
        length *= dimension
    return TensorData(name=draw(text(256, 1)), dtype=kind_, shape=shape, data=bytes(length))


samples = st.builds(Sample, inputs=tuples(tensor_data(), 2, 1), outputs=tuples(tensor_data(), 2, 1))
states = st.builds(
    reported.ModelState,
    phase=st.sampled_from(reported.PHASES),
    active=maybe(digest),
    previous=maybe(digest),
    candidate=maybe(digest),
    error_code=text(64),
    error_text=text(256),
    variant=text(24),
    served=sequence,
    chunks_have=sequence,
    chunks_need=sequence,
    rejected=tuples(st.builds(reported.Rejected, kind=kind, reasons=tuples(text(256), 2, 1)), 2),
)
sketch = table(uint(512), sequence, 5)
comparisons = st.builds(
    telemetry.Comparison,
    candidate=digest,
    mode=st.sampled_from(["shadow", "split"]),
    pairs=sequence,
    agreed=sequence,
    errors=sequence,
    shed=sequence,
    latency_us=sketch,
    distance=sketch,
    memory_bytes=uint(2**48),
)
drift_counts = uint(4, 2).flatmap(
    lambda bins: st.builds(
        telemetry.DriftCounts,
        feature=text(64, 1),
        counts=tuples(sequence, bins, bins),
        expected=tuples(uint(65_535), bins, bins),
    )
)
hardware = st.builds(
    telemetry.Hardware,
    temperature_dc=maybe(uint(3000, -1000)),
    throttled=u32,
    power_mw=maybe(u32),
    gpu_permille=maybe(uint(1000)),
    power_mode=text(64),
    policy=st.sampled_from(["normal", "reduced", "paused"]),
)


@st.composite
def result_records(draw: st.DrawFn) -> results.Result:
    kind_, n = draw(st.sampled_from(["result", "capture", "gap"])), draw(uint(LIMITS.sequence, 1))
    said: dict[str, Any] = {"first": draw(uint(n, 1))}
    if kind_ != "gap":
        said = {"model": draw(name), "release": draw(digest), "source": draw(text(64)), "reason": draw(text(64))}
        said["outputs"] = draw(tuples(tensor_data(), 2, 1))
    if kind_ == "capture":
        said["inputs"] = draw(tuples(tensor_data(), 2, 1))
    return results.Result(stream=draw(id16), n=n, time_s=draw(unix_time), uptime_s=draw(sequence), kind=kind_, **said)


@st.composite
def features(draw: st.DrawFn) -> drift.Feature:
    edges = draw(st.lists(real, min_size=1, max_size=5, unique_by=lambda edge: edge + 0.0))
    shares = draw(st.lists(uint(9000), min_size=len(edges), max_size=len(edges)))
    return drift.Feature(
        side=draw(st.sampled_from(["input", "output"])),
        tensor=draw(text(256, 1)),
        what=draw(st.sampled_from(["mean", "deviation", "value", "class", "confidence"])),
        edges=tuple(sorted(edges)),
        expected=(*shares, drift.SHARES - sum(shares)),
    )
