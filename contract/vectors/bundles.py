"""Vectors of the bundle: manifest, file, index, chunks, what they install, and grants."""  # noqa: INP001 - run from the repository's root; the folder holds data, not a package

import struct
import zlib
from typing import Any

import cbor2

from contract.vectors import material as m
from contract.vectors.material import DROP, Collector, Map, edited, enc, sha


def manifest_envelope(out: Collector) -> None:
    def raw(name: str, expect: str, envelope: bytes, root_name: str = "root-1", **more: Any) -> None:
        out.add("manifest", f"manifest-{name}", expect, bytes=envelope, root=root_name, **more)

    good = m.MANIFEST_ENVELOPE
    raw("good", "ok", good, release=m.RELEASE)
    payload = enc(m.MANIFEST)
    raw("signed-by-two", "ok", m.signed(payload, ["release-1", "stranger"], "dnb/v1/release"), "root-release-2of2")
    raw("signed-also-by-stranger", "ok", m.signed(payload, ["release-1", "stranger"], "dnb/v1/release"))
    malleable = cbor2.loads(good).value[3][0][2]
    s = m.ORDER - int.from_bytes(malleable[32:], "big")
    other = m.reshaped(good, ((3, 0, 2), malleable[:32] + s.to_bytes(32, "big")))
    raw("signature-with-the-other-s", "ok", other, release=m.RELEASE)
    # envelope
    raw("one-of-two-signed", "threshold", good, "root-release-2of2")
    twice = m.reshaped(good, ((3,), [m.signature(payload, "release-1", "dnb/v1/release")] * 2))
    raw("one-key-signed-twice", "threshold", twice, "root-release-2of2")
    raw("signed-by-stranger", "signer-unknown", m.signed(payload, ["stranger"], "dnb/v1/release"))
    raw("signed-by-director", "signer-unknown", m.signed(payload, ["director"], "dnb/v1/release"))
    raw("signed-as-wipe", "signature", m.signed(payload, ["release-1"], "dnb/v1/wipe"))
    raw("signature-flipped", "signature", m.reshaped(good, ((3, 0, 2), m.flipped(malleable, 40))))
    raw("signature-of-zeros", "signature", m.reshaped(good, ((3, 0, 2), bytes(64))))
    raw("signature-of-ones", "signature", m.reshaped(good, ((3, 0, 2), b"\xff" * 64)))
    raw("signature-short", "signature", m.reshaped(good, ((3, 0, 2), malleable[:63])))
    raw(
        "signature-der",
        "signature",
        m.reshaped(good, ((3, 0, 2), b"\x30\x44\x02\x20" + malleable[:32] + b"\x02\x20" + malleable[32:])),
    )
    raw("payload-changed", "signature", m.reshaped(good, ((2,), enc(edited(m.MANIFEST, ((3,), 8))))))
    bad_second = [
        m.signature(payload, "release-1", "dnb/v1/release"),
        m.signature(b"other", "stranger", "dnb/v1/release"),
    ]
    raw("second-signature-does-not-hold", "signature", m.reshaped(good, ((3,), bad_second)), "root-release-2of2")
    raw("unsigned", "cose-shape", payload)
    raw("no-signatures", "cose-shape", m.reshaped(good, ((3,), [])))
    raw(
        "seventeen-signatures",
        "count",
        m.reshaped(good, ((3,), [m.signature(payload, "release-1", "dnb/v1/release")] * 17)),
    )
    raw("tag-of-sign1", "cose-shape", m.reshaped(good, tag=18))
    raw("untagged", "cose-shape", enc(cbor2.loads(good).value))
    raw("payload-detached", "cose-shape", m.reshaped(good, ((2,), None)))
    raw("signature-not-bytes", "cose-shape", m.reshaped(good, ((3, 0, 2), "text")))
    raw("signature-of-four", "cose-shape", m.reshaped(good, ((3, 0), [*m.signature(payload, "release-1", "x"), 0])))
    raw("unprotected-header", "cose-header", m.reshaped(good, ((1,), {4: m.kid("release-1")})))
    raw("signer-unprotected-header", "cose-shape", m.reshaped(good, ((3, 0, 1), {4: m.kid("release-1")})))
    raw("body-header-not-bytes", "cose-shape", m.reshaped(good, ((0,), {3: "application/dnb+cbor"})))
    raw("content-type-missing", "cose-header", m.reshaped(good, ((0,), b"")))
    raw("content-type-other", "cose-header", m.reshaped(good, ((0,), enc({3: "application/cbor"}))))
    raw("algorithm-es256", "cose-header", m.reshaped(good, ((3, 0, 0), enc({1: -7, 4: m.kid("release-1")}))))
    raw("kid-of-seven-bytes", "cose-header", m.reshaped(good, ((3, 0, 0), enc({1: -9, 4: m.kid("release-1")[:7]}))))
    # In Python, True == 1 == 1.0: these headers must not pass for {1: -9, 4: kid}.
    as_true = bytes.fromhex("a2f5280448") + m.kid("release-1")
    raw("header-key-true", "cose-header", m.reshaped(good, ((3, 0, 0), as_true)))
    as_float = bytes.fromhex("a201f9c8800448") + m.kid("release-1")
    raw("header-algorithm-as-float", "cose-header", m.reshaped(good, ((3, 0, 0), as_float)))
    raw("header-not-bytes", "cose-shape", m.reshaped(good, ((3, 0, 0), {1: -9, 4: m.kid("release-1")})))
    raw("trailing-byte", "canonical", good + b"\x00")
    raw("cut-short", "encoding", good[:-1])
    raw("over-8-kib", "size", m.signed(bytes(8192), ["release-1"], "dnb/v1/release"))
    raw("payload-not-canonical", "canonical", m.signed(b"\xb8\x08" + payload[1:], ["release-1"], "dnb/v1/release"))
    raw("payload-not-a-map", "type", m.signed(enc([1]), ["release-1"], "dnb/v1/release"))


