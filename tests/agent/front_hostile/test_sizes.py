"""Bodies, heads and queues over their limits: refused, and the next client is served."""

import json
import select
import socket
from contextlib import ExitStack

import pytest

from fleet_agent.front.limits import LIMITS
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
    "head",
    [
        b"GET /v2 HTTP/1.1\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"v" * 200) for n in range(100)) + b"\r\n",
        b"GET /v2 HTTP/1.1\r\nX: " + b"v" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"v" * 20_000 + b" HTTP/1.1\r\n\r\n",
    ],
)
def test_long_heads_are_refused(served: Device, client: Client, head: bytes) -> None:
    assert raw(served, head).startswith(b"HTTP/1.1 431 ")


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
