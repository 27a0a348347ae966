"""What the test vectors are made of: fixed keys, messages as plain maps, and encodings made by hand.

Deterministic to the byte: keys come from names, ECDSA nonces from RFC 6979, HPKE's ephemeral keys from names. Nothing
of the codec is imported, so that the vectors do not merely repeat it.
"""  # noqa: INP001 - run from the repository's root; the folder holds data, not a package

import base64
import copy
import hashlib
import struct
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tests.contract import rfc9180

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256's group."""
NOW, LATER = 1_800_000_000, 1_900_000_000
Map = dict[Any, Any]
DROP = object()


# ---- plain encodings


def enc(value: object) -> bytes:
    return cbor2.dumps(value, canonical=True)


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def fill(name: str, length: int) -> bytes:
    """Bytes that look random and are always the same."""
    return hashlib.shake_256(b"dunlin vectors: " + name.encode()).digest(length)


def private(name: str) -> ec.EllipticCurvePrivateKey:
    return rfc9180.seeded_key(name)


def spki(key: ec.EllipticCurvePrivateKey | str) -> bytes:
    key = private(key) if isinstance(key, str) else key
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def kid(name: str) -> bytes:
    return sha(spki(name))[:8]


def edited(value: Map, *edits: tuple[tuple[Any, ...], Any]) -> Map:
    """A copy with the value at each path replaced (or the key dropped)."""
    result = copy.deepcopy(value)
    for path, new in edits:
        place: Any = result
        for step in path[:-1]:
            place = place[step]
        if new is DROP:
            del place[path[-1]]
        else:
            place[path[-1]] = new
    return result


# ---- COSE by hand