def manifest(out: Collector) -> None:
    def add(name: str, expect: str, *edits: tuple[tuple[Any, ...], Any]) -> None:
        envelope = m.signed(enc(edited(m.MANIFEST, *edits)), ["release-1"], "dnb/v1/release")
        out.add("manifest", f"manifest-{name}", expect, bytes=envelope, root="root-1")

    add("field-unknown", "field-unknown", ((8,), 0))
    add("field-unknown-text", "field-unknown", (("url",), "https://example.org"))
    add("nested-field-unknown", "field-unknown", ((6, 0, 4, 9), 0))
    add("field-missing", "field-missing", ((3,), DROP))
    add("format-2", "version", ((0,), 2))
    add("format-true", "version", ((0,), True))
    add("counter-true", "type", ((3,), True))
    add("counter-negative", "range", ((3,), -1))
    add("counter-too-large", "range", ((3,), 2**32))
    add("counter-as-float", "type", ((3,), 7.0))
    add("name-uppercase", "value", ((1,), "Digits"))
    add("name-path", "value", ((1,), "../digits"))
    add("name-too-long", "range", ((1,), "d" * 33))
    add("name-bytes", "type", ((1,), b"digits"))
    add("version-two-parts", "value", ((2,), "1.2"))
    add("version-leading-zero", "value", ((2,), "1.02.3"))
    add("version-empty-field", "value", ((2,), "1.2.3-a..b"))
    add("version-numeric-field-leading-zero", "value", ((2,), "1.2.3-01"))
    add("version-build-metadata", "value", ((2,), "1.2.3+5"))
    add("default-written", "canonical", ((6, 0, 1, 3), 0))
    add("tensor-name-control", "value", ((6, 0, 2, 0, 0, 0), "im\nage"))
    add("tensor-name-direction-override", "value", ((6, 0, 2, 0, 0, 0), "im\u202eage"))
    add("tensor-dtype-unknown", "value", ((6, 0, 2, 0, 0, 1), "int4"))
    add("scale-nan", "range", ((6, 0, 2, 0, 0, 3, 0), float("nan")))
    add("scale-infinite", "range", ((6, 0, 2, 0, 0, 3, 0), float("inf")))
    add("scale-integer", "type", ((6, 0, 2, 0, 0, 3, 0), 1))
    add("softmax-one", "type", ((6, 0, 2, 3, 0), 1))
    add("variants-none", "count", ((6,), []))
    add("variants-nine", "count", ((6,), [edited(m.VARIANT, ((0,), f"v{n}")) for n in range(9)]))
    add("variants-a-map", "type", ((6,), m.VARIANT))
    add("variants-a-number", "type", ((6,), 1))
    add("payload-id-short", "range", ((7, 0, 0), bytes(15)))
    add("payload-id-text", "type", ((7, 0, 0), "0" * 16))
    add("aead-unknown", "value", ((7, 0, 12), 1))
    add("compression-unknown", "value", ((7, 0, 3), 2))
    add("compression-false", "value", ((7, 0, 3), False))


