"""Loads ``contract/vectors/*.json`` and runs one vector through the codec."""

import dataclasses
import json
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from dunlin_contract import bundle, cbor, envelopes, hpke, keys, link, topics
from dunlin_contract.capture import check_capture
from dunlin_contract.directive import Desired, Directive, DirectiveMemory, check_release, decide, directive_digest
from dunlin_contract.drift import Baseline
from dunlin_contract.enrolment import ClaimToken, EnrolReply, Trust
from dunlin_contract.errors import ContractError
from dunlin_contract.event import Event
from dunlin_contract.fit import DeviceDescription, Fit, fit
from dunlin_contract.golden import Golden
from dunlin_contract.install import installed
from dunlin_contract.manifest import Manifest, Payload
from dunlin_contract.reported import Reported
from dunlin_contract.results import Result
from dunlin_contract.root import Root, ServerKeys
from dunlin_contract.schema import Record
from dunlin_contract.settings import Settings
from dunlin_contract.slot import slot_bytes
from dunlin_contract.stream import ChunkCipher
from dunlin_contract.telemetry import Telemetry
from dunlin_contract.wipe import WipeOrder, check_order
from tests.contract.rfc9180 import private_key

FOLDER = Path(__file__).parents[2] / "contract" / "vectors"
Vector = dict[str, Any]

PLAIN: dict[str, type[Record]] = {
    "server-keys": ServerKeys,
    "settings": Settings,
    "reported": Reported,
    "event": Event,
    "telemetry": Telemetry,
    "result": Result,
    "baseline": Baseline,
    "golden": Golden,
    "enrol-reply": EnrolReply,
    "trust": Trust,
}


@cache
def fixtures() -> Any:
    return json.loads((FOLDER / "fixtures.json").read_text())


@cache
def every() -> tuple[Vector, ...]:
    files = sorted(path for path in FOLDER.glob("*.json") if path.name != "fixtures.json")
    return tuple(vector for path in files for vector in json.loads(path.read_text()))


def octets(vector: Vector, field: str = "bytes") -> bytes:
    return bytes.fromhex(vector[field])


@cache
def root_named(name: str) -> Root:
    """A fixture's root, read without the verification that is under test."""
    envelope = bytes.fromhex(fixtures()["roots"][name])
    return Root.from_bytes(cbor.decode(envelope, 16384).value[2])


def _spki(name: str) -> bytes:
    return bytes.fromhex(fixtures()["keys"][name]["spki"])


def _bundle(vector: Vector) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(octets(vector))
        file.flush()
        with bundle.BundleFile.open(Path(file.name), root_named(vector["root"])) as opened:
            for payload in range(len(opened.manifest.payloads)):
                list(opened.chunks(payload))


def _chunk(vector: Vector) -> Any:
    ciphertext = octets(vector)
    bundle.check_chunk(ciphertext, octets(vector, "leaf"))
    cipher = ChunkCipher(octets(vector, "cek"), octets(vector, "payload_id"), vector["chunk_log2"], vector["aead"])
    return {"plaintext": cipher.open(vector["index"], vector["last"], ciphertext).hex()}


def _install(vector: Vector) -> Any:
    payload = Payload.from_bytes(octets(vector, "payload"))
    made = b""
    for piece in installed(payload, map(bytes.fromhex, vector["plaintext"])):
        made += piece
        if len(made) > payload.installed_length:
            raise AssertionError("more was made than the manifest allows")
    return {"installed": made.hex()}


def _grant(vector: Vector) -> Any:
    key = private_key(bytes.fromhex(fixtures()["keys"][vector["key"]]["secret"]))
    return {"cek": hpke.open_cek(octets(vector), key, octets(vector, "release"), vector["recipient"]).hex()}


def _decide(vector: Vector) -> Any:
    stated = vector["memory"]
    memory = DirectiveMemory(
        **{**stated, "digest": bytes.fromhex(stated["digest"]), "boot_nonce": bytes.fromhex(stated["boot_nonce"])}
    )
    payload = octets(vector)
    return {"news": decide(memory, Directive.from_bytes(payload), directive_digest(payload), vector["uptime_s"])}


def _check_release(vector: Vector) -> None:
    desired = Desired.from_bytes(octets(vector, "desired"))
    check_release(
        desired,
        vector["name_desired"],
        manifest_name=vector["name_found"],
        counter=vector["counter"],
        digest=octets(vector, "digest"),
    )


def _spki_of(vector: Vector) -> Any:
    keys.load_spki(octets(vector))
    return {"kid": keys.kid(octets(vector)).hex()}


def _fit(vector: Vector) -> Any:
    needs = Fit.from_bytes(octets(vector, "needs"))
    reasons = fit(needs, DeviceDescription.from_bytes(octets(vector, "device")))
    return {"verdict": "does-not-fit" if reasons else "fits", "reasons": reasons}


