"""Who may ask, bytes that are not HTTP, and clients that pipeline, wait or hang up."""

import json
import socket

import pytest

from fleet_agent.front.limits import LIMITS
from tests.agent.front_hostile.parts import WHOLE, X, infer, raw, spin
from tests.agent.local_api_parts import PATIENCE_S, Client, Device

# who may ask


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "127.0.0.1:8100"}, 200),
        ({"Host": "localhost:8100"}, 200),
        ({"Host": "[::1]:8100"}, 200),
        ({"Host": "[::1]"}, 200),
        ({"Host": "10.0.0.7"}, 200),
        ({"Host": "attacker.example:8100"}, 403),
        ({"Host": "127.0.0.1.attacker.example"}, 403),
        ({"Origin": "https://attacker.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "127.0.0.1:8100", "Origin": "http://127.0.0.1:8100"}, 200),
        ({"Host": "127.0.0.1:8100", "Origin": "http://127.0.0.1:9999"}, 403),
    ],
    ids=range(11),
)
def test_web_pages_of_others_are_refused(client: Client, headers: dict[str, str], status: int) -> None:
    got, answer = client.ask("POST", "/v2/models/add/infer", WHOLE, headers)
    assert got == status
    assert status == 200 or "error" in answer


# bytes that are not HTTP


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"NONSENSE\r\n\r\n",
        b"GET /v2 HTTP/9.9\r\n\r\n",
        b"POST /v2 HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v2 HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /v2 HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /v2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"GET /v2\x00 HTTP/1.1\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"CONNECT example.org:443 HTTP/1.1\r\n\r\n",
    ],
    ids=range(11),
)
def test_what_is_not_http_is_400(served: Device, client: Client, data: bytes) -> None:
    answer = raw(served, data)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'{"error":' in answer


def test_a_cut_body_reaches_no_model_and_gets_no_answer(served: Device, client: Client) -> None:
    body = json.dumps({"inputs": [X]}).encode()
    whole = b"POST /v2/models/add/infer HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    assert raw(served, whole).startswith(b"HTTP/1.1 200 ")
    assert raw(served, whole[:-1]) == b""


def test_pipelined_requests_are_answered_in_order(served: Device, client: Client) -> None:
    """Slow and quick, good and bad, all in one packet; the answers come in the order of the requests."""

    requests = [spin(200_000, 0), infer("add", X, 1), infer("nothing", X, 2), spin(200_000, 3)]
    requests += [infer("add", X, number) for number in range(4, 200)]
    answer = raw(served, b"".join(requests) + b"GARBAGE\r\n\r\n")
    statuses = [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [200, 200, 404, 200, *[200] * 196, 400]
    numbers = [int(part.split(b'"')[0]) for part in answer.split(b'"id":"')[1:]]
    assert numbers == [0, 1, *range(3, 200)]


def test_http_1_0_and_connection_close(served: Device, client: Client) -> None:
    assert b"connection: close" in raw(served, b"GET /v2 HTTP/1.0\r\n\r\n")
    twice = b"GET /v2 HTTP/1.1\r\nConnection: close\r\n\r\n" + b"GET /v2 HTTP/1.1\r\n\r\n"
    answer = raw(served, twice)
    assert answer.count(b"HTTP/1.1 200 ") == 1
    assert b"connection: close" in answer


def test_a_client_that_asks_first_is_told_to_go_on(served: Device, client: Client) -> None:
    body = json.dumps({"inputs": [X]}).encode()
    head = b"POST /v2/models/add/infer HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    with socket.create_connection(("127.0.0.1", served.front.port), PATIENCE_S) as sock:
        sock.sendall(head % len(body))
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(body)
        assert sock.recv(65_536).startswith(b"HTTP/1.1 200 ")
        sock.sendall(head % (LIMITS.body_bytes + 1) + b"x")
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(100) == b""


def test_hanging_up_while_a_model_runs_harms_nobody(served: Device, client: Client) -> None:
    with socket.create_connection(("127.0.0.1", served.front.port), PATIENCE_S) as sock:
        sock.sendall(spin(300_000))
    quick = {"name": "n", "datatype": "INT64", "shape": [], "data": [3]}
    assert client.infer("spin", quick)[1]["outputs"][0]["data"] == [3]
