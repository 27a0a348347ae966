"""The manifest: what a release is, signed. It holds digests and limits only: a microcontroller keeps it in RAM."""

import hashlib
from collections.abc import Iterator
from typing import ClassVar

from dunlin_contract import ids, merkle, slot
from dunlin_contract.fit import Fit
from dunlin_contract.limits import LIMITS
from dunlin_contract.rules import Rule, require
from dunlin_contract.schema import Record, array, at, boolean, format_version, octets, one_of, real, record, text, uint

AEAD_CHACHA20_POLY1305 = 24
"""COSE algorithm registry."""
TAG_BYTES = 16

ROLES = ("model", "labels", "golden", "baseline", "report", "provenance")
FORMATS = ("tflite", "onnx", "tflm", "cbor", "text")
STORED, ZLIB = 0, 1
"""Compression ids: none, and zlib (RFC 1950), which every device's standard library reads."""
DTYPES = (
    "bool",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "float16",
    "float32",
    "float64",
)
MICRO_RUNTIME = "tflm"
_MODEL_FORMAT = {"litert": "tflite", "onnxruntime": "onnx", "tensorrt": "onnx", MICRO_RUNTIME: "tflm"}

_digest = octets(32)
_length = uint(LIMITS.payload_bytes)


class Quantization(Record):
    """Affine: real = scale * (stored - zero_point)."""

    scale: float = at(0, real(0.0))
    zero_point: int = at(1, uint(65535, -32768))


class Tensor(Record):
    """One input or output. A dimension of -1 is free."""

    name: str = at(0, text(LIMITS.text_bytes, least=1))
    dtype: str = at(1, one_of(*DTYPES))
    shape: tuple[int, ...] = at(2, array(uint(2**31 - 1, -1), LIMITS.dimensions))
    quantization: Quantization | None = at(3, record(Quantization), default=None)


class Preprocess(Record):
    """From an image to the first input: resize to height x width, then (pixel - mean) / std per channel."""

    height: int = at(0, uint(65535, 1))
    width: int = at(1, uint(65535, 1))
    layout: str = at(2, one_of("NHWC", "NCHW"))
    color: str = at(3, one_of("rgb", "grey"))
    mean: tuple[float, ...] = at(4, array(real(), 4, 1))
    std: tuple[float, ...] = at(5, array(real(1e-9), 4, 1))


class Postprocess(Record):
    """From the first output to an answer."""

    softmax: bool = at(0, boolean)
    top_k: int = at(1, uint(1000, 1))
    labels: int | None = at(2, uint(LIMITS.payloads - 1), default=None)


class Io(Record):
    """Inputs and outputs in the order in which the runtime takes them."""

    inputs: tuple[Tensor, ...] = at(0, array(record(Tensor), LIMITS.tensors, 1))
    outputs: tuple[Tensor, ...] = at(1, array(record(Tensor), LIMITS.tensors, 1))
    preprocess: Preprocess | None = at(2, record(Preprocess), default=None)
    postprocess: Postprocess | None = at(3, record(Postprocess), default=None)


class Budget(Record):
    """What the packager promises of a variant; probation holds it to that. ``measured_on``: a hardware class."""

    p95_us: int = at(0, uint(2**32 - 1, 1))
    memory_bytes: int = at(1, uint(2**48), default=0)
    measured_on: str = at(2, text(64), default="")


class GoldenCheck(Record):
    """Self-test: payload of inputs and expected outputs, and how far off an output may be on this runtime.

    ``tolerance`` is absolute, in the output tensor's own stored units. ``top1_permille``: share of samples whose
    largest output must be the expected one.
    """

    payload: int = at(0, uint(LIMITS.payloads - 1))
    tolerance: float = at(1, real(0.0))
    top1_permille: int = at(2, uint(1000))


class Variant(Record):
    """One form of the model, for one runtime. ``payloads`` are indexes into the manifest's list, ascending."""

    kind: str = at(0, text(24, ids.is_model))
    fit: Fit = at(1, record(Fit))
    io: Io = at(2, record(Io))
    payloads: tuple[int, ...] = at(3, array(uint(LIMITS.payloads - 1), LIMITS.variant_payloads, 1))
    budget: Budget = at(4, record(Budget))
    golden: GoldenCheck = at(5, record(GoldenCheck))


