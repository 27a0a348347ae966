"""Hypothesis strategies: any record that a program may write."""

import dataclasses
from typing import Any

from hypothesis import strategies as st

from dunlin_contract import (
    capture,
    drift,
    enrolment,
    event,
    fit,
    golden,
    manifest,
    reported,
    results,
    root,
    settings,
    telemetry,
    wipe,
)
from dunlin_contract.directive import Desired, Directive, Lease, Trial
from dunlin_contract.golden import ITEM_BYTES, Golden, Sample, TensorData
from dunlin_contract.limits import LIMITS
from dunlin_contract.manifest import chunk_count
from dunlin_contract.schema import Record
from dunlin_contract.slot import slot_bytes

HIDDEN = [*range(0x20), *range(0x7F, 0xA0), *range(0x2028, 0x202F), *range(0x2066, 0x206A), *range(0xD800, 0xE000)]


def text(most: int, least: int = 0) -> st.SearchStrategy[str]:
    letters = st.characters(exclude_characters="".join(map(chr, HIDDEN)), exclude_categories=["Cs"])
    return st.text(letters, max_size=most // 4).filter(lambda one: least <= len(one.encode()) <= most)


def uint(most: int, least: int = 0) -> st.SearchStrategy[int]:
    return st.integers(least, most)


digest = st.binary(min_size=32, max_size=32)
id16 = st.binary(min_size=16, max_size=16)
kid = st.binary(min_size=8, max_size=8)
spki = st.binary(min_size=91, max_size=91)
der = st.binary(min_size=1, max_size=64)
name = st.from_regex(r"\A[a-z0-9][a-z0-9-]{0,31}\Z")
kind = st.from_regex(r"\A[a-z0-9][a-z0-9-]{0,23}\Z")
device = st.from_regex(r"\A[a-z0-9-]{1,36}\Z").filter(lambda one: one != "obj")
version = st.from_regex(r"\A[1-9]\d{0,3}\.(0|[1-9]\d{0,3})\.0(-[a-z][a-z0-9]{0,8})?\Z").filter(str.isascii)
word = text(64, 1)
u32 = uint(2**32 - 1)
sequence = uint(LIMITS.sequence)
unix_time = uint(LIMITS.time_s)
real = st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(min_value=0, allow_nan=False, allow_infinity=False)
runtime = st.sampled_from(fit.RUNTIMES)
version3 = st.tuples(u32, u32, u32)
dtype = st.sampled_from(manifest.DTYPES)


def maybe(one: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | one


def tuples(one: st.SearchStrategy[Any], most: int, least: int = 0) -> st.SearchStrategy[Any]:
    return st.lists(one, min_size=least, max_size=most).map(tuple)


def ascending(one: st.SearchStrategy[Any], most: int, least: int = 0) -> st.SearchStrategy[Any]:
    return st.lists(one, min_size=least, max_size=most, unique=True).map(lambda items: tuple(sorted(items)))


def table(key: st.SearchStrategy[Any], value: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[Any]:
    return st.dictionaries(key, value, max_size=most)


ops = ascending(st.tuples(word, u32), 4).map(
    lambda pairs: tuple(fit.Op(opcode=opcode, version=version) for opcode, version in pairs)
)
fits = st.builds(
    fit.Fit,
    runtime=runtime,
    min_version=version3,
    ops=ops,
    arena_bytes=uint(2**48),
    flash_bytes=uint(2**48),
    memory_bytes=uint(2**48),
    hardware_classes=ascending(word, 3),
    stores=ascending(st.sampled_from(fit.MODEL_STORES), 4),
)
descriptions = st.builds(
    fit.DeviceDescription,
    hardware_class=word,
    arch=word,
    memory_bytes=uint(2**48),
    flash_bytes=uint(2**48),
    arena_bytes=uint(2**48),
    runtimes=tuples(st.builds(fit.RuntimeInfo, name=runtime, version=version3, ops=ops), 3),
    tier=st.builds(fit.Tier, keystore=st.sampled_from(fit.KEYSTORES), model_store=st.sampled_from(fit.MODEL_STORES)),
)
tensors = st.builds(
    manifest.Tensor,
    name=text(256, 1),
    dtype=dtype,
    shape=tuples(uint(2**31 - 1, -1), 8),
    quantization=maybe(st.builds(manifest.Quantization, scale=positive, zero_point=uint(65535, -32768))),
)
ios = st.builds(
    manifest.Io,
    inputs=tuples(tensors, 2, 1),
    outputs=tuples(tensors, 2, 1),
    preprocess=maybe(
        st.builds(
            manifest.Preprocess,
            height=uint(65535, 1),
            width=uint(65535, 1),
            layout=st.sampled_from(["NHWC", "NCHW"]),
            color=st.sampled_from(["rgb", "grey"]),
            mean=tuples(real, 4, 1),
            std=tuples(st.floats(1e-9, 1e9), 4, 1),
        )
    ),
    postprocess=maybe(st.builds(manifest.Postprocess, softmax=st.booleans(), top_k=uint(1000, 1), labels=st.just(2))),
)


@st.composite
def payloads(draw: st.DrawFn, role: str, form: str, micro: bool) -> manifest.Payload:
    log2, length = 12 if micro else draw(uint(20, 12)), draw(uint(100_000))
    compression = manifest.STORED if micro else draw(st.sampled_from([manifest.STORED, manifest.ZLIB]))
    chunks = chunk_count(length, log2)
    return manifest.Payload(
        id=draw(id16),
        role=role,
        format=form,
        compression=compression,
        installed_length=length if compression == manifest.STORED else draw(uint(200_000)),
        installed_sha256=draw(digest),
        plaintext_length=length,
        ciphertext_length=length + 16 * chunks,
        chunk_log2=log2,
        chunk_count=chunks,
        merkle_root=draw(digest),
        aead=24,
    )


@st.composite
def manifests(draw: st.DrawFn) -> manifest.Manifest:
    needs = draw(fits)
    form = {"litert": "tflite", "onnxruntime": "onnx", "tensorrt": "onnx", "tflm": "tflm"}[needs.runtime]
    parts = (("model", form), ("golden", "cbor"), ("labels", "text"))
    micro = needs.runtime == "tflm"
    listed = tuple(draw(payloads(role, form, micro)) for role, form in parts)
    if len({one.id for one in listed}) < len(listed):
        listed = tuple(dataclasses.replace(one, id=bytes([n] * 16)) for n, one in enumerate(listed))
    if micro:
        needed = slot_bytes([one.installed_length for one in listed], sum(one.chunk_count for one in listed))
        needs = dataclasses.replace(needs, flash_bytes=draw(uint(2**48, needed)))
    created = draw(uint(LIMITS.time_s - 1))
    variant = manifest.Variant(
        kind=draw(kind),
        fit=needs,
        io=draw(ios),
        payloads=(0, 1, 2),
        budget=draw(
            st.builds(manifest.Budget, p95_us=uint(2**32 - 1, 1), memory_bytes=uint(2**48), measured_on=text(64))
        ),
        golden=draw(st.builds(manifest.GoldenCheck, payload=st.just(1), tolerance=positive, top1_permille=uint(1000))),
    )
    return manifest.Manifest(
        name=draw(name),
        version=draw(version),
        counter=draw(u32),
        created=created,
        not_after=draw(uint(LIMITS.time_s, created + 1)),
        variants=(variant,),
        payloads=listed,
    )


@st.composite
def roots(draw: st.DrawFn) -> root.Root:
    listed = draw(st.dictionaries(kid, spki, min_size=2, max_size=8))
    roles = {}
    for role in root.ROLE_NAMES:
        kids = tuple(sorted(draw(st.sets(st.sampled_from(sorted(listed)), min_size=2))))
        roles[role] = root.RoleKeys(threshold=draw(uint(len(kids), 2 if role == "ops" else 1)), kids=kids)
    return root.Root(
        version=draw(uint(LIMITS.counter, 1)),
        issued=draw(unix_time),
        not_after=draw(unix_time),
        epoch=draw(u32),
        keys=listed,
        roles=roles,
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


RECORDS: dict[type[Record], st.SearchStrategy[Any]] = {
    root.Root: roots(),
    root.ServerKeys: st.builds(root.ServerKeys, director=spki, vault=spki, ca=spki),
    manifest.Manifest: manifests(),
    Directive: directives(),
    settings.Settings: st.builds(
        settings.Settings,
        report_interval_s=uint(86_400, 1),
        report_jitter_s=uint(3_600),
        window=uint(32, 1),
        object_timeout_s=uint(3_600, 1),
        probation_s=uint(604_800),
        probation_requests=uint(1_000_000),
        probation_max_s=uint(2_592_000, 1),
        telemetry_interval_s=uint(86_400, 1),
    ),
    reported.Reported: st.builds(
        reported.Reported,
        epoch=u32,
        seq=sequence,
        boot_nonce=id16,
        missing=tuples(digest, 3),
        models=table(name, states),
        device=descriptions,
        number=sequence,
        uptime_s=sequence,
        time_s=unix_time,
        agent_version=text(64),
        temperature_dc=maybe(uint(3000, -1000)),
        root_version=uint(LIMITS.counter, 1),
    ),
    event.Event: st.builds(
        event.Event,
        stream=id16,
        n=uint(LIMITS.sequence, 1),
        kind=st.sampled_from(event.KINDS),
        time_s=unix_time,
        uptime_s=sequence,
        model=maybe(name),
        release=maybe(digest),
        code=text(64),
        text=text(256),
        receipt=maybe(st.binary(min_size=1, max_size=64)),
    ),
    event.Ack: st.builds(event.Ack, device=device, stream=id16, n=uint(LIMITS.sequence, 1)),
    telemetry.Telemetry: st.builds(
        telemetry.Telemetry,
        models=table(
            name,
            st.builds(
                telemetry.ModelTelemetry,
                release=digest,
                count=sequence,
                errors=sequence,
                latency_us=sketch,
                comparison=maybe(comparisons),
                drift=tuples(drift_counts, 3),
                confidence=st.just(()) | tuples(sequence, 20, 20),
            ),
        ),
        memory_bytes=uint(2**48),
        load_permille=uint(1_000_000),
        hardware=maybe(hardware),
    ),
    results.Result: result_records(),
    drift.Baseline: st.builds(drift.Baseline, features=tuples(features(), 3, 1)),
    capture.CaptureOrder: st.builds(
        capture.CaptureOrder,
        device=device,
        order_id=id16,
        model=name,
        issued=unix_time,
        not_after=unix_time,
        per_day=uint(100_000, 1),
        random_permille=uint(1000),
        margin_permille=uint(1000),
        disagreement=st.booleans(),
        classes=ascending(uint(65_535), 5),
    ),
    enrolment.ClaimToken: st.builds(
        enrolment.ClaimToken,
        url=st.from_regex(r"\Ahttps://[!-~]{1,100}\Z"),
        root_digest=digest,
        token_id=kid,
        secret=id16,
        expires=unix_time,
    ),
    enrolment.Trust: st.builds(enrolment.Trust, root=der, ca=der),
    enrolment.EnrolRequest: st.builds(
        enrolment.EnrolRequest, device=device, token_id=kid, secret=id16, spki=spki, kem=spki, description=descriptions
    ),
    enrolment.EnrolReply: st.one_of(
        st.builds(
            enrolment.EnrolReply,
            status=st.just("issued"),
            chain=tuples(der, 4, 1),
            broker_host=text(256, 1),
            broker_port=uint(65535, 1),
        ),
        st.builds(enrolment.EnrolReply, status=st.just("issued"), root=der),
        st.builds(enrolment.EnrolReply, status=st.just("pending"), poll_s=uint(3600, 1)),
        st.builds(enrolment.EnrolReply, status=st.just("refused"), reason=text(256, 1)),
    ),
    enrolment.RenewRequest: st.builds(enrolment.RenewRequest, device=device, spki=spki),
    wipe.WipeOrder: st.builds(
        wipe.WipeOrder,
        device=device,
        order_id=id16,
        models=ascending(name, 4),
        issued=unix_time,
        reason=text(256),
    ),
    wipe.Receipt: st.builds(
        wipe.Receipt,
        device=device,
        order_digest=digest,
        erased=tuples(st.builds(wipe.Erased, model=name, releases=tuples(digest, 4), storage_key=maybe(id16)), 3),
        method=text(256),
        assurance=st.sampled_from(["clear", "purge"]),
        canary_unreadable=st.booleans(),
        files=sequence,
        bytes_erased=sequence,
        time_s=unix_time,
        kem=spki,
    ),
    golden.Golden: st.builds(Golden, samples=tuples(samples, 2, 1)),
}
