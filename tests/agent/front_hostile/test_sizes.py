"""Bodies, heads and queues over their limits: refused, and the next client is served."""

import json
import select
import socket
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from fleet_agent.frames import BY_NAME, Image, Tensor
from fleet_agent.front.errors import HttpError
from fleet_agent.front.limits import LIMITS
from fleet_agent.front.predict import PredictJob
from fleet_agent.front.rendering import MOST_ELEMENTS
from tests.agent.front_hostile.parts import X, raw, spin
from tests.agent.local_api_parts import PATIENCE_S, Client, Device


def test_a_body_over_the_limit_is_refused_and_the_connection_goes_on(client: Client) -> None:
    status, answer = client.ask("POST", "/v2/models/add/infer", bytes(LIMITS.body_bytes + 1))
    assert status == 413
    assert str(LIMITS.body_bytes) in answer["error"]
    assert client.infer("add", X)[0] == 200


def test_chunked_bodies_work_and_are_capped_too(client: Client) -> None:
    whole = json.dumps({"inputs": [X]}).encode()
    connection = client.connection
    connection.request("POST", "/v2/models/add/infer", iter([whole[:7], whole[7:]]), encode_chunked=True)
    assert json.loads(connection.getresponse().read())["outputs"][0]["data"] == [2, 3, 4, 5]
    piece = bytes(1 << 20)
    pieces = (LIMITS.body_bytes >> 20) + 1
    connection.request("POST", "/v2/models/add/infer", (piece for _ in range(pieces)), encode_chunked=True)
    response = connection.getresponse()
    response.read()
    assert response.status == 413


def test_json_over_its_limit_is_refused_before_it_is_parsed(client: Client) -> None:
    status, answer = client.ask("POST", "/v2/models/add/infer", b"[" * (LIMITS.json_bytes + 1))
    assert status == 413
    assert "binary data" in answer["error"]


@pytest.mark.parametrize(
    ("parameters", "output", "over", "status"),
    [
        ({}, {}, 0, 200),
        ({}, {}, 1, 400),
        ({"binary_data_output": True}, {}, 1, 200),
        ({}, {"classification": 1}, 1, 400),
        ({"binary_data_output": True}, {"classification": 1}, 1, 400),
    ],
)
def test_an_answer_of_too_many_numbers_is_refused_as_json_and_not_in_binary(
    client: Client, parameters: dict, output: dict, over: int, status: int
) -> None:
    size = (MOST_ELEMENTS + 4 * over) * 4
    tensor = X | {"shape": [size // 16, 4], "parameters": {"binary_data_size": size}}
    del tensor["data"]
    outputs = [{"name": "y", "parameters": output}]
    head = json.dumps({"inputs": [tensor], "outputs": outputs, "parameters": parameters}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    client.connection.request("POST", "/v2/models/add/infer", head + bytes(size), headers)
    response = client.connection.getresponse()
    body = response.read()
    assert response.status == status
    if status == 400:
        assert f"{MOST_ELEMENTS} at most: ask for it in binary" in json.loads(body)["error"]


@pytest.mark.parametrize(
    "head",
    [
        b"GET /v2 HTTP/1.1\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"v" * 200) for n in range(100)) + b"\r\n",
        b"GET /v2 HTTP/1.1\r\nX: " + b"v" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"v" * 20_000 + b" HTTP/1.1\r\n\r\n",
    ],
)
def test_long_heads_are_refused(served: Device, client: Client, head: bytes) -> None:
    assert raw(served, head).startswith(b"HTTP/1.1 431 ")


def test_a_prediction_of_too_many_numbers_is_refused() -> None:
    tensor = Tensor("y", BY_NAME["uint8"], (MOST_ELEMENTS + 1,), bytes(MOST_ELEMENTS + 1))
    response: Any = SimpleNamespace(predictions=(), tensors=[tensor])
    job = PredictJob("m", Image("image/png", 0, b""), Any, Any)  # type: ignore[arg-type]
    worker: Any = SimpleNamespace(model="m", version="1")
    with pytest.raises(HttpError, match="/v2/models/m/infer, parameter binary_data_output"):
        job.finish(worker, response)


def flood(served: Device, start: bytes, more: bytes) -> None:
    """Send ``more`` without end, until the front has hung up."""
    with socket.create_connection(("127.0.0.1", served.front.port), PATIENCE_S) as sock:
        sock.sendall(start)
        for _ in range(1000):
            sock.sendall(more)


def test_a_head_without_end_is_cut_off(served: Device, client: Client) -> None:
    with pytest.raises(ConnectionError):
        flood(served, b"GET /v2 HTTP/1.1\r\nX: ", b"v" * 65_536)


def test_a_body_of_nothing_but_framing_is_cut_off(served: Device, client: Client) -> None:
    head = b"POST /v2/models/add/infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with pytest.raises(ConnectionError):
        flood(served, head, b"1;" + b"e" * 65_530 + b"\r\nx\r\n")


def test_a_full_queue_is_503_at_once_and_drains(served: Device, client: Client) -> None:
    """The first request keeps the worker busy; of the others those beyond the queue are refused, the rest wait."""
    beyond = 8
    with ExitStack() as stack:
        socks = []
        for number in range(LIMITS.queued_requests + beyond):
            socks.append(stack.enter_context(socket.socket(socket.AF_UNIX)))
            socks[-1].settimeout(PATIENCE_S)
            socks[-1].connect(served.front.path)
            socks[-1].sendall(spin(2 if number else 3_000_000, number))
        refused = [_status(sock) for sock in socks[-beyond:]]
        busy_yet = not select.select(socks[:1], [], [], 0)[0]
        served_later = [_status(sock) for sock in socks[:-beyond]]
    assert busy_yet
    assert (set(refused), set(served_later)) == ({b"503"}, {b"200"})


def _status(sock: socket.socket) -> bytes:
    return sock.recv(65_536).split(b" ")[1]
