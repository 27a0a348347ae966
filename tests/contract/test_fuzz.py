"""Whatever bytes come in, nothing but a ContractError comes out."""

import base64
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.vectors import material as m
from dunlin_contract import cbor, cose, envelopes, header, hpke, keys, link, merkle, topics
from dunlin_contract.enrolment import ClaimToken
from dunlin_contract.errors import ContractError
from dunlin_contract.install import installed
from dunlin_contract.manifest import Manifest, Payload
from tests.contract import vectors
from tests.contract.test_cddl import RECORDS

FUZZ = settings(max_examples=150)

ROOT = vectors.root_named("root-1")
KEY = m.private("device-kem")
SPKI = m.spki("device")

PARSERS: dict[str, Callable[[bytes], object]] = {
    "cbor": lambda data: cbor.decode(data, 1 << 20),
    "signer-of": cose.signer_of,
    "assemble": lambda data: cose.assemble(b"payload", [data, data]),
    "peek": lambda data: cose.peek(data, 1 << 20),
    "peek1": lambda data: cose.peek1(data, 1 << 20),
    "root-digest": envelopes.root_digest,
    "next-root": lambda data: envelopes.open_next_root(data, ROOT),
    "manifest": lambda data: envelopes.open_manifest(data, ROOT),
    "directive": lambda data: envelopes.open_directive(data, ROOT),
    "ack": lambda data: envelopes.open_ack(data, ROOT),
    "wipe": lambda data: envelopes.open_wipe(data, ROOT),
    "capture": lambda data: envelopes.open_capture(data, ROOT),
    "receipt": lambda data: envelopes.open_receipt(data, SPKI),
    "enrol": envelopes.open_enrol,
    "reported": lambda data: envelopes.open_reported(data, SPKI),
    "event": lambda data: envelopes.open_event(data, SPKI),
    "renew": lambda data: envelopes.open_renew(data, SPKI),
    "event-by-any-key": lambda data: envelopes.open_event(m.signed1(b"\xa0", "device", "dnb/v1/event"), data),
    "grant": lambda data: hpke.open_cek(data, KEY, bytes(32), "pi-1"),
    "spki": keys.load_spki,
    "header": header.Header.unpack,
    "index": lambda data: Manifest.from_cbor(m.MANIFEST).checked_leaves(data),
    "install": lambda data: list(installed(Payload.from_cbor(m.CONTENT.payloads[1]), [data])),
    "split": merkle.split,
    "frame": link.decode,
    "link-message": link.parse,
    "link-claim": link.Claim.from_bytes,
    **{f"record-{name}": cls.from_bytes for name, (cls, _) in RECORDS.items()},
}

SEEDS = (
    *(vectors.octets(vector) for vector in vectors.every() if vector["expect"] == "ok" and "bytes" in vector),
    *(m.enc(example) for _, example in RECORDS.values()),
    m.enc(m.signature(b"payload", "ops-1", "dnb/v1/wipe")),
)

anything = st.recursive(
    st.integers(-(2**80), 2**80)
    | st.binary(max_size=64)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.booleans()
    | st.none()
    | st.floats()
    | st.builds(cbor2.CBORSimpleValue, st.integers(32, 255)),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.integers(-3, 12) | st.text(max_size=3) | st.booleans() | st.floats(), inner, max_size=5)
        | st.builds(cbor2.CBORTag, st.integers(0, 300) | st.sampled_from([18, 98]), inner)
    ),
    max_leaves=30,
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A good message with a few bytes changed, dropped, doubled, or taken from another."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 8))
        how = draw(st.sampled_from(["put", "drop", "double", "splice"]))
        if how == "put":
            data[at : at + length] = draw(st.binary(min_size=length, max_size=length))
        elif how == "drop":
            del data[at : at + length]
        elif how == "double":
            data[at:at] = data[at : at + length * 8]
        else:
            other = draw(st.sampled_from(SEEDS))
            data[at:] = other[draw(st.integers(0, len(other))) :]
    return bytes(data)


hostile = mutated() | anything.map(m.enc) | st.binary(max_size=200)


@pytest.mark.parametrize("parser", PARSERS)
@FUZZ
@given(data=hostile)
def test_only_contract_errors_escape(parser: str, data: bytes) -> None:
    with suppress(ContractError):
        PARSERS[parser](data)


