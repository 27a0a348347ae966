"""Requests that are wrong, too big, too slow or malicious: each is refused by name, and the next client is served."""

import gzip
import json
import select
import socket
import struct
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from fleet_agent.front.compression import inflate
from fleet_agent.front.errors import HttpError
from fleet_agent.front.limits import LIMITS
from tests.agent import local_api_models as models
from tests.agent.local_api_models import ADD_IO, PAIR_IO, SPIN_IO
from tests.agent.local_api_parts import PATIENCE_S, Client, Device, device

X = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    folder = tmp_path_factory.mktemp("api")
    with device(folder) as parts:
        for name, make, io in (
            ("add", lambda path: models.add(path, 1), ADD_IO),
            ("pair", models.pair, PAIR_IO),
            ("spin", models.spin, SPIN_IO),
        ):
            parts.serve(parts.worker(make(folder / name), io), name, "1.0.0", io)
        yield parts


@pytest.fixture
def client(served: Device) -> Iterator[Client]:
    """A client; whatever the test does to the front, it must serve this one afterwards."""
    made = served.client()
    yield made
    fresh = served.client()
    assert fresh.infer("add", X)[1]["outputs"][0]["data"] == [2, 3, 4, 5]
    fresh.connection.close()


def binary(head: dict, tail: bytes, length: int | str | None = None) -> tuple[bytes, dict[str, str]]:
    raw = json.dumps(head).encode()
    return raw + tail, {"Inference-Header-Content-Length": str(len(raw) if length is None else length)}


# bodies


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
        ({"data": [1, 2, 3, 10**400]}, "does not fit FP32"),
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


WHOLE = json.dumps({"inputs": [X]}).encode()


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


def test_a_timeout_longer_than_any_is_none(client: Client) -> None:
    assert client.infer("add", X, parameters={"timeout": 10**400})[0] == 200


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


# sizes


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


def spin(steps: int, number: int = 0) -> bytes:
    """A whole request to count to ``steps``."""
    return infer("spin", {"name": "n", "datatype": "INT64", "shape": [], "data": [steps]}, number)


def infer(model: str, tensor: dict, number: int) -> bytes:
    """A whole request, its id ``number``."""
    body = json.dumps({"id": str(number), "inputs": [tensor]}).encode()
    return b"POST /v2/models/%b/infer HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (model.encode(), len(body)) + body


# bytes that are not HTTP


def raw(served: Device, data: bytes) -> bytes:
    """Everything that the front answers until it hangs up."""
    with socket.create_connection(("127.0.0.1", served.front.port), PATIENCE_S) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        while more := sock.recv(65_536):
            answer += more
    return answer


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
