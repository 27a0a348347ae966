"""Records: written and read again, whatever they hold."""

import dataclasses
import struct
from typing import Any

import cbor2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dunlin_contract import cbor
from dunlin_contract.enrolment import ClaimToken, EnrolRequest
from dunlin_contract.schema import Record
from tests.contract import strategies, vectors
from tests.contract.cddl import Cddl
from tests.contract.test_cddl import RECORDS as EXAMPLES

CDDL = Cddl((vectors.FOLDER.parent / "dunlin.cddl").read_text())
RULE = {cls: rule for rule, (cls, _) in EXAMPLES.items()}


@pytest.mark.parametrize("cls", strategies.RECORDS, ids=lambda cls: cls.__name__)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(data=st.data())
def test_round_trip(cls: type[Record], data: Any) -> None:
    record = data.draw(strategies.RECORDS[cls])
    encoded = record.to_bytes()
    assert cls.from_bytes(encoded) == record
    assert cls.from_bytes(encoded).to_bytes() == encoded
    assert CDDL.matches(RULE[cls], cbor2.loads(encoded))


def test_every_message_has_a_strategy() -> None:
    assert {cls for cls in Record.__subclasses__() if _is_message(cls)} == set(strategies.RECORDS)


def _is_message(cls: type[Record]) -> bool:
    """Messages begin with the version of their own format; parts of messages do not."""
    first = dataclasses.fields(cls)[0]  # type: ignore[arg-type]
    return cls.__module__.startswith("dunlin_contract") and first.name == "format"


@settings(max_examples=100, deadline=None)
@given(strategies.RECORDS[ClaimToken])
def test_claim_token_text(token: Any) -> None:
    assert ClaimToken.from_text(token.to_text()) == token


@settings(max_examples=20)
@given(strategies.RECORDS[ClaimToken], strategies.RECORDS[EnrolRequest])
def test_secrets_are_not_shown(token: Any, request: Any) -> None:
    for holder in (token, request):
        assert repr(holder.secret) not in repr(holder)
        assert holder.secret.hex() not in repr(holder)


plain = st.recursive(
    st.integers(-(2**64), 2**64 - 1)
    | st.binary(max_size=40)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.booleans()
    | st.none()
    | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.integers(0, 2**64 - 1), inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), inner, max_size=4)
        | st.dictionaries(st.binary(max_size=30), inner, max_size=4)
    ),
    max_leaves=20,
)


def _sorted_bytewise(value: Any) -> None:
    """RFC 8949 4.2.1: keys ascend by the bytes of their encodings (here, as everywhere, of one type in each map)."""
    if isinstance(value, dict):
        keys = [cbor2.dumps(key, canonical=True) for key in value]
        assert keys == sorted(keys)
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ():
        _sorted_bytewise(inner)


@settings(max_examples=300, deadline=None)
@given(plain)
def test_cbor_round_trip(value: Any) -> None:
    encoded = cbor.encode(value)
    again = cbor.decode(encoded, 1 << 20)
    assert cbor.encode(again) == encoded
    _sorted_bytewise(cbor2.loads(encoded))


@given(st.floats(allow_nan=False))
def test_floats_are_as_short_as_their_value_allows(value: float) -> None:
    encoded = cbor.encode(value)
    for head, form in ((b"\xf9", ">e"), (b"\xfa", ">f"), (b"\xfb", ">d")):
        try:
            packed = struct.pack(form, value)
        except OverflowError:
            continue
        if struct.unpack(form, packed)[0] == value:
            assert encoded == head + packed
            return
    raise AssertionError("a double always holds it")