@pytest.mark.parametrize("name", RECORDS)
@FUZZ
@given(value=anything)
def test_only_contract_errors_escape_from_decoded_values(name: str, value: Any) -> None:
    cls, example = RECORDS[name]
    with suppress(ContractError):
        cls.from_cbor(value)
    for key in example:
        with suppress(ContractError):
            cls.from_cbor({**example, key: value})


HOSTILE_CBOR = {
    "nested arrays": b"\x81" * 60_000 + b"\x00",
    "nested maps": b"\xa1\x00" * 30_000 + b"\x00",
    "nested tags": b"\xd2" * 60_000 + b"\x00",
    "array of 2^64": b"\x9b" + b"\xff" * 8,
    "array of 2^31": b"\x9a\x7f\xff\xff\xff",
    "map of 2^63": b"\xbb\x7f" + b"\xff" * 7,
    "bytes of 2^62": b"\x5b\x3f" + b"\xff" * 7,
    "text of 2^32": b"\x7a\xff\xff\xff\xff",
    "bignum of 60 KB": b"\xc2\x59\xea\x60" + b"\xff" * 60_000,
    "decimal with a huge exponent": b"\xc4\x82\x1b\x00\xff\xff\xff\xff\xff\xff\xff\x01",
    "regular expression": b"\xd8\x23" + cbor2.dumps("(?i:[\u0000-\U0010ffff])" * 2000),
    "date": b"\xc1\x1b\x7f\xff\xff\xff\xff\xff\xff\xff",
    "cycle": b"\xd8\x1c\x81\xd8\x1d\x00",
    "doubling references": b"\xd8\x1c\x82" * 200 + b"\xd8\x1d\x00" * 400,
    "nan": b"\xf9\x7e\x00",
    "nan keys": b"\xa2\xf9\x7e\x00\x00\xf9\x7e\x00\x00",
    "array key": b"\xa1\x81\x00\x00",
    "map key": b"\xa1\xa0\x00",
    "tag key": b"\xa1\xd2\x80\x00",
    "indefinite forever": b"\x9f" * 60_000,
    "many empty maps": b"\x99\xea\x60" + b"\xa0" * 60_000,
    "lone break": b"\xff",
}


@pytest.mark.parametrize("name", HOSTILE_CBOR)
@pytest.mark.parametrize("parser", PARSERS)
def test_hostile_encodings_are_refused_at_once(parser: str, name: str) -> None:
    """pytest's own timeout is the bound: a decoder that takes these at their word never ends, or takes all memory."""
    with suppress(ContractError):
        PARSERS[parser](HOSTILE_CBOR[name])


token_like = st.binary(max_size=400).map(lambda data: "dunlin1-" + base64.urlsafe_b64encode(data).decode())


@given(st.text(max_size=700) | token_like)
def test_only_contract_errors_escape_from_texts(text: str) -> None:
    with suppress(ContractError):
        ClaimToken.from_text(text)
    with suppress(ContractError):
        topics.parse_up(text)
    with suppress(ContractError):
        topics.parse_down(text)
    assert topics.parse_object(text) is None


@given(st.from_regex(r"\A(dunlin/v1/)?([a-z0-9+#-]{0,5}/){0,5}(up|dn|reported|events|obj)?/?[a-z]{0,9}\Z"))
def test_a_topic_that_is_read_is_the_one_that_is_written(topic: str) -> None:
    with suppress(ContractError):
        address, kind = topics.parse_up(topic)
        assert address.up(kind) == topic
    with suppress(ContractError):
        address, kind = topics.parse_down(topic)
        assert address.down(kind) == topic


@given(st.lists(st.binary(min_size=1, max_size=256)), st.integers(1, 40))
def test_frames_come_out_of_a_stream_as_they_went_in(bodies: list[bytes], step: int) -> None:
    line = b"".join(map(link.encode, bodies))
    decoder = link.Decoder()
    assert [body for at in range(0, len(line), step) for body in decoder.feed(line[at : at + step])] == bodies
    assert decoder.errors == 0


@given(st.binary(min_size=1, max_size=256), st.integers(0, 262), st.integers(0, 7))
def test_no_flipped_bit_passes_for_a_frame(body: bytes, place: int, bit: int) -> None:
    frame = link.encode(body)[:-1]
    line = b"\x00" + m.flipped(frame, place % len(frame), bit) + b"\x00"
    assert link.Decoder().feed(line) == []
