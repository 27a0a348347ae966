"""``contract/dunlin.cddl`` against the codec: as pycddl reads it, and exactly, value by value."""

import copy
import dataclasses
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import cbor2
import pycddl
import pytest

from contract.vectors import material as m
from dunlin_contract import limits
from dunlin_contract.capture import CaptureOrder
from dunlin_contract.directive import Directive
from dunlin_contract.drift import Baseline
from dunlin_contract.enrolment import ClaimToken, EnrolReply, EnrolRequest, RenewRequest, Trust
from dunlin_contract.errors import ContractError
from dunlin_contract.event import Ack, Event
from dunlin_contract.fit import DeviceDescription, Fit
from dunlin_contract.golden import Golden
from dunlin_contract.manifest import Manifest, Payload
from dunlin_contract.reported import ModelState, Reported
from dunlin_contract.results import Result
from dunlin_contract.root import Root, ServerKeys
from dunlin_contract.rules import Rule
from dunlin_contract.schema import Record
from dunlin_contract.settings import Settings
from dunlin_contract.telemetry import Telemetry
from dunlin_contract.wipe import Receipt, WipeOrder
from tests.contract import vectors
from tests.contract.cddl import Cddl

TEXT = (vectors.FOLDER.parent / "dunlin.cddl").read_text()
CDDL = Cddl(TEXT)

RECORDS: dict[str, tuple[type[Record], Any]] = {
    "root": (Root, m.ROOT),
    "server-keys": (ServerKeys, m.SERVER_KEYS),
    "manifest": (Manifest, m.MANIFEST),
    "payload": (Payload, {**m.CONTENT.payloads[0], 4: bytes(32)}),
    "fit": (Fit, {**m.FIT, 3: 65_536, 4: 1_048_576, 7: ["locked", "no-swap"]}),
    "directive": (
        Directive,
        {**m.DIRECTIVE, 8: m.WIPE_ENVELOPE, 10: bytes(32), 11: {"digits": m.TRIAL}, 12: {"digits": m.CAPTURE_ENVELOPE}},
    ),
    "settings": (Settings, {0: 1, 1: 60, 2: 10, 3: 4, 4: 30, 5: 60, 6: 5, 7: 600, 8: 60}),
    "reported": (Reported, {**m.REPORTED, 7: 41}),
    "model-state": (ModelState, {**m.REPORTED[5]["digits"], 2: bytes(32), 4: "latency", 5: "too slow", 6: "onnx-int8"}),
    "device-description": (DeviceDescription, m.MICRO),
    "event": (Event, {**m.EVENT, 10: b"receipt"}),
    "ack": (Ack, m.ACK),
    "telemetry": (Telemetry, m.TRIED),
    "result": (Result, m.CAPTURED),
    "capture-order": (CaptureOrder, m.CAPTURE),
    "baseline": (Baseline, m.BASELINE),
    "claim-token": (ClaimToken, m.TOKEN),
    "trust": (Trust, {0: 1, 1: b"root", 2: b"ca"}),
    "enrol-request": (EnrolRequest, m.ENROL),
    "enrol-reply": (EnrolReply, m.REPLY),
    "renew-request": (RenewRequest, m.RENEW),
    "wipe-order": (WipeOrder, m.WIPE),
    "receipt": (Receipt, m.RECEIPT),
    "golden": (Golden, m.GOLDEN),
}

EXAMPLES: list[tuple[str, type[Record], Any]] = [
    *((name, cls, example) for name, (cls, example) in RECORDS.items()),
    ("result", Result, m.GAP),
    ("enrol-reply", EnrolReply, {0: 1, 1: "pending", 5: 10}),
    ("enrol-reply", EnrolReply, {0: 1, 1: "issued", 6: b"root"}),
    ("enrol-reply", EnrolReply, {0: 1, 1: "refused", 7: "ask for a new claim token"}),
]
"""Every field of every record; some fields go only with some values of others."""

SCHEMA_RULES = frozenset(
    {
        Rule.TYPE,
        Rule.FIELD_MISSING,
        Rule.FIELD_UNKNOWN,
        Rule.RANGE,
        Rule.COUNT,
        Rule.VALUE,
        Rule.VERSION,
        Rule.CANONICAL,
    }
)
"""What CDDL can say too. ``canonical`` here: a default that is written."""