def manifest_across_fields(out: Collector) -> None:
    def add(name: str, expect: str, *edits: tuple[tuple[Any, ...], Any]) -> None:
        envelope = m.signed(enc(edited(m.MANIFEST, *edits)), ["release-1"], "dnb/v1/release")
        out.add("manifest", f"manifest-{name}", expect, bytes=envelope, root="root-1")

    add("ends-before-created", "manifest-time", ((5,), m.NOW))
    add("chunk-count", "payload-length", ((7, 0, 10), 3), ((7, 0, 8), 4100 + 3 * 16))
    add("ciphertext-length", "payload-length", ((7, 0, 8), m.CONTENT.payloads[0][8] + 1))
    add("installed-length-of-stored", "payload-length", ((7, 0, 5), 4099))
    add("kind-twice", "variant-kind", ((6,), [m.VARIANT, m.VARIANT]))
    add("payload-id-twice", "payload-id", ((7, 1, 0), m.CONTENT.payloads[0][0]))
    stray = {**m.CONTENT.payloads[2], 0: m.fill("stray", 16), 1: "report"}
    add("payload-of-no-variant", "payload-index", ((7,), [*m.CONTENT.payloads, stray]))
    add("payload-index-out-of-list", "payload-index", ((6, 0, 3), [0, 1, 2, 3]))
    add("payload-indexes-descend", "order", ((6, 0, 3), [1, 0, 2]))
    add("payload-index-twice", "order", ((6, 0, 3), [0, 1, 1, 2]))
    add("no-model", "model-missing", ((7, 0, 1), "report"))
    add("only-a-delta-of-the-model", "model-missing", ((7, 0, 4), bytes(32)))
    add("labels-as-model", "model-missing", ((7, 2, 1), "model"))
    add("model-format-of-another-runtime", "payload-role", ((7, 0, 2), "onnx"))
    add("golden-is-labels", "payload-role", ((6, 0, 5, 0), 2))
    add("golden-of-no-payload", "payload-role", ((6, 0, 5, 0), 31))
    add("labels-is-golden", "payload-role", ((6, 0, 2, 3, 2), 1))
    huge = 262_145
    labels = edited(m.CONTENT.payloads[2], ((5,), huge), ((7,), huge), ((8,), huge + 65 * 16), ((10,), 65))
    add("labels-over-the-cap", "size", ((7, 2), labels))
    many = 262_144 * 4096
    full = edited(m.CONTENT.payloads[0], ((5,), many), ((7,), many), ((8,), many + 262_144 * 16), ((10,), 262_144))
    add("more-chunks-than-an-index-holds", "count", ((7, 0), full))
    add("ops-unsorted", "order", ((6, 0, 1, 2), m.FIT[2][::-1]))
    add("op-twice", "order", ((6, 0, 1, 2), [m.FIT[2][0]] * 2))
    add("hardware-unsorted", "order", ((6, 0, 1, 6), ["pi5", "pi4"]))


