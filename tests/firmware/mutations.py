"""Good messages made bad, or differently good: changed as values, changed as bytes, and signed again."""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import cbor2

from contract.vectors import material as m
from tests.contract import vectors
from tests.contract.vectors import Vector, octets

EDGES: tuple[int, ...] = (0, 1, 2, 12, 23, 24, 255, 256, 4096, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**32)
EDGES += (2**48, 2**48 + 1, 2**53 - 1, 2**53, 2**63, 2**64 - 1, 253_402_300_799, 253_402_300_800)
EDGES += (-1, -2, -32768, -32769)
WORDS: tuple[str, ...] = ("", "a", "digits", "obj", "tflm", "stop", "issued", "A b", "x\x7f", "é", "\u202e", "1.0.0")
WORDS += ("a" * 65, "ü" * 129)
OTHERS: tuple[Any, ...] = (None, True, False, 0.0, 1.0, -0.0, 0.5, 1e-10, 1e300, float("inf"), float("nan"), 2**70)
OTHERS += ([], {}, b"", [[]], {0: 1}, {"a": 1}, {True: 1})
OTHERS += (cbor2.undefined, cbor2.CBORSimpleValue(200), cbor2.CBORTag(18, 1))


# ---- values


def _copied(value: Any) -> Any:
    """A decoded value as lists and tables that can be changed in place."""
    if isinstance(value, dict):
        return {key: _copied(one) for key, one in value.items()}
    return [_copied(one) for one in value] if isinstance(value, list | tuple) else value


def places(value: Any) -> list[tuple[Any, Any]]:
    """Each (container, key or index) inside a value."""
    inside: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inside = [(value, key) for key in value]
    elif isinstance(value, list):
        inside = [(value, index) for index in range(len(value))]
    return inside + [place for container, key in inside for place in places(container[key])]


def _near(value: Any, random: Random) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return random.choice([value + 1, value - 1, *EDGES])
    if isinstance(value, float):
        return random.choice([-value, value * 2, value / 3, 1e-9, 1e-10, 65504.0, 65505.0, 2.0**-24, 2.0**-149, 1e300])
    if isinstance(value, bytes):
        return random.choice([value[:-1], value + b"\x00", b"", random.randbytes(len(value)), value * 2])
    if isinstance(value, str):
        return random.choice([value + "-", value.upper(), value + "\u2028", value[:-1], *WORDS])
    return _copied(value)


def _change(value: Any, random: Random) -> None:
    """One thing inside ``value`` is another, gone, there twice, or elsewhere."""
    container, key = random.choice(places(value))
    how = random.randrange(6)
    if how <= 1:
        container[key] = _near(container[key], random)
    elif how == 2:
        container[key] = _copied(random.choice([*OTHERS, *WORDS, *EDGES]))
    elif how == 3:
        del container[key]
    elif isinstance(container, list):
        if how == 4:
            container.insert(random.randrange(len(container) + 1), _copied(container[key]))
        else:
            random.shuffle(container)
    elif how == 4:
        container[random.choice([-1, 5, 7, 10, 11, 24, 4.0, "x", b"k", True])] = random.choice(
            [1, "a", b"", container[key]]
        )
    else:
        _, other = random.choice([place for place in places(value) if place[0] is container])
        container[key], container[other] = container[other], container[key]


def changed(value: Any, random: Random) -> bytes:
    """The encoding of a changed copy; now and then not the deterministic one, or nothing was changed."""
    value = _copied(value)
    for _ in range(random.choice([0, 1, 1, 1, 1, 2])):
        if places(value):
            _change(value, random)
    return cbor2.dumps(value, canonical=random.random() < 0.95)


RECORDS: dict[str, Any] = {
    "root": m.ROOT,
    "manifest": m.edited(m.MANIFEST, ((6, 0, 1, 3), 65536), ((6, 0, 1, 7), ["locked", "no-swap"])),
    "directive": {**m.DIRECTIVE, 8: m.WIPE_ENVELOPE, 10: bytes(32), 12: {"digits": m.CAPTURE_ENVELOPE}},
    "desired": m.DESIRED,
    "fit": {**m.FIT, 3: 65536, 4: 1 << 20, 7: ["locked", "no-swap"]},
    "payload": {**m.CONTENT.payloads[1], 4: bytes(32)},
    "golden": m.GOLDEN,
    "settings": {0: 1, 1: 60, 2: 61, 3: 4, 4: 21, 5: 301, 6: 21, 7: 3601, 8: 301},
    "ack": {0: 1, 1: "pi-1", 2: bytes(16), 3: 7},
    "wipe-order": m.WIPE,
    "enrol-reply": {0: 1, 1: "issued", 2: [b"chain"], 3: "broker", 4: 1, 5: 2, 6: b"root", 7: "reason"},
    "claim-token": {0: 1, 1: "https://fleet.example", 2: bytes(32), 3: bytes(8), 4: bytes(16), 5: m.LATER},
}
"""Records that a microcontroller reads, each with every field that it takes."""

