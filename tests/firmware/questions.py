"""A vector as a question to the C implementation, and what Python says must come out of it."""

import dataclasses
import struct
from collections.abc import Callable
from typing import Any

import cbor2

from dunlin_contract import cose, envelopes, link
from dunlin_contract.directive import Desired, Directive
from dunlin_contract.limits import LIMITS, MCU_LIMITS
from dunlin_contract.manifest import DTYPES, Manifest, Payload, Tensor, Variant
from dunlin_contract.root import Root
from dunlin_contract.settings import Settings
from dunlin_contract.slot import slot_bytes
from tests.contract import vectors
from tests.contract.vectors import Vector, octets
from tests.firmware.runner import Answer, Fields, Runner
from tests.firmware.runner import octets as passed

SCHEMA = frozenset({"type", "field-missing", "field-unknown", "range", "count", "value", "version"})
"""Rules of the closed schema, among which zcbor's decoders do not tell exactly."""
ZCBOR = frozenset(
    {
        *("reported", "signed-reported", "event", "signed-event", "telemetry", "trust", "server-keys"),
        *("enrol-request", "renew", "receipt", "result", "capture", "baseline"),
    }
)
"""Kinds whose records they read."""
U32 = 2**32 - 1

# ---- questions


def _root(name: str) -> bytes:
    return bytes.fromhex(vectors.fixtures()["roots"][name])


def _key(name: str, part: str) -> bytes:
    return bytes.fromhex(vectors.fixtures()["keys"][name][part])


def _plain(vector: Vector) -> Fields:
    return {"bytes": octets(vector)}


def _by_root(vector: Vector) -> Fields:
    return {"bytes": octets(vector), "root": _root(vector["root"])}


def _by_device(vector: Vector) -> Fields:
    return {"bytes": octets(vector), "spki": _key(vector["key"], "spki")}


def _capture(vector: Vector) -> Fields:
    return {**_by_root(vector), "device": vector["device"], "model": vector["model"]}


def _text(vector: Vector) -> Fields:
    return {"text": vector["text"]}


def _topic(vector: Vector) -> Fields:
    return {"topic": vector["topic"]}


def _decide(vector: Vector) -> Fields:
    memory = vector["memory"]
    exact = {name: bytes.fromhex(memory[name]) for name in ("digest", "boot_nonce")}
    return {"bytes": octets(vector), **memory, **exact, "uptime_s": vector["uptime_s"]}


_ASK: dict[str, Callable[[Vector], Fields]] = {
    **dict.fromkeys((*vectors.PLAIN, "spki", "frame", "link-stream", "link-message", "link-claim"), _plain),
    **dict.fromkeys(("manifest", "bundle", "directive", "ack", "wipe"), _by_root),
    **dict.fromkeys(("renew", "receipt", "signed-reported", "signed-event"), _by_device),
    **dict.fromkeys(("topic", "topic-down"), _topic),
    "capture": _capture,
    "enrol-request": _plain,
    "claim-token": _text,
    "cbor": lambda v: {"bytes": octets(v), "cap_bytes": v["cap_bytes"]},
    "root-first": lambda v: {"bytes": octets(v), "digest": octets(v, "digest")},
    "root-next": lambda v: {"bytes": octets(v), "current": _root(v["current"])},
    "index": lambda v: {"manifest": octets(v, "manifest"), "index": octets(v, "index")},
    "chunk": lambda v: {
        **{name: octets(v, name) for name in ("bytes", "leaf", "cek", "payload_id")},
        **{name: v[name] for name in ("aead", "chunk_log2", "index", "last")},
    },
    "install": lambda v: {
        "payload": octets(v, "payload"),
        "plaintext": [bytes.fromhex(piece) for piece in v["plaintext"]],
    },
    "grant": lambda v: {
        "bytes": octets(v),
        "secret": _key(v["key"], "secret"),
        "release": octets(v, "release"),
        "recipient": v["recipient"],
    },
    "directive-decide": _decide,
    "check-release": lambda v: {
        "desired": octets(v, "desired"),
        "digest": octets(v, "digest"),
        **{name: v[name] for name in ("name_desired", "name_found", "counter")},
    },
    "wipe-decide": lambda v: {"bytes": octets(v), "device": v["device"], "desired": list(v["desired"])},
    "fit": lambda v: {"needs": octets(v, "needs"), "device": octets(v, "device")},
    "slot": lambda v: {"lengths": list(v["lengths"]), "chunks": v["chunks"]},
}
KINDS = frozenset(_ASK)