def manifest_for_microcontrollers(out: Collector) -> None:
    def raw(name: str, expect: str, value: Map, **more: Any) -> None:
        envelope = m.signed(enc(value), ["release-1"], "dnb/v1/release")
        out.add("manifest", f"manifest-tflm-{name}", expect, bytes=envelope, root="root-1", **more)

    def add(name: str, expect: str, *edits: tuple[tuple[Any, ...], Any]) -> None:
        raw(name, expect, edited(m.MICRO_MANIFEST, *edits))

    raw("good", "ok", m.MICRO_MANIFEST, release=sha(enc(m.MICRO_MANIFEST)))
    both = [*m.CONTENT.payloads, *m.MICRO_CONTENT.payloads]
    second = edited(m.MICRO_VARIANT, ((3,), [3, 4, 5]), ((5, 0), 4), ((2, 3, 2), 5))
    # What is for other devices may be compressed.
    add("beside-another", "ok", ((6,), [m.VARIANT, second]), ((7,), both))
    add("stores", "ok", ((6, 0, 1, 7), ["plain-flash"]))
    add("stores-unsorted", "order", ((6, 0, 1, 7), ["plain-flash", "locked"]))
    add("store-unknown", "value", ((6, 0, 1, 7), ["tape"]))
    add("stores-five", "count", ((6, 0, 1, 7), ["locked"] * 5))
    add("stores-none-written", "canonical", ((6, 0, 1, 7), []))
    size = len(m.PACKED)
    add("golden-compressed", "tflm-payload", ((7, 1, 3), 1), ((7, 1, 7), size), ((7, 1, 8), size + 16))
    add("chunks-of-128-kib", "tflm-payload", ((7, 0, 8), 9016), ((7, 0, 9), 17), ((7, 0, 10), 1))
    delta = edited(m.MICRO_CONTENT.payloads[0], ((0,), m.fill("micro delta", 16)), ((4,), bytes(32)))
    add("delta", "tflm-payload", ((6, 0, 3), [0, 1, 2, 3]), ((7,), [*m.MICRO_CONTENT.payloads, delta]))
    # A variant that would not lie in the flash that it asks for must not pass for one that fits.
    add("flash-one-byte-short", "payload-length", ((6, 0, 1, 4), m.MICRO_SLOT - 1))
    add("flash-not-stated", "payload-length", ((6, 0, 1, 4), DROP))

    def padded(length: int) -> Map:
        """Tensors with names of 100 bytes, and one with as many as are left."""
        tensors = [{**m.TENSOR_IN, 0: "n" * 100} for _ in range(27)]
        value = edited(m.MICRO_MANIFEST, ((6, 0, 2, 0), tensors))
        left = length - len(m.signed(enc(value), ["release-1"], "dnb/v1/release"))
        return edited(value, ((6, 0, 2, 0, 0, 0), "n" * (100 + left)))

    raw("of-4-kib", "ok", padded(4096))
    raw("over-4-kib", "size", padded(4097))


def bundle(out: Collector) -> None:
    def add(name: str, expect: str, data: bytes) -> None:
        out.add("bundle", f"bundle-{name}", expect, bytes=data, root="root-1")

    good = m.bundle()
    size = len(good)
    index_at = 28 + len(m.MANIFEST_ENVELOPE)
    add("good", "ok", good)
    micro = m.signed(enc(m.MICRO_MANIFEST), ["release-1"], "dnb/v1/release")
    add("for-microcontrollers", "ok", m.bundle_of(m.MICRO_CONTENT, micro))
    add("empty", "magic", b"")
    add("text-mode-transfer", "magic", good.replace(b"\r\n", b"\n", 1))
    add("eighth-bit-stripped", "magic", b"\x09" + good[1:])
    add("ends-in-header", "header", good[:27])
    add("format-2", "header", m.flipped(good, 9, 1))
    add("flags", "header", m.flipped(good, 11))
    add("manifest-length-over-the-cap", "size", good[:12] + struct.pack(">I", 8193) + good[16:])
    add("ends-in-manifest", "lengths", good[:100])
    add("header-index-length", "lengths", good[:16] + struct.pack(">I", 32) + good[20:])
    add("header-chunks-length", "lengths", m.flipped(good, 27))
    add("cut-short", "lengths", good[:-1])
    add("ends-in-index", "lengths", good[: index_at + 40])
    add("trailing-byte", "trailing", good + b"\x00")
    add("manifest-flipped", "signature", m.flipped(good, 28 + 60))
    add("leaf-flipped", "merkle", m.flipped(good, index_at + 33))
    leaves = m.CONTENT.leaves
    add("leaves-swapped", "merkle", m.bundle(leaves=b"".join([leaves[1], leaves[0], *leaves[2:]])))
    add("chunk-flipped", "leaf", m.flipped(good, size - 1))
    first, second = m.CONTENT.chunks[0]
    rest = b"".join(chunk for chunks in m.CONTENT.chunks[1:] for chunk in chunks)
    forged = m.sealed_chunks(m.CEK, m.CONTENT.payloads[0][0], b"\x00" * 4100, 12)
    add("chunks-forged-by-a-device-that-knows-the-key", "leaf", m.bundle(body=b"".join(forged) + rest))
    add("chunks-swapped", "leaf", m.bundle(body=second + first + rest))

    seven = [sha(bytes([n])) for n in range(7)]
    size = 7 * 4096
    model = edited(
        m.CONTENT.payloads[0], ((5,), size), ((7,), size), ((8,), size + 7 * 16), ((10,), 7), ((11,), m.tree(seven))
    )
    manifest_of_seven = enc(edited(m.MANIFEST, ((7, 0), model)))
    others = leaves[2:]

    def index(name: str, expect: str, given: list[bytes]) -> None:
        out.add("index", f"index-{name}", expect, manifest=manifest_of_seven, index=b"".join([*given, *others]))

    index("seven-leaves", "ok", seven)
    index("leaf-missing", "lengths", seven[:6])
    index("leaf-more", "lengths", [*seven, seven[6]])
    # Inner nodes in place of leaves have the same root: only the signed count tells.
    index("nodes-as-leaves", "lengths", [m.tree(seven[:4]), m.tree(seven[4:])])
    index("leaf-other", "merkle", [*seven[:6], bytes(32)])
    index("leaves-swapped", "merkle", [seven[1], seven[0], *seven[2:]])