class Payload(Record):
    """One file inside the bundle: lengths of what is installed, of what is encrypted, of what is carried."""

    id: bytes = at(0, octets(16))
    role: str = at(1, one_of(*ROLES))
    format: str = at(2, one_of(*FORMATS))
    compression: int = at(3, one_of(STORED, ZLIB))
    delta_base: bytes | None = at(4, _digest, default=None)
    installed_length: int = at(5, _length)
    installed_sha256: bytes = at(6, _digest)
    plaintext_length: int = at(7, _length)
    ciphertext_length: int = at(8, _length)
    chunk_log2: int = at(9, uint(LIMITS.chunk_log2_max, LIMITS.chunk_log2_min))
    chunk_count: int = at(10, uint(LIMITS.page_leaves * LIMITS.index_pages, 1))
    merkle_root: bytes = at(11, _digest)
    aead: int = at(12, one_of(AEAD_CHACHA20_POLY1305))

    def check(self) -> None:
        chunks = chunk_count(self.plaintext_length, self.chunk_log2)
        require(
            Rule.PAYLOAD_LENGTH, self.chunk_count == chunks, f"{chunks} chunks are implied, {self.chunk_count} stated"
        )
        length = self.plaintext_length + TAG_BYTES * self.chunk_count
        same = self.ciphertext_length == length
        require(Rule.PAYLOAD_LENGTH, same, f"ciphertext of {length} bytes is implied, {self.ciphertext_length} stated")
        plain = self.compression != STORED or self.delta_base is not None
        same = plain or self.plaintext_length == self.installed_length
        require(Rule.PAYLOAD_LENGTH, same, "a stored payload is as long as what it installs")

    def chunk_length(self, index: int) -> int:
        """Ciphertext bytes of chunk ``index``; every chunk but the last is full."""
        full = 1 << self.chunk_log2
        return min(full, self.plaintext_length - index * full) + TAG_BYTES