LENGTHS = (0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 90, 91, 92, 255, 256, 257, 511, 512, 513)
LONG = (1023, 1024, 1025, 2047, 2048, 2049, 4095, 4096, 4097, 16384, 16385)
NUMBERS = sorted(
    {
        near + off
        for near in (
            *(getattr(limits.LIMITS, name) for name in limits.LIMITS.__slots__),
            *(2**bits for bits in (0, 3, 5, 7, 8, 15, 16, 31, 32, 48, 53, 63)),
            *(20, 60, 300, 900, 1000, 3000, 3600, 32768, 86_400, 604_800, 1_000_000, 2_592_000, 315_360_000),
        )
        for off in (-1, 0, 1)
    }
)
EDGES = "\x00\x1f\x20\x7e\x7f\x80\x9f\xa0\u2027\u2028\u202e\u202f\u2065\u2066\u2069\u206a\u200b"
"""Around what text may not hold."""

WORDS = ("", "a", "Z", "obj", "a-b", "-a", "a b", "é", "a\n", "+", *EDGES, *(f"a{edge}" for edge in EDGES))
TEXTS = (
    *WORDS,
    *(letter * length for letter in "a0" for length in (23, 24, 25, 31, 32, 33, 35, 36, 37, 63, 64, 65, 255, 256, 257)),
    "é" * 128,
    "é" * 129,
    *("1.0.0", "1.0", "01.0.0", "1.0.0-a.1", "1.0.0-01", "1.0.0-a..b", "1.0.0-", "1.0.0+b", "1" * 10 + ".0.0"),
    *("1.0.0-" + "a" * 58, "1.0.0-" + "a" * 59, "1.0.0\n", "1.0.0-0a", "1.0.0--"),
    *("https://", "https://x", "http://x", "https://x y", "https://é", "HTTPS://x", "https://x\n"),
)  # fmt: skip
WORDS_IN_USE = tuple(sorted(set(re.findall(r'"([a-z0-9.-]{2,24})"', TEXT))))
OF_EACH_TYPE: tuple[Any, ...] = (
    *(0, 1, -1, 5, True, False, None, 0.0, 1.0, float("nan"), b"", b"a", bytes(8), bytes(16), bytes(32), bytes(91)),
    *("", "a", "ok", "1.0.0", [], {}, [[]], [0], {0: 0}, {"a": 0}, {b"": 0}, [0, 0, 0], [None]),
)
OF_SAME_TYPE: dict[type, tuple[Any, ...]] = {
    int: (*NUMBERS, *(-one for one in (1, 2, 999, 1000, 1001, 32767, 32768, 32769))),
    float: (-0.0, -1.0, 0.5, 1e-9, 9e-10, 1.7976931348623157e308, float("inf"), float("-inf")),
    bytes: tuple(bytes(length) for length in (*LENGTHS, *LONG)),
    str: (*TEXTS, *WORDS_IN_USE),
}


def _read(cls: type[Record], value: Any) -> str:
    try:
        cls.from_cbor(value)
    except ContractError as refusal:
        return refusal.rule
    return "ok"


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from _paths(inner, (*path, key))


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def _mutants(base: Any) -> Iterator[Any]:
    """``base`` with one thing changed: every item replaced, dropped, repeated, or joined by a stranger.

    Changed in place and put back: a mutant is good until the next one is asked for.
    """
    for path in list(_paths(base)):
        holder, key = _at(base, path[:-1]), path[-1]
        present = holder[key]
        for value in (*OF_EACH_TYPE, *OF_SAME_TYPE.get(type(present), ()), *_resized(present)):
            holder[key] = value
            yield base
        holder[key] = present
        if isinstance(holder, dict):
            del holder[key]
            yield base
            holder[key] = present
    for inner in (base, *(_at(base, path) for path in _paths(base))):
        for stranger in (99, -1, "x", b"x", 1.5) if isinstance(inner, dict) else ():
            inner[stranger] = 0
            yield base
            del inner[stranger]


def _resized(value: Any) -> Iterator[Any]:
    """An array or a table with as many entries as any limit, less and more by one."""
    if isinstance(value, list) and value:
        for count in (*range(10), 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 256, 257):
            yield [value[0]] * count
    if isinstance(value, dict) and value:
        key, one = next(iter(value.items()))
        for count in (0, 1, 16, 17, 63, 64, 65, 512, 513):
            if isinstance(key, str):
                yield {f"m{place:03}": one for place in range(count)}
            elif isinstance(key, bytes):
                yield {place.to_bytes(8, "big"): one for place in range(count)}
            else:
                yield dict.fromkeys(range(count), one)


