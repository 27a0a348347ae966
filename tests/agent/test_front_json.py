"""The front's JSON against the standard library's: the same numbers come in and go out, to the bit, or a refusal."""

import json
import math
import struct
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_agent.frames import BY_NAME, DTYPES, Dtype, Tensor
from fleet_agent.front.errors import HttpError
from fleet_agent.front.exchange import dump
from fleet_agent.front.limits import LIMITS
from fleet_agent.front.oip import json_object, parse_infer
from fleet_agent.front.rendering import values
from fleet_agent.front.shared_memory import Memory, Regions

MEMORY = Memory(Regions(LIMITS), SimpleNamespace(peer=SimpleNamespace(uid=0), hold=lambda _: None))  # type: ignore[arg-type]


def packed(dtype: Dtype, shape: list[int], data: str) -> bytes:
    """What an input with this text as its data is to a worker."""
    head = f'{{"inputs":[{{"name":"x","datatype":"{dtype.datatype}","shape":{shape},"data":{data}}}]}}'
    (tensor,) = parse_infer(head.encode(), None, MEMORY).tensors.values()
    return bytes(tensor.data)


def expected(dtype: Dtype, data: str) -> bytes | None:
    """The same by the standard library; None: it does not fit."""
    numbers = json.loads(data)
    if dtype.name == "bool" and not all(number in (0, 1) for number in numbers):
        return None
    try:
        return struct.pack(f"<{len(numbers)}{dtype.format}", *numbers)
    except (struct.error, OverflowError):
        return None


ELEMENTS = {
    "b": st.integers(-(2**7), 2**7 - 1),
    "B": st.integers(0, 2**8 - 1),
    "h": st.integers(-(2**15), 2**15 - 1),
    "H": st.integers(0, 2**16 - 1),
    "i": st.integers(-(2**31), 2**31 - 1),
    "I": st.integers(0, 2**32 - 1),
    "q": st.integers(-(2**63), 2**63 - 1),
    "Q": st.integers(0, 2**64 - 1),
    "?": st.booleans(),
    "e": st.floats(width=16),
    "f": st.floats(width=32),
    "d": st.floats(),
}


ODD = (
    st.integers()
    | st.sampled_from([2**63, -(2**63) - 1, 2**64 - 1, 2**64, 10**300])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
)


@pytest.mark.parametrize("dtype", DTYPES, ids=[dtype.name for dtype in DTYPES])
@given(st.data())
def test_numbers_come_in_as_the_standard_library_reads_them(dtype: Dtype, data: st.DataObject) -> None:
    fitting = ELEMENTS[dtype.format].filter(math.isfinite)
    numbers = data.draw(st.lists(fitting, max_size=6) | st.lists(fitting | ODD, max_size=3))
    text = json.dumps(numbers)
    wanted = expected(dtype, text)
    if wanted is None:
        with pytest.raises(HttpError, match=f"data does not fit {dtype.datatype}|true or false"):
            packed(dtype, [len(numbers)], text)
    else:
        assert packed(dtype, [len(numbers)], text) == wanted


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(FINITE, max_size=8))
def test_the_last_bit_of_a_float_comes_in_however_it_is_written(numbers: list[float]) -> None:
    for shown in (repr, "{:.17g}".format, "{:.25e}".format):
        data = f"[{','.join(map(shown, numbers))}]"
        assert packed(BY_NAME["float64"], [len(numbers)], data) == expected(BY_NAME["float64"], data)


@pytest.mark.parametrize("dtype", DTYPES, ids=[dtype.name for dtype in DTYPES])
@given(st.data())
def test_numbers_go_out_as_the_standard_library_reads_them(dtype: Dtype, data: st.DataObject) -> None:
    numbers = data.draw(st.lists(ELEMENTS[dtype.format], max_size=8))
    tensor = Tensor("y", dtype, (len(numbers),), struct.pack(f"<{len(numbers)}{dtype.format}", *numbers))
    shown = json.loads(dump(values(tensor)))
    assert shown == [number if math.isfinite(number) else None for number in numbers]
    assert [type(number) for number in shown if number is not None] == [type(n) for n in numbers if math.isfinite(n)]


def test_nested_data_is_read_row_by_row() -> None:
    uint8 = BY_NAME["uint8"]
    assert packed(uint8, [2, 1, 3], "[[[1,2,3]],[[4,5,6]]]") == bytes([1, 2, 3, 4, 5, 6])
    assert packed(uint8, [2, 0, 3], "[[],[]]") == b""
    for data, says in (
        ("[[[1,2,3]],[4]]", "not nested as its shape"),
        ("[[[1,2,3]],4]", "not nested as its shape"),
        ("[[[1,2,3]],[[4,5]]]", "differ in length"),
        ("[[[1,2,3]],[[4,5],[6]]]", "differ in length"),
    ):
        with pytest.raises(HttpError, match=says):
            packed(uint8, [2, 1, 3], data)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('{"a":NaN}', r"NaN is not JSON \(RFC 8259\): send such numbers as binary data"),
        ('{"a":"é","b":-Infinity}', r"Infinity is not JSON \(RFC 8259\): send such numbers as binary data"),
        ('{"a":1e400}', "1e400 is out of the range of FP64"),
        ('{"a":-1' + "0" * 9999 + ".5}", "-10000000000000000000000 is out of the range of FP64"),
        ('{"a":01}', "not JSON"),
        ('{"a":1 2}', "not JSON"),
        ('{"a":"\\ud800"}', "not JSON"),
        ('{"a":"\t"}', "not JSON"),
        ("\ufeff{}", "not JSON"),
        ('{"a":' * 3000, "not JSON"),
        ('{"a":' + "[" * 3000 + "]" * 3000 + "}", "not JSON"),
        ("{} {}", "not JSON"),
    ],
    ids=range(12),
)
def test_what_is_not_json_is_refused_by_name(body: str, says: str) -> None:
    with pytest.raises(HttpError, match=says) as raised:
        json_object(body.encode())
    assert raised.value.status == 400
    assert len(raised.value.text) < 200


def test_of_a_key_that_is_there_twice_the_last_counts() -> None:
    assert json_object(b'{"id":"a","id":"b"}') == {"id": "b"}
