"""Python and C say the same of messages that nobody wrote by hand: mutated ones, and whatever may be written."""

import dataclasses
import os
import secrets
from itertools import product
from random import Random
from typing import Any

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.vectors import material as m
from dunlin_contract import drift, enrolment, event, fit, golden, manifest, reported, results, root, telemetry, wipe
from dunlin_contract.directive import Directive
from dunlin_contract.errors import ContractError
from dunlin_contract.schema import Record
from dunlin_contract.settings import Settings
from tests.contract import strategies, vectors
from tests.contract.strategies import values
from tests.contract.vectors import Vector
from tests.firmware import questions
from tests.firmware.mutations import RECORDS, SIGN, each_change, mutated, seeds
from tests.firmware.runner import Runner

CASES = {
    **dict.fromkeys(("manifest", "directive", "root-first", "grant"), 250),
    **dict.fromkeys(("root-next", "wipe", "capture", "ack", "enrol-request", "link-stream"), 120),
    **dict.fromkeys(("receipt", "renew", "signed-reported", "signed-event"), 60),
    **dict.fromkeys(("settings", "enrol-reply", "claim-token", "reported", "event"), 1000),
    **dict.fromkeys(("telemetry", "result", "baseline", "golden", "trust", "server-keys"), 300),
    **dict.fromkeys(("frame", "link-message", "link-claim"), 1000),
}
"""How many mutations of each kind: fewer where signatures have to be made and verified."""


def _seed() -> int:
    return int(os.environ.get("DUNLIN_SEED") or secrets.randbelow(2**32))


@pytest.mark.parametrize("kind", CASES)
def test_mutations(runner: Runner, kind: str) -> None:
    """The same verdict, and where it is accepted the same outputs."""
    seed = _seed()
    random, good, accepted = Random(f"{seed} {kind}"), seeds(kind), 0
    for number in range(CASES[kind]):
        vector = mutated(random.choice(good), random)
        problem = compared(runner, vector)
        assert problem is None, f"DUNLIN_SEED={seed}, {kind} {number}: {problem}\n{vector}"
        accepted += vector["expect"] == "ok"
    print(f"DUNLIN_SEED={seed}: {CASES[kind]} mutations of {kind}, {accepted} accepted by both")


def compared(runner: Runner, vector: Vector) -> str | None:
    """As ``questions.disagreement``, but of two refusals any two rules are alike: a mutation may break several."""
    vector["expect"] = vectors.verdict(vector)
    answer = questions.ask(runner, vector)
    if vector["expect"] != "ok" != answer.verdict:
        return None
    return questions.disagreement(vector, answer)


# ---- each place of a record

RICH: dict[str, tuple[type[Record], Any]] = {
    "manifest": (manifest.Manifest, RECORDS["manifest"]),
    "directive": (Directive, RECORDS["directive"]),
    "wipe": (wipe.WipeOrder, RECORDS["wipe-order"]),
    "settings": (Settings, RECORDS["settings"]),
    "enrol-reply": (enrolment.EnrolReply, {0: 1, 1: "pending", 5: 30}),
    "enrol-reply refused": (enrolment.EnrolReply, {0: 1, 1: "refused", 7: "the claim token has expired"}),
    "enrol-reply issued": (enrolment.EnrolReply, {0: 1, 1: "issued", 2: [b"chain"], 3: "broker.example", 4: 8883}),
}
"""Records with every field, or nearly."""


@pytest.mark.parametrize("kind", RICH)
def test_each_place(runner: Runner, kind: str) -> None:
    """Any one value of a payload another: no field is without its bounds, and no table without its end."""
    cls, rich = RICH[kind]
    asked, fields = ("payload", {"of": kind}) if kind in SIGN else (kind.split(maxsplit=1)[0], {})
    verdicts = [0, 0]
    for payload in each_change(rich):
        try:
            cls.from_bytes(payload)
            refused = False
        except ContractError:
            refused = True
        answer = runner.ask(asked, {**fields, "bytes": payload})
        assert (answer.verdict != "ok") == refused, (answer.verdict, cbor2.loads(payload), payload.hex())
        verdicts[refused] += 1
    print(f"{kind}: {verdicts[1]} refused and {verdicts[0]} accepted by both")
    assert all(verdicts)


def test_a_known_manifest_is_the_one_that_is_known(runner: Runner) -> None:
    """One that was verified before is compared with its digest, and nothing else."""
    assert runner.ask("known", {"bytes": m.MANIFEST_ENVELOPE, "release": m.RELEASE}).verdict == "ok"
    assert runner.ask("known", {"bytes": m.MANIFEST_ENVELOPE, "release": m.sha(m.RELEASE)}).verdict == "release"


# ---- whatever may be written