def chunk(out: Collector) -> None:
    first, last = m.CONTENT.chunks[0]
    base = {
        "cek": m.CEK,
        "payload_id": m.CONTENT.payloads[0][0],
        "aead": 24,
        "chunk_log2": 12,
        "index": 1,
        "last": True,
        "bytes": last,
        "leaf": m.leaf(last),
    }

    def add(name: str, expect: str, **changes: Any) -> None:
        out.add("chunk", f"chunk-{name}", expect, **{**base, **changes})

    add("last", "ok", plaintext=m.MODEL_BYTES[4096:])
    add("first", "ok", bytes=first, leaf=m.leaf(first), index=0, last=False, plaintext=m.MODEL_BYTES[:4096])
    none = m.sealed_chunks(m.CEK, base["payload_id"], b"", 12)[0]
    add("of-an-empty-payload", "ok", bytes=none, leaf=m.leaf(none), index=0, plaintext=b"")
    far = m.sealed_chunks(m.CEK, base["payload_id"], bytes(300 * 4096), 12)[256]
    add("index-256", "ok", bytes=far, leaf=m.leaf(far), index=256, last=False, plaintext=bytes(4096))
    add("flipped", "leaf", bytes=m.flipped(last, 0))
    add("of-another-leaf", "leaf", leaf=m.leaf(first))
    add("leaf-without-prefix", "leaf", leaf=sha(last))
    add("as-not-last", "chunk-open", last=False)
    add("at-another-index", "chunk-open", index=0)
    add("under-another-key", "chunk-open", cek=bytes(32))
    add("under-another-payload-id", "chunk-open", payload_id=bytes(16))
    add("under-another-chunk-size", "chunk-open", chunk_log2=17)
    add("tag-flipped-before-hashing", "chunk-open", bytes=m.flipped(last, -1), leaf=m.leaf(m.flipped(last, -1)))
    add("shorter-than-a-tag", "chunk-open", bytes=last[:15], leaf=m.leaf(last[:15]))
    add("aead-unknown", "value", aead=1)


def install(out: Collector) -> None:
    stored, packed = m.CONTENT.payloads[0], m.CONTENT.payloads[1]
    golden = enc(m.GOLDEN)
    thin = zlib.compress(golden, 9)

    def add(name: str, expect: str, payload: Map, plaintext: list[bytes], **more: Any) -> None:
        out.add("install", f"install-{name}", expect, payload=enc(payload), plaintext=plaintext, **more)

    add("stored", "ok", stored, [m.MODEL_BYTES[:4096], m.MODEL_BYTES[4096:]], installed=m.MODEL_BYTES)
    add("zlib", "ok", packed, [thin[:10], thin[10:]], installed=golden)
    add("other-bytes", "installed", stored, [m.MODEL_BYTES[:4096], bytes(4)])
    add("too-short", "installed", stored, [m.MODEL_BYTES[:4096]])
    add("too-long", "installed", stored, [m.MODEL_BYTES, b"\x00"])
    bomb = zlib.compress(bytes(100_000), 9)
    add("zlib-bomb", "installed", packed, [bomb])
    add("zlib-not-a-stream", "installed", packed, [golden])
    add("zlib-cut-short", "installed", packed, [thin[:-1]])
    add("zlib-bytes-after-the-stream", "installed", packed, [thin, b"\x00"])


