"""The same requests over the Unix socket: tritonclient has no transport for it, but makes and reads the bytes."""

import json
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton

from tests.agent.conformance.parts import ROWS, A, B, given, served
from tests.agent.local_api_parts import Client, Device

Make = triton.InferenceServerClient.generate_request_body
Parse = triton.InferenceServerClient.parse_response_body


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    with served(tmp_path_factory.mktemp("api")) as made:
        yield made


@pytest.fixture(params=["tcp", "unix"])
def client(parts: Device, request: pytest.FixtureRequest) -> Client:
    return parts.client(unix=request.param == "unix")


def replay(
    client: Client, model: str, inputs: list[Any], encoding: str | None = None, **more: Any
) -> tuple[triton.InferResult, dict[str, str]]:
    """Send what tritonclient would, and read the answer with tritonclient; the answer's headers too."""
    body, json_length = Make(inputs, **more)
    headers = {} if json_length is None else {"Inference-Header-Content-Length": str(json_length)}
    if encoding:
        # The header's length stays that of the JSON before it was compressed.
        body = zlib.compress(body) if encoding == "deflate" else zlib.compress(body, wbits=31)
        headers |= {"Content-Encoding": encoding, "Accept-Encoding": encoding}
    client.connection.request("POST", f"/v2/models/{model}/infer", body, headers)
    response = client.connection.getresponse()
    data = response.read()
    assert response.status == 200, data
    length = response.headers.get("inference-header-content-length")
    result = Parse(
        data, header_length=length and int(length), content_encoding=response.headers.get("content-encoding")
    )
    return result, dict(response.headers)


@pytest.mark.parametrize("encoding", [None, "gzip", "deflate"])
@pytest.mark.parametrize("binary", [True, False])
def test_infer(client: Client, binary: bool, encoding: str | None) -> None:
    inputs = [given("b", B, binary=binary), given("a", A, binary=binary)]
    outputs = [triton.InferRequestedOutput(name, binary) for name in ("b2", "a2")]
    result, headers = replay(client, "pair", inputs, encoding, outputs=outputs, request_id="r", parameters={"k": 1})
    assert headers.get("content-encoding") == encoding
    assert result.get_response()["id"] == "r"
    np.testing.assert_array_equal(result.as_numpy("a2"), A + A)
    np.testing.assert_array_equal(result.as_numpy("b2"), B * B)


def test_classes(client: Client) -> None:
    outputs = [triton.InferRequestedOutput("y", class_count=1)]
    result, _ = replay(client, "add", [given("x", ROWS)], outputs=outputs)
    assert result.as_numpy("y").tolist() == [[b"4.500000:3"], [b"8.500000:0"]]


@pytest.mark.parametrize(
    ("method", "path", "status", "has"),
    [
        ("GET", "/v2", 200, "extensions"),
        ("GET", "/v2/models/add", 200, "platform"),
        ("GET", "/v2/models/add/versions/1.2.0", 200, "platform"),
        ("GET", "/v2/models/add/config", 200, "max_batch_size"),
        ("GET", "/v2/models/add/versions/1.2.0/stats", 200, "model_stats"),
        ("GET", "/v2/models/stats", 200, "model_stats"),
        ("GET", "/v2/logging", 200, "log_info"),
        ("GET", "/v2/trace/setting", 200, "trace_level"),
        ("POST", "/v2/repository/models/add/load", 403, "error"),
        ("POST", "/v2/systemsharedmemory/unregister", 200, None),
        ("POST", "/v2/cudasharedmemory/unregister", 200, None),
        ("GET", "/v2/models/add/generate", 404, "error"),
        ("DELETE", "/v2/models/add", 405, "error"),
    ],
)
def test_the_other_paths(client: Client, method: str, path: str, status: int, has: str | None) -> None:
    got, answer = client.ask(method, path, b"")
    assert got == status
    assert answer is None if has is None else has in answer


def test_the_index_can_be_asked_for_what_is_ready(client: Client) -> None:
    for body in (b"", b"{}", b'{"ready":true}'):
        status, index = client.ask("POST", "/v2/repository/index", body)
        assert (status, [entry["name"] for entry in index]) == (200, ["add", "pair"])
    assert client.ask("POST", "/v2/repository/index", b"[")[0] == 400


def test_hosts_and_pages_mean_nothing_on_the_unix_socket(parts: Device) -> None:
    headers = {"Host": "whatever", "Origin": "https://example.org"}
    assert parts.client(unix=True).ask("GET", "/v2", headers=headers)[0] == 200
    assert parts.client().ask("GET", "/v2", headers=headers)[0] == 403
    assert json.dumps(parts.client().ask("GET", "/v2")[1])