@pytest.mark.parametrize(("name", "cls", "example"), EXAMPLES, ids=[name for name, *_ in EXAMPLES])
def test_codec_and_cddl_agree_on_every_mutant(name: str, cls: type[Record], example: Any) -> None:
    """Same verdict on thousands of messages that differ from a good one in one value: keys, types and limits agree."""
    assert _read(cls, example) == "ok"
    refused = accepted = 0
    for mutant in _mutants(copy.deepcopy(example)):
        verdict = _read(cls, mutant)
        if verdict == "ok" or verdict in SCHEMA_RULES:
            allowed = CDDL.matches(name, mutant)
            # Roles and total chunks are counted across fields, which CDDL cannot say.
            assert allowed == (verdict == "ok") or _across_fields(name, verdict, mutant), (verdict, mutant)
            refused, accepted = refused + (not allowed), accepted + allowed
    assert refused > 100
    assert accepted >= 1


def _across_fields(name: str, verdict: str, mutant: Any) -> bool:
    return name == "manifest" and verdict == Rule.COUNT and sum(one[10] for one in mutant[7]) > 262_144


def test_every_field_is_in_an_example() -> None:
    """The comparison above reaches only what its examples hold."""
    seen: dict[type[Record], set[str]] = {}
    for _, cls, base in EXAMPLES:
        _see(cls.from_cbor(base), seen)
    for kind, fields in seen.items():
        every = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
        assert fields == every, f"no example sets {sorted(every - fields)} of {kind.__name__}"
    assert set(seen) == set(_subclasses(Record))


def _subclasses(cls: type[Record]) -> Iterator[type[Record]]:
    for one in cls.__subclasses__():
        if one.__module__.startswith("dunlin_contract"):
            yield one
            yield from _subclasses(one)


def _see(value: Any, seen: dict[type[Record], set[str]]) -> None:
    if isinstance(value, Record):
        fields = seen.setdefault(type(value), set())
        for key, field in ((field.metadata["dunlin.key"], field) for field in dataclasses.fields(value)):  # type: ignore[arg-type]
            if key in value.to_cbor():
                fields.add(field.name)
                _see(getattr(value, field.name), seen)
    elif isinstance(value, dict):
        for inner in value.values():
            _see(inner, seen)
    elif isinstance(value, tuple):
        for inner in value:
            _see(inner, seen)


# ---- pycddl


def _for_pycddl(text: str) -> str:
    """Around what pycddl 0.6 lacks: its .regexp searches where RFC 8610 means the whole text, of key types in tables it
    knows only the plain ones, and of an array of a named choice it takes only the choice's first value."""
    (stores,) = re.findall(r"^model-store = (.*)$", text, re.MULTILINE)
    text = text.replace("[1*4 model-store]", f"[1*4 ({stores})]")
    text = re.sub(r'\.regexp "((?:[^"\\]|\\.)*)"', r'.regexp "^(\1)$"', text)
    return re.sub(r"\{ [01]\*\d+ ([a-z-]+) => ", lambda table: "{ * " + _plain_key(table[1]) + " => ", text)


def _plain_key(rule: str) -> str:
    return {"kid": "bytes", "bucket": "uint"}.get(rule, "tstr")


@cache
def _schema(rule: str) -> pycddl.Schema:
    return pycddl.Schema(f"start = {rule}\n{_for_pycddl(TEXT)}")


def _pycddl_allows(rule: str, value: bytes) -> bool:
    try:
        _schema(rule).validate_cbor(value)
    except pycddl.ValidationError:
        return False
    return True


KIND_RULE = {
    "server-keys": "server-keys",
    "root-first": "root",
    "root-next": "root",
    "manifest": "manifest",
    "directive": "directive",
    "settings": "settings",
    "reported": "reported",
    "event": "event",
    "ack": "ack",
    "telemetry": "telemetry",
    "result": "result",
    "capture": "capture-order",
    "baseline": "baseline",
    "golden": "golden",
    "enrol-reply": "enrol-reply",
    "enrol-request": "enrol-request",
    "renew": "renew-request",
    "trust": "trust",
    "wipe": "wipe-order",
    "wipe-decide": "wipe-order",
    "receipt": "receipt",
    "directive-decide": "directive",
    "signed-reported": "reported",
    "signed-event": "event",
}
ENVELOPE = {
    "root-first": "signed-root",
    "root-next": "signed-root",
    "manifest": "signed-manifest",
    "wipe": "signed-wipe",
    "capture": "signed-capture",
    "directive": "signed-directive",
    "ack": "signed-ack",
    "enrol-request": "signed-enrol",
    "renew": "signed-renew",
    "receipt": "signed-receipt",
    "signed-reported": "signed-reported",
    "signed-event": "signed-event",
    "grant": "grant",
}
WITH_RULE = [vector for vector in vectors.every() if vector["kind"] in KIND_RULE]