def grant(out: Collector) -> None:
    good = m.GRANT

    def add(name: str, expect: str, data: bytes = good, **changes: Any) -> None:
        fields = {"key": "device-kem", "release": m.RELEASE, "recipient": "pi-1", **changes}
        out.add("grant", f"grant-{name}", expect, bytes=data, **fields)

    protected, unprotected, sealed = cbor2.loads(good)
    enc_key = unprotected[-4]
    add("device", "ok", cek=m.CEK)
    vault = m.grant("vault", m.RELEASE, "@vault", m.CEK)
    add("vault", "ok", vault, key="vault", recipient="@vault", cek=m.CEK)
    add("for-another-key", "grant-open", key="device-kem-2")
    add("for-another-device", "grant-open", recipient="pi-2")
    add("for-another-release", "grant-open", release=bytes(32))
    add("ciphertext-flipped", "grant-open", enc([protected, unprotected, m.flipped(sealed, 0)]))
    add("encapsulated-key-flipped", "grant-open", enc([protected, {-4: m.flipped(enc_key, 64)}, sealed]))
    add("encapsulated-key-zero", "grant-open", enc([protected, {-4: b"\x04" + bytes(64)}, sealed]))
    add("kid-of-ours-sealed-to-another", "grant-open", enc([protected, *cbor2.loads(vault)[1:]]))
    add("ciphertext-short", "grant-shape", enc([protected, unprotected, sealed[:-1]]))
    add("encapsulated-key-compressed", "grant-shape", enc([protected, {-4: b"\x02" + enc_key[1:33]}, sealed]))
    add("encapsulated-key-missing", "grant-shape", enc([protected, {}, sealed]))
    add("header-unknown", "grant-shape", enc([protected, {-4: enc_key, 5: b""}, sealed]))
    # In Python, -4.0 == -4: this label must not pass for it.
    label = bytes.fromhex("f9c400")
    as_float = good.replace(b"\xa1\x23\x58\x41", b"\xa1" + label + b"\x58\x41")
    add("label-as-float", "grant-shape", as_float)
    add("header-not-bytes", "grant-shape", enc([{1: -65537, 4: m.kid("device-kem")}, unprotected, sealed]))
    add("of-four", "grant-shape", enc([protected, unprotected, sealed, b""]))
    add("not-an-array", "grant-shape", enc({0: protected}))
    add("tagged", "encoding", b"\xd0" + good)
    add("algorithm-other", "cose-header", enc([enc({1: -65538, 4: m.kid("device-kem")}), unprotected, sealed]))
    add("header-key-true", "cose-header", enc([bytes.fromhex("a2") + b"\xf5" + protected[2:], unprotected, sealed]))
    add("trailing-byte", "canonical", good + b"\x00")
    add("over-the-cap", "size", enc([protected, unprotected, bytes(512)]))


def slot(out: Collector) -> None:
    def add(name: str, lengths: list[int], chunks: int, slot_bytes: int) -> None:
        out.add("slot", f"slot-{name}", "ok", lengths=lengths, chunks=chunks, slot_bytes=slot_bytes)

    add("micro", [payload[5] for payload in m.MICRO_CONTENT.payloads], 5, m.MICRO_SLOT)
    add("one-empty-payload", [0], 1, 4096 + 4096 + 4096)
    add("full-sectors", [4096, 8192], 3, 3 * 4096 + 3 * 4096)
    add("a-byte-over", [4097], 2, 3 * 4096 + 2 * 4096)
    add("marks-fill-a-sector", [126 * 4096], 126, 3 * 4096 + 126 * 4096)
    add("marks-need-a-second-sector", [127 * 4096], 127, 4 * 4096 + 127 * 4096)
    add("leaves-need-a-second-sector", [129 * 4096], 129, 5 * 4096 + 129 * 4096)


KINDS = (
    manifest_envelope,
    manifest,
    manifest_across_fields,
    manifest_for_microcontrollers,
    bundle,
    chunk,
    install,
    grant,
    slot,
)
