"""Hypothesis strategies: what a release says of itself, and where it fits."""

import dataclasses

from hypothesis import strategies as st

from dunlin_contract import fit, manifest
from dunlin_contract.limits import LIMITS
from dunlin_contract.manifest import chunk_count
from dunlin_contract.slot import slot_bytes
from tests.contract.strategies.values import (
    ascending,
    digest,
    dtype,
    id16,
    kind,
    maybe,
    name,
    positive,
    real,
    runtime,
    text,
    tuples,
    u32,
    uint,
    version,
    version3,
    word,
)

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