_REPLACED: tuple[Any, ...] = (None, True, 0, 1, -1, 2**64 - 1, 0.0, -1.0, 1e-10, float("inf"), float("nan"))
_REPLACED += ("", "A", "\u202e", b"", [], {})
_KEYS = range(13)
_DEFAULTS: tuple[Any, ...] = (0, "", [], None, b"")


def each_change(value: Any) -> Iterator[bytes]:
    """Every place of a value another value, or gone; every list shorter and longer; every absent key there."""
    box = [_copied(value)]
    for container, key in places(box):
        kept = container[key]
        others: list[Any] = list(_REPLACED)
        if isinstance(kept, list):
            others += [kept[:-1], kept + kept]
        if isinstance(kept, dict):
            others += [{**kept, absent: one} for absent in _KEYS if absent not in kept for one in _DEFAULTS]
        for other in others:
            container[key] = other
            yield m.enc(box[0])
        container[key] = kept
        if isinstance(container, dict):
            del container[key]
            yield m.enc(box[0])
            container[key] = kept


# ---- bytes


def damaged(data: bytes, random: Random) -> bytes:
    """A few bytes are others, gone, or there twice."""
    out = bytearray(data)
    for _ in range(random.choice([1, 1, 1, 2, 3])):
        at, length = random.randrange(len(out) + 1), random.choice([1, 1, 2, 5, 9])
        how = random.randrange(5)
        if how == 0 and at < len(out):
            out[at] ^= 1 << random.randrange(8)
        elif how == 1:
            out[at : at + length] = random.randbytes(length)
        elif how == 2:
            del out[at : at + length]
        elif how == 3:
            out[at:at] = out[at : at + 8 * length]
        elif at < len(out):
            out[at] = random.choice(
                [0x00, 0x17, 0x18, 0x40, 0x60, 0x7F, 0x80, 0x9F, 0xA0, 0xBF, 0xF4, 0xF6, 0xF9, 0xFB, 0xFF]
            )
    return bytes(out)


# ---- messages


def _sign1(signer: str, role: str) -> Callable[[bytes], bytes]:
    return lambda payload: m.signed1(payload, signer, role)


def _sign(signers: list[str], role: str) -> Callable[[bytes], bytes]:
    return lambda payload: m.signed(payload, signers, role)


SIGN: dict[str, Callable[[bytes], bytes]] = {
    "manifest": _sign(["release-1"], "dnb/v1/release"),
    "root-first": _sign(["root-1"], "dnb/v1/root"),
    "root-next": _sign(["root-1", "root-2"], "dnb/v1/root"),
    "wipe": _sign(["ops-1", "ops-2"], "dnb/v1/wipe"),
    "capture": _sign(["ops-1", "ops-2"], "dnb/v1/capture"),
    "directive": _sign1("director", "dnb/v1/directive"),
    "ack": _sign1("director", "dnb/v1/ack"),
    "enrol-request": _sign1("device", "dnb/v1/enrol"),
    "renew": _sign1("device", "dnb/v1/renew"),
    "receipt": _sign1("device", "dnb/v1/receipt"),
    "signed-reported": _sign1("device", "dnb/v1/reported"),
    "signed-event": _sign1("device", "dnb/v1/event"),
}
"""How each kind of envelope is signed by those who may."""

_RAW = ("frame", "link-stream", "link-message", "link-claim")


def mutated(vector: Vector, random: Random) -> Vector:
    """A vector whose message was changed; what to expect of it is for the implementations to say."""
    kind, data = vector["kind"], vector.get("bytes", "") and octets(vector)
    new = dict(vector)
    if kind == "claim-token":
        text = damaged(vector["text"].encode(), random).decode("latin-1")
        return {**new, "text": "".join(one for one in text if one.isprintable() or one == " ")}
    if kind in _RAW or random.random() < 0.2:
        made = damaged(data, random)
    elif kind in SIGN:
        payload = cbor2.loads(data).value[2]
        raw = damaged(payload, random) if random.random() < 0.2 else changed(cbor2.loads(payload), random)
        made = SIGN[kind](raw)
        if kind == "root-first":
            new["digest"] = m.sha(raw).hex()
    else:
        made = changed(cbor2.loads(data), random)
    return {**new, "bytes": made.hex()}


def seeds(kind: str) -> list[Vector]:
    """Good messages of a kind."""
    return [vector for vector in vectors.every() if vector["kind"] == kind and vector["expect"] == "ok"]
