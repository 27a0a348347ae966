"""What the C implementation writes and signs, the contract's codec reads: the same record, in its one encoding."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dunlin_contract import cose, envelopes, keys
from dunlin_contract.enrolment import EnrolRequest
from dunlin_contract.event import KINDS, Event
from dunlin_contract.fit import DeviceDescription, Op, RuntimeInfo, Tier
from dunlin_contract.limits import LIMITS
from dunlin_contract.reported import PHASES, ModelState, Reported
from dunlin_contract.schema import Record
from dunlin_contract.wipe import Erased, Receipt
from tests.contract import rfc9180
from tests.contract.strategies import releases, values
from tests.firmware.runner import Fields, Runner

IDENTITY = rfc9180.seeded_key("identity")
SECRET = IDENTITY.private_numbers().private_value.to_bytes(32, "big")
SPKI = keys.spki(IDENTITY)
KEM = keys.spki(rfc9180.seeded_key("kem"))

ascii_text = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=64)
word = ascii_text.filter(bool)
digest, id16, name, sequence = values.digest, values.id16, values.name, values.sequence
few = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])

micro = st.builds(
    DeviceDescription,
    hardware_class=word,
    arch=word,
    memory_bytes=values.uint(2**48),
    flash_bytes=values.uint(2**48),
    arena_bytes=values.uint(2**48),
    runtimes=values.tuples(st.builds(RuntimeInfo, name=st.just("tflm"), version=values.version3, ops=releases.ops), 1),
    tier=st.just(Tier(keystore="flash", model_store="plain-flash")),
)


def described(device: DeviceDescription) -> Fields:
    """A description as the runner takes it."""
    runtime = device.runtimes[0] if device.runtimes else RuntimeInfo(name="tflm", version=(0, 0, 0))
    return {
        "hardware_class": device.hardware_class,
        "arch": device.arch,
        "keystore": device.tier.keystore,
        "model_store": device.tier.model_store,
        "memory": device.memory_bytes,
        "flash": device.flash_bytes,
        "arena": device.arena_bytes,
        "runtimes": len(device.runtimes),
        "runtime": runtime.name,
        "version": list(runtime.version),
        "any_op": not runtime.ops,
        "op": [op.opcode for op in runtime.ops],
        "op_version": [op.version for op in runtime.ops],
    }


def written(runner: Runner, kind: str, fields: Fields) -> bytes:
    answer = runner.ask(kind, {"secret": SECRET, **fields})
    assert answer.verdict == "ok"
    return answer.values["bytes"][0]


def agrees(envelope: bytes, opened: Record, wanted: Record) -> None:
    """The same record, and not only for this reader: byte for byte what the codec would have written."""
    assert opened == wanted
    assert cose.peek1(envelope, len(envelope)) == wanted.to_bytes()


@few
@given(data=st.data())
def test_events(runner: Runner, data: st.DataObject) -> None:
    event = data.draw(
        st.builds(
            Event,
            stream=id16,
            n=values.uint(LIMITS.sequence, 1),
            kind=st.sampled_from(KINDS),
            time_s=values.unix_time,
            uptime_s=sequence,
            model=values.maybe(name),
            release=values.maybe(digest),
            code=ascii_text,
            text=ascii_text,
            receipt=values.maybe(st.binary(min_size=1, max_size=700)),
        )
    )
    fields: Fields = {
        "stream": event.stream,
        "n": event.n,
        "event_kind": KINDS.index(event.kind),
        "time_s": event.time_s,
        "uptime_s": event.uptime_s,
        "model": event.model,
        "release": event.release,
        "code": event.code,
        "text": event.text,
        "receipt": event.receipt,
    }
    envelope = written(runner, "write-event", fields)
    agrees(envelope, envelopes.open_event(envelope, SPKI), event)


states = st.builds(
    ModelState,
    phase=st.sampled_from(PHASES),
    active=values.maybe(digest),
    previous=values.maybe(digest),
    candidate=values.maybe(digest),
    error_code=ascii_text,
    error_text=ascii_text,
    variant=st.one_of(st.just(""), values.kind),
    served=sequence,
    chunks_have=sequence,
    chunks_need=sequence,
)
REFUSED = ModelState(phase="refused", error_code="no-slot", error_text="this device holds one model")


@few
@given(data=st.data())
def test_reports(runner: Runner, data: st.DataObject) -> None:
    names = data.draw(st.lists(name, max_size=2, unique=True))
    state = data.draw(states)
    report = Reported(
        epoch=data.draw(values.u32),
        seq=data.draw(sequence),
        boot_nonce=data.draw(id16),
        missing=data.draw(values.tuples(digest, 8)),
        models=dict(zip(names, [state, REFUSED], strict=False)),
        device=data.draw(micro),
        number=data.draw(values.uint(LIMITS.sequence, 1)),
        uptime_s=data.draw(sequence),
        time_s=data.draw(values.unix_time),
        agent_version=data.draw(ascii_text),
        root_version=data.draw(values.uint(LIMITS.counter, 1)),
    )
    fields: Fields = {
        **described(report.device),
        "epoch": report.epoch,
        "seq": report.seq,
        "nonce": report.boot_nonce,
        "missing": list(report.missing),
        "model": names[0] if names else None,
        "refused": names[1] if len(names) > 1 else None,
        "phase": state.phase,
        "active": state.active,
        "previous": state.previous,
        "candidate": state.candidate,
        "error_code": state.error_code,
        "error_text": state.error_text,
        "variant": state.variant,
        "served": state.served,
        "have": state.chunks_have,
        "need": state.chunks_need,
        "number": report.number,
        "uptime_s": report.uptime_s,
        "time_s": report.time_s,
        "agent_version": report.agent_version,
        "root_version": report.root_version,
    }
    envelope = written(runner, "write-report", fields)
    agrees(envelope, envelopes.open_reported(envelope, SPKI), report)


@few
@given(data=st.data())
def test_receipts(runner: Runner, data: st.DataObject) -> None:
    model, releases = data.draw(values.maybe(name)), data.draw(values.tuples(digest, 4))
    receipt = Receipt(
        device=data.draw(values.device),
        order_digest=data.draw(digest),
        erased=(Erased(model=model, releases=releases),) if model else (),
        method=data.draw(ascii_text),
        assurance="clear",
        canary_unreadable=data.draw(st.booleans()),
        files=data.draw(sequence),
        bytes_erased=data.draw(sequence),
        time_s=data.draw(values.unix_time),
        kem=KEM,
    )
    fields: Fields = {
        "device": receipt.device,
        "order": receipt.order_digest,
        "model": model,
        "release": list(releases),
        "method": receipt.method,
        "canary": receipt.canary_unreadable,
        "files": receipt.files,
        "bytes_erased": receipt.bytes_erased,
        "time_s": receipt.time_s,
        "kem": KEM,
    }
    envelope = written(runner, "write-receipt", fields)
    agrees(envelope, envelopes.open_receipt(envelope, SPKI), receipt)


@few
@given(data=st.data())
def test_enrolment_requests(runner: Runner, data: st.DataObject) -> None:
    request = EnrolRequest(
        device=data.draw(values.device),
        token_id=data.draw(values.kid),
        secret=data.draw(id16),
        spki=SPKI,
        kem=KEM,
        description=data.draw(micro),
    )
    fields: Fields = {
        **described(request.description),
        "device": request.device,
        "token_id": request.token_id,
        "token_secret": request.secret,
        "kem": KEM,
    }
    envelope = written(runner, "write-enrol", fields)
    agrees(envelope, envelopes.open_enrol(envelope), request)


def test_a_buffer_too_small_is_never_overrun(runner: Runner) -> None:
    fields: Fields = {"stream": bytes(16), "n": 1, "event_kind": 0, "time_s": 1, "uptime_s": 1, "text": "x" * 40}
    envelope = written(runner, "write-event", fields)
    for cap in (1, 16, len(envelope) // 2, len(envelope) - 1):
        assert runner.ask("write-event", {**fields, "secret": SECRET, "cap": cap}).verdict == "full"
    assert runner.ask("write-event", {**fields, "secret": SECRET, "cap": len(envelope)}).verdict == "ok"


def test_signatures_are_deterministic(runner: Runner) -> None:
    """RFC 6979: a second signature of the same bytes by a weak generator would otherwise give the key away."""
    fields: Fields = {"stream": bytes(16), "n": 1, "event_kind": 0, "time_s": 1, "uptime_s": 1}
    assert written(runner, "write-event", fields) == written(runner, "write-event", fields)


def test_operators_keep_their_place(runner: Runner) -> None:
    device = DeviceDescription(
        hardware_class="m",
        arch="a",
        memory_bytes=1,
        runtimes=(
            RuntimeInfo(name="tflm", version=(1, 0, 0), ops=(Op(opcode="B", version=2), Op(opcode="A", version=1))),
        ),
        tier=Tier(keystore="flash", model_store="plain-flash"),
    )
    fields: Fields = {
        "device": "mcu-7",
        "token_id": bytes(8),
        "token_secret": bytes(16),
        "kem": KEM,
        **described(device),
    }
    assert envelopes.open_enrol(written(runner, "write-enrol", fields)).description == device