WRITTEN: dict[str, type[Record]] = {
    "manifest": manifest.Manifest,
    "directive": Directive,
    "ack": event.Ack,
    "wipe": wipe.WipeOrder,
    "settings": Settings,
    "enrol-reply": enrolment.EnrolReply,
    "claim-token": enrolment.ClaimToken,
    "reported": reported.Reported,
    "event": event.Event,
    "telemetry": telemetry.Telemetry,
    "result": results.Result,
    "baseline": drift.Baseline,
    "golden": golden.Golden,
    "trust": enrolment.Trust,
    "renew": enrolment.RenewRequest,
    "receipt": wipe.Receipt,
}
GENERATED = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)


def _vector(kind: str, record: Any) -> Vector:
    payload = record.to_bytes()
    data = SIGN[kind](payload) if kind in SIGN else payload
    text = record.to_text() if kind == "claim-token" else ""
    return {"name": f"a {kind}", "kind": kind, "bytes": data.hex(), "text": text, "root": "root-1", "key": "device"}


@pytest.mark.parametrize("kind", WRITTEN)
@GENERATED
@given(data=st.data())
def test_written(runner: Runner, kind: str, data: st.DataObject) -> None:
    vector = _vector(kind, data.draw(strategies.RECORDS[WRITTEN[kind]]))
    assert compared(runner, vector) is None
    assert vector["expect"] in {"ok", "size"}


@GENERATED
@given(st.sets(st.sampled_from(m.SIGNERS + m.OTHERS), min_size=2), st.data())
def test_written_roots(runner: Runner, names: set[str], data: st.DataObject) -> None:
    """Of real keys, signed by some of them."""
    keys = {m.kid(name): m.spki(name) for name in names}
    drawn = data.draw(strategies.RECORDS[root.Root])
    some = st.lists(st.sampled_from(sorted(keys)), min_size=2, unique=True).map(lambda kids: tuple(sorted(kids)))
    roles = {role: root.RoleKeys(threshold=2, kids=data.draw(some)) for role in root.ROLE_NAMES}
    signers = data.draw(st.lists(st.sampled_from(sorted(names)), min_size=1, unique=True))
    payload = root.Root(
        version=drawn.version, issued=drawn.issued, not_after=drawn.not_after, epoch=drawn.epoch, keys=keys, roles=roles
    ).to_bytes()
    envelope = m.signed(payload, signers, "dnb/v1/root")
    vector = {"name": "a root", "kind": "root-first", "bytes": envelope.hex(), "digest": m.sha(payload).hex()}
    assert compared(runner, vector) is None


# ---- hardware fit

_OPS = st.tuples(st.sampled_from(["ADD", "CONV_2D", "MUL"]), st.integers(0, 2))
_SIZE = st.sampled_from([0, 0, 1, 2, 3, 2**32, 2**48])
_VERSION = st.tuples(*[st.integers(0, 1)] * 3)
_RUNTIME = st.sampled_from(["litert", "tflm"])


def _ops(pairs: Any) -> tuple[fit.Op, ...]:
    return tuple(fit.Op(opcode=opcode, version=version) for opcode, version in pairs)


NEEDS = st.builds(
    fit.Fit,
    runtime=_RUNTIME,
    min_version=_VERSION,
    ops=values.ascending(_OPS, 4).map(_ops),
    arena_bytes=_SIZE,
    flash_bytes=_SIZE,
    memory_bytes=_SIZE,
    hardware_classes=values.ascending(st.sampled_from(["esp32", "host", "cortex-m4"]), 2),
    stores=values.ascending(st.sampled_from(fit.MODEL_STORES), 3),
)
DEVICES = st.builds(
    fit.DeviceDescription,
    hardware_class=st.sampled_from(["esp32", "host", "cortex-m4"]),
    arch=st.just("armv7e-m"),
    memory_bytes=_SIZE,
    flash_bytes=_SIZE,
    arena_bytes=_SIZE,
    runtimes=values.tuples(
        st.builds(fit.RuntimeInfo, name=_RUNTIME, version=_VERSION, ops=st.lists(_OPS, max_size=4).map(_ops)), 3
    ),
    tier=st.builds(fit.Tier, keystore=st.just("flash"), model_store=st.sampled_from(fit.MODEL_STORES)),
)


@settings(GENERATED, max_examples=600)
@given(NEEDS, DEVICES)
def test_fit(runner: Runner, needs: fit.Fit, device: fit.DeviceDescription) -> None:
    """The same verdict, and the same number of reasons."""
    vector = {"name": "fit", "kind": "fit", "needs": needs.to_bytes().hex(), "device": device.to_bytes().hex()}
    assert compared(runner, vector) is None
    assert vector["expect"] == "ok"


def _manifest(variants: list[Any], payloads: list[Any]) -> bytes:
    return m.enc({**m.MANIFEST, 6: variants, 7: payloads})


