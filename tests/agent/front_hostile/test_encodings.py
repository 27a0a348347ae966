"""Binary data that does not add up, compressed bodies that are wrong or bombs."""

import gzip
import json
import struct
import tracemalloc
import zlib

import pytest

from fleet_agent.front.compression import inflate
from fleet_agent.front.errors import HttpError
from fleet_agent.front.limits import LIMITS
from tests.agent.front_hostile.parts import WHOLE, X
from tests.agent.local_api_parts import Client


def binary(head: dict, tail: bytes, length: int | str | None = None) -> tuple[bytes, dict[str, str]]:
    raw = json.dumps(head).encode()
    return raw + tail, {"Inference-Header-Content-Length": str(len(raw) if length is None else length)}


@pytest.mark.parametrize(
    ("size", "tail", "length", "says"),
    [
        (16, bytes(15), None, "binary_data_size is 16, 15 bytes are left"),
        (16, bytes(17), None, "1 bytes of binary data belong to no input"),
        (12, bytes(12), None, "12 bytes of data; shape [1, 4] needs 16"),
        (-16, bytes(16), None, "must be a number of bytes"),
        (16.0, bytes(16), None, "must be a number of bytes"),
        (2**62, bytes(16), None, "16 bytes are left"),
        (16, bytes(16), 10**9, "Inference-Header-Content-Length is 1000000000"),
        (16, bytes(16), 5, "not JSON"),
        (16, bytes(16), -1, "must be a number of bytes"),
        (16, bytes(16), "1e2", "must be a number of bytes"),
        (16, bytes(16), "9" * 40, "must be a number of bytes"),
    ],
)
def test_binary_data_that_does_not_add_up(client: Client, size: object, tail: bytes, length: object, says: str) -> None:
    head = {key: X[key] for key in ("name", "datatype", "shape")} | {"parameters": {"binary_data_size": size}}
    body, headers = binary({"inputs": [head]}, tail, length)
    status, answer = client.ask("POST", "/v2/models/add/infer", body, headers)
    assert status in (400, 413)
    assert status == 400 or length == 10**9
    assert says in answer["error"] or status == 413


@pytest.mark.parametrize(
    ("encoding", "body", "status", "says"),
    [
        ("br", WHOLE, 415, "send gzip, deflate"),
        ("gzip, deflate", gzip.compress(WHOLE), 415, "send gzip, deflate"),
        ("gzip", b"\x1f\x8b", 400, "cut short"),
        ("gzip", WHOLE, 400, "not what its Content-Encoding says"),
        ("gzip", gzip.compress(WHOLE)[:-9], 400, "cut short"),
        ("gzip", gzip.compress(WHOLE) + b"more", 400, "bytes follow"),
        ("gzip", gzip.compress(bytes(LIMITS.body_bytes + 1)), 413, "when it is decompressed"),
        ("deflate", zlib.compress(bytes(LIMITS.json_bytes + 1)), 413, "send tensors as binary data"),
        ("deflate", zlib.compress(b"[" * 100_000), 400, "not JSON"),
    ],
    ids=range(9),
)
def test_compressed_bodies_that_are_wrong_or_bombs(
    client: Client, encoding: str, body: bytes, status: int, says: str
) -> None:
    got, answer = client.ask("POST", "/v2/models/add/infer", body, {"Content-Encoding": encoding})
    assert got == status
    assert says in answer["error"]


def test_a_bomb_takes_no_more_memory_than_what_is_allowed() -> None:
    bomb = gzip.compress(bytes(100 << 20))
    tracemalloc.start()
    with pytest.raises(HttpError) as caught:
        inflate(bomb, 1 << 20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.status == 413
    assert peak < 8 << 20


def test_only_a_client_that_asks_for_nothing_else_gets_a_compressed_answer(client: Client) -> None:
    for accepted, encoded in (("gzip", "gzip"), ("deflate", "deflate"), ("gzip, deflate, br", None), ("*", None)):
        client.connection.request("POST", "/v2/models/add/infer", WHOLE, {"Accept-Encoding": accepted})
        response = client.connection.getresponse()
        body = response.read()
        assert response.headers["content-encoding"] == encoded
        whole = zlib.decompress(body, 47) if encoded else body
        assert json.loads(whole)["outputs"][0]["data"] == [2, 3, 4, 5]
        client.connection.request("GET", "/v2/models/nothing", headers={"Accept-Encoding": accepted})
        assert b"serves no model" in client.connection.getresponse().read()


def test_bytes_alone_are_the_only_input_of_a_model(client: Client) -> None:
    def ask(model: str, size: int) -> tuple[int, bytes]:
        headers = {"Inference-Header-Content-Length": "0"}
        client.connection.request("POST", f"/v2/models/{model}/infer", struct.pack("<f", 1.5) * (size // 4), headers)
        response = client.connection.getresponse()
        return response.status, response.read()

    status, answer = ask("add", 32)
    assert status == 200
    assert b'"shape":[2,4]' in answer
    assert answer.endswith(struct.pack("<f", 2.5) * 8)
    status, answer = ask("add", 28)
    assert status == 400
    assert b"28 bytes are no input 'x' of shape [-1, 4]" in answer
    status, answer = ask("pair", 8)
    assert status == 400
    assert b"models with one input" in answer