def _topic(vector: Vector) -> Any:
    address, message = topics.parse_up(vector["topic"])
    if address.up(message) != vector["topic"]:
        raise AssertionError("a topic that is read is the one that is written")
    return {"device": address.device, "gateway": address.gateway, "message": message}


def _topic_down(vector: Vector) -> Any:
    address, message = topics.parse_down(vector["topic"])
    if address.down(message) != vector["topic"]:
        raise AssertionError("a topic that is read is the one that is written")
    return {"device": address.device, "gateway": address.gateway, "message": message}


def _frame(vector: Vector) -> Any:
    body = link.decode(octets(vector))
    return {"body": body.hex(), "written": link.encode(body) == octets(vector) + b"\x00"}


def _stream(vector: Vector) -> Any:
    """At once, and byte by byte: how a pipe cuts its bytes changes nothing."""
    whole, slow = link.Decoder(), link.Decoder()
    bodies = whole.feed(octets(vector))
    piecemeal = [body for byte in octets(vector) for body in slow.feed(bytes([byte]))]
    if (piecemeal, slow.errors) != (bodies, whole.errors):
        raise AssertionError("the decoder depends on how its input is cut")
    return {"bodies": [body.hex() for body in bodies], "errors": whole.errors}


def _message(vector: Vector) -> Any:
    message = link.parse(octets(vector))
    if message.to_body() != octets(vector):
        raise AssertionError("a message that is read is the one that is written")
    fields = {name: one.hex() if isinstance(one, bytes) else one for name, one in dataclasses.asdict(message).items()}
    return {"message": type(message).__name__.lower(), "fields": fields}


def _claim(vector: Vector) -> Any:
    claim = link.Claim.from_bytes(octets(vector))
    if claim.to_bytes() != octets(vector):
        raise AssertionError("a claim that is read is the one that is written")
    return {"device": claim.device, "token": claim.token}


def _manifest(vector: Vector) -> Any:
    return {"release": envelopes.open_manifest(octets(vector), root_named(vector["root"])).digest.hex()}


def _directive(vector: Vector) -> Any:
    return {"digest": envelopes.open_directive(octets(vector), root_named(vector["root"]))[1].hex()}


def _wipe_decide(vector: Vector) -> None:
    check_order(WipeOrder.from_bytes(octets(vector)), vector["device"], frozenset(vector["desired"]))


def _capture(vector: Vector) -> None:
    order = envelopes.open_capture(octets(vector), root_named(vector["root"]))
    check_capture(order, vector["device"], vector["model"])


_RUN: dict[str, Callable[[Vector], Any]] = {
    "cbor": lambda v: cbor.decode(octets(v), v["cap_bytes"]),
    "spki": _spki_of,
    "root-first": lambda v: envelopes.open_first_root(octets(v), octets(v, "digest")),
    "root-next": lambda v: envelopes.open_next_root(octets(v), root_named(v["current"])),
    "manifest": _manifest,
    "bundle": _bundle,
    "index": lambda v: Manifest.from_bytes(octets(v, "manifest")).checked_leaves(octets(v, "index")),
    "chunk": _chunk,
    "install": _install,
    "grant": _grant,
    "directive": _directive,
    "directive-decide": _decide,
    "check-release": _check_release,
    "ack": lambda v: envelopes.open_ack(octets(v), root_named(v["root"])),
    "claim-token": lambda v: ClaimToken.from_text(v["text"]),
    "enrol-request": lambda v: envelopes.open_enrol(octets(v)),
    "renew": lambda v: envelopes.open_renew(octets(v), _spki(v["key"])),
    "receipt": lambda v: envelopes.open_receipt(octets(v), _spki(v["key"])),
    "wipe": lambda v: envelopes.open_wipe(octets(v), root_named(v["root"])),
    "wipe-decide": _wipe_decide,
    "capture": _capture,
    "fit": _fit,
    "slot": lambda v: {"slot_bytes": slot_bytes(v["lengths"], v["chunks"])},
    "signed-reported": lambda v: envelopes.open_reported(octets(v), _spki(v["key"])),
    "signed-event": lambda v: envelopes.open_event(octets(v), _spki(v["key"])),
    "topic": _topic,
    "topic-down": _topic_down,
    "frame": _frame,
    "link-stream": _stream,
    "link-message": _message,
    "link-claim": _claim,
}
KINDS = frozenset(_RUN) | frozenset(PLAIN)


def outcome(vector: Vector) -> Any:
    """What the codec makes of a vector. Raises ContractError when it refuses."""
    kind = vector["kind"]
    if kind in PLAIN:
        return PLAIN[kind].from_bytes(octets(vector))
    return _RUN[kind](vector)


def verdict(vector: Vector) -> str:
    """``ok``, or the name of the rule that refuses."""
    try:
        outcome(vector)
    except ContractError as refusal:
        return refusal.rule
    return "ok"
