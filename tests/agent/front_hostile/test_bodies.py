"""JSON bodies and inputs that are wrong: each is refused by name."""

import json

import pytest

from tests.agent.front_hostile.parts import X
from tests.agent.local_api_parts import Client


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "the request has no inputs"),
        (b'{"inputs":{}}', "inputs must be a JSON array"),
        (b'{"inputs":[]}', "1 to 32 are allowed, 0 were sent"),
        (b'{"inputs":[7]}', "each must be a JSON object"),
        (b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1,4],"data":[NaN,1,2,3]}]}', "NaN is not JSON"),
        (b'{"id":7,"inputs":[]}', "1 to 32"),
        (b'{"parameters":[],"inputs":[{}]}', "an input has no name"),
        (json.dumps({"inputs": [X] * 33}).encode(), "33 were sent"),
        (json.dumps({"inputs": [X, X]}).encode(), "'x' is there twice"),
        (json.dumps({"inputs": [X], "id": 7}).encode(), "id must be a JSON string"),
        (json.dumps({"inputs": [X], "parameters": {"binary_data_output": 1}}).encode(), "must be true or false"),
        (json.dumps({"inputs": [X], "outputs": [{"name": "z"}]}).encode(), "no output 'z'; it gives 'y'"),
        (json.dumps({"inputs": [X], "outputs": [{"name": "y"}, {"name": "y"}]}).encode(), "twice"),
        (json.dumps({"inputs": [X], "outputs": [{}]}).encode(), "an output has no name"),
        (
            json.dumps({"inputs": [X], "outputs": [{"name": "y", "parameters": {"classification": -3}}]}).encode(),
            "classification must be a number of classes",
        ),
        (json.dumps({"inputs": [X], "parameters": {"sequence_id": 7}}).encode(), "sequences are not kept"),
        (json.dumps({"inputs": [X], "parameters": {"timeout": -1}}).encode(), "a number of microseconds"),
        (json.dumps({"inputs": [X], "parameters": {"timeout": "soon"}}).encode(), "a number of microseconds"),
    ],
    ids=range(23),
)
def test_a_body_that_is_no_request(client: Client, body: bytes, says: str) -> None:
    status, answer = client.ask("POST", "/v2/models/add/infer", body)
    assert status == 400
    assert says in answer["error"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": "q" * 500}, "the model has no input 'qqq"),
        ({"datatype": "FP64"}, "datatype FP64; FP32 is expected"),
        ({"datatype": "BYTES", "data": ["a"] * 4}, "datatype 'BYTES' is not one of"),
        ({"datatype": None}, "has no datatype"),
        ({"shape": [1, 5], "data": [1] * 5}, "shape [1, 5]; [-1, 4] is expected"),
        ({"shape": [4]}, "shape [4]"),
        ({"shape": [0, 4], "data": []}, "shape [0, 4]"),
        ({"shape": [-1, 4]}, "must be a list of sizes"),
        ({"shape": [1.0, 4]}, "must be a list of sizes"),
        ({"shape": [True, 4]}, "must be a list of sizes"),
        ({"shape": [2**31 - 1, 2**31 - 1]}, "must be a list of sizes"),
        ({"shape": [1] * 9}, "at most 8 dimensions"),
        ({"shape": [2, 4]}, "4 numbers of data; shape [2, 4] needs 8"),
        ({"data": [[1, 2], [3, 4]]}, "not nested as its shape"),
        ({"data": [[1, 2, 3, [4]]]}, "does not fit FP32"),
        ({"data": [[1, 2, 3]]}, "3 numbers of data"),
        ({"shape": [2, 4], "data": [[1, 2, 3, 4], [5, 6, 7]]}, "differ in length"),
        ({"data": [1, 2, 3, "4"]}, "does not fit FP32"),
        ({"data": [1, 2, 3, None]}, "does not fit FP32"),
        ({"data": [1, 2, 3, 1e300]}, "does not fit FP32"),
        ({"data": [1, 2, 3, 10**400]}, "100000000000000000000000 is out of the range of FP64"),
        ({"data": 7}, "data must be a JSON array"),
        ({"parameters": {"binary_data_size": 4}}, "both data and binary_data_size"),
        ({"parameters": {"shared_memory_region": "r"}}, "both data and shared_memory_region"),
    ],
    ids=range(24),
)
def test_an_input_that_is_wrong(client: Client, change: dict, says: str) -> None:
    status, answer = client.infer("add", X | change)
    assert status == 400
    assert says in answer["error"]
    assert len(answer["error"]) < 300


@pytest.mark.parametrize("value", [1.5, 2**31, "1", None, [1]])
def test_an_integer_that_is_none(client: Client, value: object) -> None:
    b = {"name": "b", "datatype": "FP64", "shape": [2, 2], "data": [1, 2, 3, 4]}
    status, answer = client.infer("pair", {"name": "a", "datatype": "INT32", "shape": [2], "data": [1, value]}, b)
    assert status == 400
    assert "does not fit INT32" in answer["error"]


def test_an_input_that_is_missing_or_unknown(client: Client) -> None:
    a = {"name": "a", "datatype": "INT32", "shape": [2], "data": [1, 2]}
    assert client.infer("pair", a) == (400, {"error": "input 'b' is missing"})
    status, answer = client.infer("pair", a, X)
    assert (status, answer["error"]) == (400, "the model has no input 'x'; it takes 'a', 'b'")


def test_a_timeout_longer_than_any_is_none(client: Client) -> None:
    assert client.infer("add", X, parameters={"timeout": 2**64 - 1})[0] == 200