def chunk_count(plaintext_length: int, chunk_log2: int) -> int:
    """Chunks of a payload; an empty payload is one empty last chunk."""
    return max(1, -(-plaintext_length // (1 << chunk_log2)))


class Manifest(Record):
    """A release: name, semantic version, security counter, and its closed list of variants and payloads.

    ``variants`` stand in order of preference: a device takes the first that fits.
    """

    CAP_BYTES: ClassVar[int] = LIMITS.manifest_bytes

    format: int = format_version(default=1)
    name: str = at(1, text(LIMITS.name_bytes, ids.is_model))
    version: str = at(2, text(LIMITS.version_bytes, ids.is_version))
    counter: int = at(3, uint(LIMITS.counter))
    created: int = at(4, uint(LIMITS.time_s))
    not_after: int = at(5, uint(LIMITS.time_s))
    variants: tuple[Variant, ...] = at(6, array(record(Variant), LIMITS.variants, 1))
    payloads: tuple[Payload, ...] = at(7, array(record(Payload), LIMITS.payloads, 1))

    def check(self) -> None:
        require(Rule.MANIFEST_TIME, self.created < self.not_after, "not-after must lie after created")
        kinds = [variant.kind for variant in self.variants]
        require(Rule.VARIANT_KIND, len(set(kinds)) == len(kinds), "two variants are of one kind")
        payload_ids = [payload.id for payload in self.payloads]
        require(Rule.PAYLOAD_ID, len(set(payload_ids)) == len(payload_ids), "two payloads share an id")
        named: set[int] = set()
        for variant in self.variants:
            self._check_variant(variant)
            named.update(variant.payloads)
        leaves = sum(payload.chunk_count for payload in self.payloads)
        most = LIMITS.page_leaves * LIMITS.index_pages
        require(Rule.COUNT, leaves <= most, f"{leaves} chunks; a directive can name the index of {most}")
        listed = named == set(range(len(self.payloads)))
        require(Rule.PAYLOAD_INDEX, listed, "every payload must belong to a variant")

    def _check_variant(self, variant: Variant) -> None:
        indexes = variant.payloads
        require(Rule.ORDER, list(indexes) == sorted(set(indexes)), "payload indexes must ascend")
        inside = indexes[-1] < len(self.payloads)
        require(Rule.PAYLOAD_INDEX, inside, f"variant {variant.kind} names a payload that is not listed")
        full = [i for i in indexes if self.payloads[i].role == "model" and self.payloads[i].delta_base is None]
        require(Rule.MODEL_MISSING, len(full) == 1, f"variant {variant.kind} needs exactly one full model payload")
        right = self.payloads[full[0]].format == _MODEL_FORMAT[variant.fit.runtime]
        require(Rule.PAYLOAD_ROLE, right, f"variant {variant.kind}: the model's format is not its runtime's")
        if variant.fit.runtime == MICRO_RUNTIME:
            self._check_micro(variant)
        self._check_baseline(variant)
        self._check_reference(variant, variant.golden.payload, "golden", LIMITS.golden_bytes)
        post = variant.io.postprocess
        if post is not None and post.labels is not None:
            self._check_reference(variant, post.labels, "labels", LIMITS.labels_bytes)

    def _check_micro(self, variant: Variant) -> None:
        """A microcontroller neither decompresses nor applies deltas, and erases flash by the chunk."""
        mine = [self.payloads[index] for index in variant.payloads]
        for payload in mine:
            plain = payload.compression == STORED and payload.delta_base is None
            plain = plain and payload.chunk_log2 == LIMITS.chunk_log2_mcu
            chunk = 1 << LIMITS.chunk_log2_mcu
            require(
                Rule.TFLM_PAYLOAD, plain, f"variant {variant.kind}: payloads must be stored in full, chunks of {chunk}"
            )
        needed = slot.slot_bytes([one.installed_length for one in mine], sum(one.chunk_count for one in mine))
        stated = variant.fit.flash_bytes
        detail = f"variant {variant.kind} takes {needed} bytes of flash, {stated} are stated"
        require(Rule.PAYLOAD_LENGTH, stated >= needed, detail)

    def _check_baseline(self, variant: Variant) -> None:
        """Nothing names the baseline: it is found by its role, so a variant has one at most."""
        mine = [self.payloads[index] for index in variant.payloads if self.payloads[index].role == "baseline"]
        require(Rule.PAYLOAD_ROLE, len(mine) <= 1, f"variant {variant.kind} has several baseline payloads")
        for payload in mine:
            require(Rule.PAYLOAD_ROLE, payload.format == "cbor", f"variant {variant.kind}: a baseline is cbor")
            small = payload.installed_length <= LIMITS.baseline_bytes
            require(Rule.SIZE, small, f"variant {variant.kind}: the baseline is over {LIMITS.baseline_bytes} bytes")

    def _check_reference(self, variant: Variant, index: int, role: str, cap_bytes: int) -> None:
        right = index in variant.payloads and self.payloads[index].role == role
        require(Rule.PAYLOAD_ROLE, right, f"variant {variant.kind}: payload {index} is not its {role}")
        small = self.payloads[index].installed_length <= cap_bytes
        require(Rule.SIZE, small, f"variant {variant.kind}: the {role} payload is over {cap_bytes} bytes")

    @property
    def for_microcontrollers(self) -> bool:
        """Whether a variant is for microcontrollers, which keep the whole manifest in RAM."""
        return any(variant.fit.runtime == MICRO_RUNTIME for variant in self.variants)

    def model_payload(self, variant: Variant) -> int:
        """Index of the variant's full model payload."""
        return next(
            i for i in variant.payloads if self.payloads[i].role == "model" and self.payloads[i].delta_base is None
        )

    def leaf_ranges(self) -> Iterator[range]:
        """For each payload, the places of its leaves in the bundle's index."""
        start = 0
        for payload in self.payloads:
            yield range(start, start + payload.chunk_count)
            start += payload.chunk_count

    def checked_leaves(self, index: bytes) -> list[bytes]:
        """Leaf hashes out of ``index``, which must be the signed one.

        Its length counts: fewer, inner nodes would have the same Merkle root.

        Raises:
            MismatchError: ``lengths`` or ``merkle``.
        """
        require(Rule.LENGTHS, len(index) == self.index_length, "the index is not as long as the manifest implies")
        leaves = merkle.split(index)
        for payload, places in zip(self.payloads, self.leaf_ranges(), strict=True):
            signed = merkle.root(leaves[places.start : places.stop]) == payload.merkle_root
            require(Rule.MERKLE, signed, "the index does not match the signed Merkle root")
        return leaves

    def baseline_payload(self, variant: Variant) -> int | None:
        """Index of the variant's baseline payload (see :mod:`dunlin_contract.drift`), if it has one."""
        return next((i for i in variant.payloads if self.payloads[i].role == "baseline"), None)

    @property
    def index_length(self) -> int:
        """Bytes of the bundle's index."""
        return 32 * sum(payload.chunk_count for payload in self.payloads)

    @property
    def chunks_length(self) -> int:
        """Bytes of all ciphertext chunks."""
        return sum(payload.ciphertext_length for payload in self.payloads)


def release_digest(manifest_payload: bytes) -> bytes:
    """Name of a release: SHA-256 of the manifest's payload bytes, not of its malleable signatures."""
    return hashlib.sha256(manifest_payload).digest()