def _payload(vector: vectors.Vector) -> bytes:
    data = vectors.octets(vector)
    return bytes(cbor2.loads(data).value[2]) if vector["kind"] in ENVELOPE else data


@pytest.mark.parametrize(
    "vector", [one for one in WITH_RULE if one["expect"] == "ok"], ids=lambda vector: vector["name"]
)
def test_accepted_vectors_are_in_the_schema(vector: vectors.Vector) -> None:
    assert _pycddl_allows(KIND_RULE[vector["kind"]], _payload(vector))
    assert CDDL.matches(KIND_RULE[vector["kind"]], cbor2.loads(_payload(vector)))


@pytest.mark.parametrize(
    "vector",
    [one for one in vectors.every() if one["kind"] in ENVELOPE and one["expect"] == "ok"],
    ids=lambda vector: vector["name"],
)
def test_accepted_envelopes_are_in_the_schema(vector: vectors.Vector) -> None:
    assert CDDL.matches(ENVELOPE[vector["kind"]], cbor2.loads(vectors.octets(vector)))


SHAPES = frozenset({Rule.COSE_SHAPE, Rule.COSE_HEADER, Rule.GRANT_SHAPE})


@pytest.mark.parametrize(
    "vector",
    [one for one in vectors.every() if one["kind"] in ENVELOPE and one["expect"] in SHAPES],
    ids=lambda vector: vector["name"],
)
def test_misshapen_envelopes_are_not_in_the_schema(vector: vectors.Vector) -> None:
    assert not CDDL.matches(ENVELOPE[vector["kind"]], cbor2.loads(vectors.octets(vector)))


HOSTILE = [
    one
    for one in WITH_RULE
    if one["expect"] in SCHEMA_RULES - {Rule.CANONICAL}
    and one["name"]
    not in {
        "manifest-more-chunks-than-an-index-holds",  # counted across payloads
        "manifest-seventeen-signatures",  # of the envelope
        "signed-reported-without-a-number",  # a report need not have one, a signed report must
    }
]


@pytest.mark.parametrize("vector", HOSTILE, ids=lambda vector: vector["name"])
def test_schema_hostile_vectors_are_not_in_the_schema(vector: vectors.Vector) -> None:
    assert not CDDL.matches(KIND_RULE[vector["kind"]], cbor2.loads(_payload(vector)))


BEYOND_PYCDDL = {
    *("directive-desired-name-uppercase", "directive-desired-seventeen", "root-role-unknown", "root-role-more"),
    *("telemetry-bucket-513", "telemetry-bucket-negative", "reported-model-name-path"),
    *("telemetry-trial-bucket-513", "directive-trial-name-path", "directive-trials-seventeen"),
    *("directive-captures-seventeen", "directive-capture-as-text"),
    "manifest-payload-id-text",
}
"""pycddl does not look at the keys and the size of a table, and takes text for bytes of the same size."""


@pytest.mark.parametrize("vector", HOSTILE, ids=lambda vector: vector["name"])
def test_pycddl_refuses_schema_hostile_vectors(vector: vectors.Vector) -> None:
    assert _pycddl_allows(KIND_RULE[vector["kind"]], _payload(vector)) == (vector["name"] in BEYOND_PYCDDL)


def test_limits_named_in_comments_are_the_codec_s() -> None:
    """Every limit that bounds a value on the wire stands in the file by its name."""
    named = set(re.findall(r"[a-z0-9_]+", " ".join(re.findall(r";(.*)", TEXT))))
    on_the_wire = {name for name in limits.LIMITS.__slots__ if name not in _NOT_IN_SCHEMA}
    assert on_the_wire <= named, on_the_wire - named


_NOT_IN_SCHEMA = {
    # sizes of whole encodings, which CDDL cannot bound
    *(
        f"{name}_bytes"
        for name in ("manifest", "directive", "settings", "reported", "event", "ack", "telemetry", "result")
    ),
    *("enrolment_bytes", "claim_token_chars", "labels_bytes", "object_bytes", "nesting", "chunk_log2_linux"),
    *("manifest_tflm_bytes", "chunk_log2_mcu", "baseline_bytes"),
    "broker_payload_bytes",  # how a payload travels
}