def fields(vector: Vector) -> Fields:
    """What a vector gives."""
    return _ASK[vector["kind"]](vector)


def ask(runner: Runner, vector: Vector) -> Answer:
    """The C implementation's answer."""
    return runner.ask(vector["kind"], fields(vector))


# ---- what must come out where it is accepted


def _payload_facts(facts: list[tuple[str, Any]], manifest: Manifest, index: int) -> None:
    one: Payload = manifest.payloads[index]
    facts += [("id", one.id), ("role", one.role), ("installed", one.installed_length), ("chunks", one.chunk_count)]
    facts += [("leaf_from", list(manifest.leaf_ranges())[index].start)]
    facts += [("sha256", one.installed_sha256), ("merkle", one.merkle_root)]


def _tensor_facts(facts: list[tuple[str, Any]], tensor: Tensor) -> None:
    facts += [("tensor", tensor.name), ("dtype", DTYPES.index(tensor.dtype))]
    facts += [("dimension", size & U32) for size in tensor.shape]


def _variant_facts(facts: list[tuple[str, Any]], manifest: Manifest, variant: Variant) -> None:
    mine = [manifest.payloads[index] for index in variant.payloads]
    if len(mine) > MCU_LIMITS.variant_payloads or any(one.installed_length > U32 for one in mine):
        return  # more than a microcontroller handles
    facts += [("kind", variant.kind), ("arena", min(variant.fit.arena_bytes, U32)), ("payloads", len(mine))]
    facts += [("model", variant.payloads.index(manifest.model_payload(variant)))]
    facts += [("golden", variant.payloads.index(variant.golden.payload))]
    facts += [("tolerance", struct.pack("=d", variant.golden.tolerance)), ("top1", variant.golden.top1_permille)]
    facts += [("p95_us", variant.budget.p95_us)]
    needed = slot_bytes([one.installed_length for one in mine], sum(one.chunk_count for one in mine))
    facts += [("slot_bytes", min(needed, U32))]
    for index in variant.payloads:
        _payload_facts(facts, manifest, index)
    for op in variant.fit.ops:
        facts += [("op", op.opcode), ("op_version", op.version)]
    for tensor in (*variant.io.inputs, *variant.io.outputs):
        _tensor_facts(facts, tensor)


def _manifest(vector: Vector) -> list[tuple[str, Any]]:
    release = envelopes.open_manifest(octets(vector), vectors.root_named(vector["root"]))
    manifest = release.manifest
    facts: list[tuple[str, Any]] = [("release", release.digest), ("name", manifest.name)]
    facts += [("version", manifest.version), ("counter", manifest.counter)]
    for variant in manifest.variants:
        _variant_facts(facts, manifest, variant)
    return facts


def _root_facts(vector: Vector) -> list[tuple[str, Any]]:
    root: Root = vectors.outcome(vector)
    payload = cose.peek(octets(vector), LIMITS.root_bytes)
    return [("version", root.version), ("epoch", root.epoch), ("issued", root.issued), ("payload", payload)]


def _desired_facts(facts: list[tuple[str, Any]], model: str, desired: Desired) -> None:
    facts += [("model", model), ("release", desired.release), ("floor", desired.floor)]
    facts += [("grant", desired.grant[:160])]  # a longer one is none
    facts += [("lease_s", desired.lease.seconds), ("lease_action", desired.lease.action)]
    facts += [("manifest", desired.manifest), ("pages", len(desired.index))]
    facts += [("page", page) for page in desired.index[: MCU_LIMITS.index_pages]]


def _directive(vector: Vector) -> list[tuple[str, Any]]:
    directive: Directive
    directive, digest = envelopes.open_directive(octets(vector), vectors.root_named(vector["root"]))
    models = list(directive.desired)
    facts: list[tuple[str, Any]] = [("digest", digest), ("device", directive.device), ("epoch", directive.epoch)]
    facts += [("seq", directive.seq), ("issued", directive.issued), ("expires", directive.expires)]
    facts += [("models", len(models))]
    if models:
        _desired_facts(facts, models[0], directive.desired[models[0]])
    facts += [("refused", models[1] if len(models) > 1 else "")]
    facts += [(name, getattr(directive, name)) for name in ("settings", "wipe", "nonce", "root")]
    return [*facts, ("peeked", directive.root)]


def _wipe(vector: Vector) -> list[tuple[str, Any]]:
    order, digest = vectors.outcome(vector)
    covers = not order.models or "digits" in order.models
    return [("device", order.device), ("id", order.order_id), ("digest", digest), ("covers", covers)]