def ecdsa(name: str, message: bytes) -> bytes:
    r, s = decode_dss_signature(private(name).sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def header(name: str) -> bytes:
    return enc({1: -9, 4: kid(name)})


def signed1(payload: bytes, name: str, role: str, protected: bytes | None = None) -> bytes:
    protected = header(name) if protected is None else protected
    signature = ecdsa(name, enc(["Signature1", protected, role.encode(), payload]))
    return enc(cbor2.CBORTag(18, [protected, {}, payload, signature]))


BODY = enc({3: "application/dnb+cbor"})


def signature(payload: bytes, name: str, role: str) -> list[Any]:
    return [header(name), {}, ecdsa(name, enc(["Signature", BODY, header(name), role.encode(), payload]))]


def signed(payload: bytes, names: list[str], role: str) -> bytes:
    parts = sorted((signature(payload, name, role) for name in names), key=lambda part: part[0])
    return enc(cbor2.CBORTag(98, [BODY, {}, payload, parts]))


def reshaped(envelope: bytes, *edits: tuple[tuple[Any, ...], Any], tag: int | None = None) -> bytes:
    """An envelope with parts of its array replaced, encoded again."""
    value = cbor2.loads(envelope)
    fields = edited({"fields": _lists(value.value)}, *((("fields", *path), new) for path, new in edits))["fields"]
    return enc(cbor2.CBORTag(value.tag if tag is None else tag, fields))


def _lists(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return [_lists(one) for one in value] if isinstance(value, list | tuple) else value


def grant(recipient_key: str, release: bytes, recipient: str, cek: bytes, ephemeral: str = "ephemeral") -> bytes:
    protected = enc({1: -65537, 4: kid(recipient_key)})
    info = enc(["dnb/v1 grant", protected, release, recipient])
    sealed = rfc9180.seal(private(ephemeral), rfc9180.point(private(recipient_key)), info, b"", cek)
    return enc([protected, {-4: sealed[0]}, sealed[1]])


# ---- chunks and trees by hand


def sealed_chunks(cek: bytes, payload_id: bytes, plaintext: bytes, log2: int) -> list[bytes]:
    key = HKDF(hashes.SHA256(), 32, payload_id, b"dnb/v1 payload" + bytes([24, log2])).derive(cek)
    pieces = [plaintext[at : at + (1 << log2)] for at in range(0, len(plaintext), 1 << log2)] or [b""]
    return [
        ChaCha20Poly1305(key).encrypt(place.to_bytes(11, "big") + bytes([place == len(pieces) - 1]), piece, None)
        for place, piece in enumerate(pieces)
    ]


def leaf(chunk: bytes) -> bytes:
    return sha(b"\x00" + chunk)


def tree(leaves: list[bytes]) -> bytes:
    """RFC 9162 section 2.1.1, as it is written there."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha(b"\x01" + tree(leaves[:split]) + tree(leaves[split:]))


# ---- messages, as maps

SIGNERS = ("root-1", "release-1", "director", "ops-1", "ops-2", "ca", "vault")
OTHERS = ("root-2", "stranger", "device", "device-kem", "device-kem-2")


def roles(**kids: tuple[int, list[str]]) -> Map:
    named: dict[str, tuple[int, list[str]]] = {
        "root": (1, ["root-1"]),
        "release": (1, ["release-1"]),
        "director": (1, ["director"]),
        "ops": (2, ["ops-1", "ops-2"]),
        "ca": (1, ["ca"]),
        "vault": (1, ["vault"]),
        **kids,
    }
    return {role: {0: threshold, 1: sorted(kid(one) for one in names)} for role, (threshold, names) in named.items()}


ROOT: Map = {0: 1, 1: 1, 2: NOW, 3: LATER, 4: 1, 5: {kid(n): spki(n) for n in SIGNERS}, 6: roles()}
ROOT_2: Map = {
    **ROOT,
    1: 2,
    5: {**ROOT[5], kid("root-2"): spki("root-2")},
    6: roles(root=(1, ["root-2"])),
}
ROOT_2OF2: Map = {
    **ROOT,
    5: {**ROOT[5], kid("root-2"): spki("root-2"), kid("stranger"): spki("stranger")},
    6: roles(release=(2, ["release-1", "stranger"])),
}
SERVER_KEYS: Map = {0: 1, 1: spki("director"), 2: spki("vault"), 3: spki("ca")}

CEK = fill("cek", 32)
MODEL_BYTES = fill("model", 4100)
LABELS = b"zero\none\ntwo\n"
TENSOR_IN: Map = {0: "image", 1: "int8", 2: [1, 2, 2, 1], 3: {0: 0.5, 1: -3}}
TENSOR_OUT: Map = {0: "scores", 1: "float32", 2: [-1, 3]}
GOLDEN: Map = {
    0: 1,
    1: [
        {
            0: [{0: "image", 1: "int8", 2: [1, 2, 2, 1], 3: bytes([1, 2, 3, 255])}],
            1: [{0: "scores", 1: "float32", 2: [1, 3], 3: struct.pack("<3f", 0.25, 0.5, 0.25)}],
        }
    ],
}


class Content:
    """Payloads of a bundle. Each part: role, format, compression, installed bytes, plaintext."""

    def __init__(self, name: str, parts: Iterable[tuple[str, str, int, bytes, bytes]]) -> None:
        self.payloads: list[Map] = []
        self.chunks: list[list[bytes]] = []
        for role, form, compression, installed, plaintext in parts:
            payload_id = fill(f"{name} {role}", 16)
            chunks = sealed_chunks(CEK, payload_id, plaintext, 12)
            self.chunks.append(chunks)
            self.payloads.append(
                {
                    0: payload_id,
                    1: role,
                    2: form,
                    3: compression,
                    5: len(installed),
                    6: sha(installed),
                    7: len(plaintext),
                    8: sum(map(len, chunks)),
                    9: 12,
                    10: len(chunks),
                    11: tree([leaf(chunk) for chunk in chunks]),
                    12: 24,
                }
            )

    @property
    def leaves(self) -> list[bytes]:
        return [leaf(chunk) for chunks in self.chunks for chunk in chunks]

    @property
    def body(self) -> bytes:
        return b"".join(chunk for chunks in self.chunks for chunk in chunks)


PACKED = zlib.compress(enc(GOLDEN), 9)
CONTENT = Content(
    "payload",
    (
        ("model", "tflite", 0, MODEL_BYTES, MODEL_BYTES),
        ("golden", "cbor", 1, enc(GOLDEN), PACKED),
        ("labels", "text", 0, LABELS, LABELS),
    ),
)
"""Of the bundle that most vectors are about: a two-chunk model, golden samples under zlib, labels."""
FIT: Map = {0: "litert", 1: [2, 0, 0], 2: [{0: "CONV_2D", 1: 3}, {0: "SOFTMAX", 1: 2}], 5: 1_000_000, 6: ["pi4", "pi5"]}
VARIANT: Map = {
    0: "tflite-int8",
    1: FIT,
    2: {
        0: [TENSOR_IN],
        1: [TENSOR_OUT],
        2: {0: 2, 1: 2, 2: "NHWC", 3: "grey", 4: [0.5], 5: [0.25]},
        3: {0: True, 1: 3, 2: 2},
    },
    3: [0, 1, 2],
    4: {0: 2000, 1: 100_000, 2: "pi4"},
    5: {0: 1, 1: 2.0, 2: 950},
}
MANIFEST: Map = {
    0: 1,
    1: "digits",
    2: "1.2.3-rc.1",
    3: 7,
    4: NOW,
    5: LATER,
    6: [VARIANT],
    7: CONTENT.payloads,
}
MICRO_MODEL = fill("micro model", 9000)
MICRO_CONTENT = Content(
    "micro",
    (
        ("model", "tflm", 0, MICRO_MODEL, MICRO_MODEL),
        ("golden", "cbor", 0, enc(GOLDEN), enc(GOLDEN)),
        ("labels", "text", 0, LABELS, LABELS),
    ),
)
"""Of a bundle for microcontrollers: nothing is compressed; five chunks."""


def slot_bytes(lengths: list[int], chunks: int) -> int:
    parts = [64 + 32 * chunks, 4096, 32 * chunks, *lengths]
    return 4096 * sum(-(-part // 4096) for part in parts)


MICRO_SLOT = slot_bytes([payload[5] for payload in MICRO_CONTENT.payloads], 5)
MICRO_FIT: Map = {0: "tflm", 1: [0, 4, 0], 2: [{0: "CONV_2D", 1: 3}], 3: 65_536, 4: MICRO_SLOT}
MICRO_VARIANT: Map = {**VARIANT, 0: "tflm-int8", 1: MICRO_FIT}
MICRO_MANIFEST: Map = {**MANIFEST, 6: [MICRO_VARIANT], 7: MICRO_CONTENT.payloads}
RELEASE = sha(enc(MANIFEST))
MANIFEST_ENVELOPE = signed(enc(MANIFEST), ["release-1"], "dnb/v1/release")
GRANT = grant("device-kem", RELEASE, "pi-1", CEK)
NONCE = fill("boot nonce", 16)
DESIRED: Map = {
    0: RELEASE,
    1: 5,
    2: GRANT,
    3: {0: 86_400, 1: "warn"},
    4: sha(MANIFEST_ENVELOPE),
    5: [sha(b"".join(CONTENT.leaves))],
}
SETTINGS: Map = {0: 1, 1: 60, 3: 4}
WIPE: Map = {0: 1, 1: "pi-1", 2: fill("order", 16), 3: ["digits"], 4: NOW, 5: "device sold"}
WIPE_ALL: Map = {0: 1, 1: "pi-1", 2: fill("order all", 16), 4: NOW}
WIPE_ENVELOPE = signed(enc(WIPE), ["ops-1", "ops-2"], "dnb/v1/wipe")
DIRECTIVE: Map = {
    0: 1,
    1: "pi-1",
    2: 1,
    3: 8,
    4: NOW,
    5: NOW + 3600,
    6: {"digits": DESIRED},
    7: sha(enc(SETTINGS)),
    9: NONCE,
}
DEVICE: Map = {
    0: "pi4",
    1: "aarch64",
    2: 4_000_000_000,
    5: [{0: "litert", 1: [2, 3, 0]}, {0: "onnxruntime", 1: [1, 32, 0], 2: [{0: "Conv", 1: 11}, {0: "Gemm", 1: 13}]}],
    6: {0: "file", 1: "no-swap"},
}
MICRO: Map = {
    0: "mps2-an386",
    1: "armv7e-m",
    2: 4_194_304,
    3: 1_048_576,
    4: 65_536,
    5: [{0: "tflm", 1: [0, 4, 0], 2: [{0: "CONV_2D", 1: 3}]}],
    6: {0: "flash", 1: "plain-flash"},
}
REPORTED: Map = {
    0: 1,
    1: 1,
    2: 8,
    3: NONCE,
    4: [fill("missing", 32)],
    5: {
        "digits": {
            0: "downloading",
            1: fill("active", 32),
            3: RELEASE,
            7: 12,
            8: 1,
            9: 4,
            10: [{0: "onnx-int8", 1: ["runtime onnxruntime is not installed"]}],
        }
    },
    6: DEVICE,
    8: 3600,
    9: NOW,
    10: "0.1.0",
    11: 455,
    12: 1,
}
REPORTED_BY_MICRO: Map = {
    **{key: value for key, value in REPORTED.items() if key not in (4, 11)},
    5: {"digits": {0: "committed", 1: RELEASE, 6: "tflm-int8", 7: 12}},
    6: MICRO,
    7: 41,
}
EVENT: Map = {
    0: 1,
    1: fill("stream", 16),
    2: 42,
    3: "update-rolled-back",
    4: NOW,
    5: 3600,
    6: "digits",
    7: RELEASE,
    8: "latency",
    9: "p95 9800 µs is over the budget of 2000 µs",
}
ACK: Map = {0: 1, 1: "pi-1", 2: fill("stream", 16), 3: 42}
TELEMETRY: Map = {0: 1, 1: {"digits": {0: RELEASE, 1: 100, 2: 1, 3: {0: 3, 73: 90, 512: 7}}}, 2: 12_345_678, 3: 250}
CANDIDATE: Map = {**DESIRED, 0: fill("candidate", 32), 4: fill("candidate's manifest", 32)}
TRIAL: Map = {0: CANDIDATE, 1: "shadow", 2: 250}
CAPTURE: Map = {
    0: 1,
    1: "pi-1",
    2: fill("capture order", 16),
    3: "digits",
    4: NOW,
    5: NOW + 604_800,
    6: 200,
    7: 10,
    8: 50,
    9: True,
    10: [3, 8],
}
CAPTURE_ENVELOPE = signed(enc(CAPTURE), ["ops-1", "ops-2"], "dnb/v1/capture")
RESULT: Map = {
    0: 1,
    1: fill("results", 16),
    2: 7,
    3: NOW,
    4: 3600,
    5: "result",
    6: "digits",
    7: RELEASE,
    8: "camera",
    11: GOLDEN[1][0][1],
}
CAPTURED: Map = {**RESULT, 5: "capture", 9: "margin", 10: GOLDEN[1][0][0]}
GAP: Map = {**{key: RESULT[key] for key in range(5)}, 5: "gap", 12: 3}
FEATURE: Map = {0: "input", 1: "image", 2: "mean", 3: [-0.5, 0.0, 0.5], 4: [6000, 20_000, 30_000, 9535]}
BASELINE: Map = {0: 1, 1: [FEATURE, {0: "output", 1: "scores", 2: "class", 3: [0.5, 1.5], 4: [21_845] * 3}]}
TRIED: Map = {
    **TELEMETRY,
    1: {
        "digits": {
            **TELEMETRY[1]["digits"],
            4: {0: CANDIDATE[0], 1: "shadow", 2: 40, 3: 39, 4: 1, 5: 7, 6: {70: 40}, 7: {0: 30, 90: 10}, 8: 2**24},
            5: [{0: "input image mean", 1: [1, 20, 70, 9], 2: FEATURE[4]}],
            6: [0] * 18 + [9, 91],
        }
    },
    4: {0: 612, 1: 0x50000, 2: 4200, 3: 880, 4: "15W", 5: "reduced"},
}
"""Of a device with a trial, drift and sensors: every field."""
TOKEN: Map = {
    0: 1,
    1: "https://fleet.example:8443",
    2: sha(enc(ROOT)),
    3: fill("token", 8),
    4: fill("secret", 16),
    5: LATER,
}
ENROL: Map = {
    0: 1,
    1: "pi-1",
    2: TOKEN[3],
    3: TOKEN[4],
    4: spki("device"),
    5: spki("device-kem"),
    6: DEVICE,
}
RENEW: Map = {0: 1, 1: "pi-1", 2: spki("device")}
REPLY: Map = {0: 1, 1: "issued", 2: [fill("certificate", 64), fill("ca certificate", 64)], 3: "broker.example", 4: 8883}
RECEIPT: Map = {
    0: 1,
    1: "pi-1",
    2: sha(enc(WIPE)),
    3: [{0: "digits", 1: [RELEASE], 2: fill("storage key", 16)}],
    4: "storage key destroyed, KEM key rotated, files deleted",
    5: "clear",
    6: True,
    7: 6,
    8: 13_000,
    9: NOW,
    10: spki("device-kem-2"),
}


def bundle_of(content: Content, envelope: bytes) -> bytes:
    return bundle(envelope, b"".join(content.leaves), content.body)


def bundle(envelope: bytes = MANIFEST_ENVELOPE, leaves: bytes | None = None, body: bytes | None = None) -> bytes:
    index = b"".join(CONTENT.leaves) if leaves is None else leaves
    chunks = CONTENT.body if body is None else body
    front = struct.pack(">8sHHIIQ", b"\x89DNB\r\n\x1a\n", 1, 0, len(envelope), len(index), len(chunks))
    return front + envelope + index + chunks


def flipped(data: bytes, at: int, bit: int = 0) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1 << bit
    return bytes(changed)


def token_text(value: Map) -> str:
    return "dunlin1-" + base64.urlsafe_b64encode(enc(value)).decode().rstrip("=")


# ---- the link, by hand


def stuffed(data: bytes) -> bytes:
    """COBS (Cheshire, Baker 1999), byte by byte."""
    out, code_at = bytearray(b"\x01"), 0
    for place, byte in enumerate(data):
        if byte:
            out.append(byte)
            out[code_at] += 1
        if not byte or (out[code_at] == 255 and place + 1 < len(data)):
            code_at = len(out)
            out.append(1)
    return bytes(out)


def crc(body: bytes) -> bytes:
    """IEEE 802.3's, bit by bit, big-endian."""
    register = 0xFFFFFFFF
    for byte in body:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0xEDB88320 if register & 1 else 0)
    return (register ^ 0xFFFFFFFF).to_bytes(4, "big")


def frame(body: bytes) -> bytes:
    """Without its delimiter."""
    return stuffed(body + crc(body))


ROOTS = {
    "root-1": signed(enc(ROOT), ["root-1"], "dnb/v1/root"),
    "root-2": signed(enc(ROOT_2), ["root-1", "root-2"], "dnb/v1/root"),
    "root-release-2of2": signed(enc(ROOT_2OF2), ["root-1"], "dnb/v1/root"),
}


def plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


class Collector:
    """Vectors by kind, each name once."""

    def __init__(self) -> None:
        self.kinds: dict[str, list[Map]] = {}
        self._names: set[str] = set()

    def add(self, kind: str, name: str, expect: str, **fields: Any) -> None:
        if name in self._names:
            raise ValueError(f"two vectors are named {name}")
        self._names.add(name)
        self.kinds.setdefault(kind, []).append({"name": name, "kind": kind, "expect": expect, **plain(fields)})