@settings(GENERATED, max_examples=200)
@given(st.lists(NEEDS, min_size=1, max_size=4), DEVICES)
def test_choice(runner: Runner, needs: list[fit.Fit], device: fit.DeviceDescription) -> None:
    """The first variant that fits."""
    needs = [dataclasses.replace(one, runtime="litert") for one in needs]
    variants = [{**m.VARIANT, 0: f"variant-{place}", 1: one.to_cbor()} for place, one in enumerate(needs)]
    answer = runner.ask("choose", {"bytes": _manifest(variants, m.CONTENT.payloads), "device": device.to_bytes()})
    fitting = [place for place, one in enumerate(needs) if not fit.fit(one, device)]
    assert answer.values.get("index", []) == [str(place).encode() for place in fitting[:1]]
    assert answer.verdict == ("ok" if fitting else "no-variant")


def test_a_variant_that_no_microcontroller_can_hold(runner: Runner) -> None:
    """It fits by its own word, and is refused all the same."""
    device = m.enc({**m.DEVICE, 5: [{0: "litert", 1: [2, 3, 0]}]})
    report = {**m.CONTENT.payloads[2], 1: "report"}
    five = [*m.CONTENT.payloads, *({**report, 0: bytes([place] * 16)} for place in range(2))]
    asked = {"bytes": _manifest([{**m.VARIANT, 3: [0, 1, 2, 3, 4]}], five), "device": device}
    assert runner.ask("choose", asked).verdict == "count"
    huge = [m.CONTENT.payloads[0], {**m.CONTENT.payloads[1], 1: "report", 5: 2**32}, *m.CONTENT.payloads[2:]]
    huge.append({**m.CONTENT.payloads[1], 0: bytes(16)})
    asked["bytes"] = _manifest([{**m.VARIANT, 3: [0, 1, 2, 3], 5: {**m.VARIANT[5], 0: 3}}], huge)
    assert runner.ask("choose", asked).verdict == "slot-size"


# ---- encoding


def _encoding(runner: Runner, data: bytes) -> str:
    """The verdict, where both give the same one; else both."""
    vector = {"name": "cbor", "kind": "cbor", "bytes": data.hex(), "cap_bytes": 65536}
    verdicts = {vectors.verdict(vector), questions.ask(runner, vector).verdict}
    return " or ".join(sorted(verdicts))


@pytest.mark.parametrize("kind", ["manifest", "directive", "reported", "telemetry"])
def test_every_beginning_of_a_message(runner: Runner, kind: str) -> None:
    data = vectors.octets(seeds(kind)[0])
    assert {_encoding(runner, data[:length]) for length in range(len(data))} == {"encoding"}


def test_utf_8(runner: Runner) -> None:
    """Every first byte, with following bytes from the edges of what they may be."""
    edges = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF]
    texts = [bytes([one]) for one in range(256)]
    texts += [bytes(two) for two in product(range(256), edges)]
    texts += [bytes(three) for three in product(range(0xE0, 0xF0), edges, edges)]
    texts += [bytes(four) for four in product([0xF0, 0xF1, 0xF3, 0xF4, 0xF5], edges, edges, [0x7F, 0x80, 0xBF, 0xC0])]
    verdicts = [_encoding(runner, bytes([0x60 + len(text)]) + text) for text in texts]
    assert set(verdicts) == {"ok", "encoding"}, set(zip(texts, verdicts, strict=True))


# ---- directives: news or not

_FEW = st.integers(0, 3)
_MEMORY = st.fixed_dictionaries(
    {
        "device": st.sampled_from(["pi-1", "pi-2"]),
        "epoch": _FEW,
        "seq": _FEW,
        "digest": st.sampled_from([bytes(32).hex(), "own"]),
        "boot_nonce": st.sampled_from([bytes(16).hex(), m.NONCE.hex()]),
        "time_floor": st.sampled_from([0, 99, 100, 101, 253_402_300_799]),
    }
)


@settings(GENERATED, max_examples=300)
@given(_MEMORY, _FEW, _FEW, st.sampled_from([None, bytes(16), m.NONCE]), st.sampled_from([0, 1, 100, 2**53]))
def test_decide(runner: Runner, memory: Any, epoch: int, seq: int, nonce: bytes | None, uptime_s: int) -> None:
    directive = Directive(device="pi-1", epoch=epoch, seq=seq + 1, issued=1, expires=101, desired={}, nonce=nonce)
    payload = directive.to_bytes()
    digest = m.sha(payload).hex() if memory["digest"] == "own" else memory["digest"]
    vector = {"name": "decide", "kind": "directive-decide", "bytes": payload.hex(), "uptime_s": uptime_s}
    vector["memory"] = {**memory, "digest": digest}
    vector["expect"] = vectors.verdict(vector)
    assert questions.disagreement(vector, questions.ask(runner, vector)) is None