def _link_message(vector: Vector) -> list[tuple[str, Any]]:
    message = link.parse(octets(vector))
    return [("message", type(message).__name__.lower()), *dataclasses.asdict(message).items()]


def _record(*names: str) -> Callable[[Vector], list[tuple[str, Any]]]:
    def facts(vector: Vector) -> list[tuple[str, Any]]:
        record = vectors.outcome(vector)
        return [(name, getattr(record, name)) for name in names]

    return facts


def _said(*names: str) -> Callable[[Vector], list[tuple[str, Any]]]:
    """What the codec's outcome says under these names; byte strings stand there in hex."""

    def facts(vector: Vector) -> list[tuple[str, Any]]:
        outcome = vectors.outcome(vector)
        return [(name, outcome[name]) for name in names]

    return facts


def _in_hex(*names: str) -> Callable[[Vector], list[tuple[str, Any]]]:
    def facts(vector: Vector) -> list[tuple[str, Any]]:
        outcome = vectors.outcome(vector)
        return [
            (name, [bytes.fromhex(one) for one in value] if isinstance(value, list) else _from_hex(value))
            for name in names
            for value in [outcome[name]]
        ]

    return facts


def _from_hex(value: Any) -> Any:
    return bytes.fromhex(value) if isinstance(value, str) else value


def _fit(vector: Vector) -> list[tuple[str, Any]]:
    outcome = vectors.outcome(vector)
    return [("verdict", outcome["verdict"]), ("reasons", len(outcome["reasons"]))]


_FACTS: dict[str, Callable[[Vector], list[tuple[str, Any]]]] = {
    "manifest": _manifest,
    "root-first": _root_facts,
    "root-next": _root_facts,
    "directive": _directive,
    "wipe": _wipe,
    "ack": _record("device", "stream", "n"),
    "settings": _record(*(one.name for one in dataclasses.fields(Settings) if one.name != "format")),
    "claim-token": _record("root_digest", "token_id", "secret"),
    "enrol-reply": _record("status", "poll_s", "root", "reason"),
    "link-message": _link_message,
    "link-claim": _said("device", "token"),
    "topic": _said("device", "gateway", "message"),
    "topic-down": _said("device", "gateway", "message"),
    "directive-decide": _said("news"),
    "slot": _said("slot_bytes"),
    "spki": _in_hex("kid"),
    "chunk": _in_hex("plaintext"),
    "install": _in_hex("installed"),
    "grant": _in_hex("cek"),
    "frame": _in_hex("body", "written"),
    "link-stream": _in_hex("bodies", "errors"),
    "fit": _fit,
}


def facts(vector: Vector) -> dict[str, list[bytes]]:
    """What the C implementation must give for a vector that is accepted."""
    values: dict[str, list[bytes]] = {}
    made = _FACTS[vector["kind"]](vector) if vector["kind"] in _FACTS else []
    for name, value in made:
        for one in value if isinstance(value, list) else [] if value is None else [value]:
            values.setdefault(name, []).append(passed(one))
    return values


def given(vector: Vector, answer: Answer) -> dict[str, list[bytes]]:
    """What it gave, where the words of reasons do not count, but their number."""
    if vector["kind"] != "fit":
        return answer.values
    return {**answer.values, "reasons": [passed(len(answer.values.get("reasons", [])))]}


def _same_rule(kind: str, one: str, other: str) -> bool:
    return one == other or (kind in ZCBOR and {one, other} <= SCHEMA)


def _expected(vector: Vector) -> str:
    """A vector's verdict, but where the limits of a microcontroller are what matters: it takes no trials."""
    if vector["kind"] != "directive" or vector["expect"] in {"signature", "signer-unknown", "size"}:
        return str(vector["expect"])
    try:
        payload = cbor2.loads(cbor2.loads(octets(vector)).value[2])
        taken = len(payload.get(11, {})) <= MCU_LIMITS.trials
    except (cbor2.CBORError, AttributeError, TypeError):
        taken = True
    return str(vector["expect"]) if taken else "count"


def disagreement(vector: Vector, answer: Answer) -> str | None:
    """Where an answer is not what the vector, and the Python codec, say; None if it is."""
    expected = _expected(vector)
    if not _same_rule(vector["kind"], answer.verdict, expected):
        return f"{vector['name']}: {expected} is expected, C says {answer.verdict}"
    if expected != "ok":
        return None
    wanted, found = facts(vector), given(vector, answer)
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            return f"{vector['name']}: {name}: {wanted.get(name)} is expected, C gives {found.get(name)}"
    return None
