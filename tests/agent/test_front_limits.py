"""The front's patience: clients that send or read too slowly, models that do not answer, too many at once.

The HTTP server and the router run in the test, with limits short enough to be met.
"""

import asyncio
import gzip
import json
import socket
import struct
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from fleet_agent import frames
from fleet_agent.front import infer
from fleet_agent.front.app import App
from fleet_agent.front.compression import inflate
from fleet_agent.front.exchange import Exchange, Stream
from fleet_agent.front.http_server import HttpServer
from fleet_agent.front.limits import LIMITS, Limits
from fleet_agent.front.listen import bind_tcp
from fleet_agent.front.router import Router, Worker
from tests.agent.local_api_models import ADD_IO

ENOUGH_S = 30
GET = b"GET /v2 HTTP/1.1\r\n\r\n"


@asynccontextmanager
async def server(handle: Callable[[Exchange], None], limits: Limits) -> AsyncIterator[int]:
    """The port of a server that ``handle`` answers."""
    made = HttpServer(handle, limits)
    sock = bind_tcp("127.0.0.1", 0)
    listening = await made.listen(sock)
    yield sock.getsockname()[1]
    listening.close()
    assert made._held_bytes == 0


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(ENOUGH_S):
        yield reader, writer
    writer.close()


def at_once(exchange: Exchange) -> None:
    exchange.respond(200, exchange.body)


@pytest.mark.parametrize(
    "start", [b"GET /v2", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf"], ids=["head", "body"]
)
async def test_a_request_that_does_not_end_is_408(start: bytes) -> None:
    async with server(at_once, replace(LIMITS, receive_s=0.05)) as port, connected(port) as (reader, writer):
        writer.write(GET)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        writer.write(start)
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"not whole after 0.05 s" in answer


async def test_a_late_request_does_not_get_the_answer_of_the_one_before_it() -> None:
    """The second request stalls while the first is being answered: first its answer, then the refusal."""
    exchanges: list[Exchange] = []
    async with server(exchanges.append, replace(LIMITS, receive_s=0.05)) as port, connected(port) as (reader, writer):
        writer.write(GET + b"GET /v2")
        await asyncio.sleep(0.2)
        exchanges[0].respond(200, b"first")
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.index(b"first") < answer.index(b"HTTP/1.1 408 ")


async def test_a_quiet_connection_is_closed_and_a_busy_one_is_not() -> None:
    exchanges: list[Exchange] = []
    async with server(exchanges.append, replace(LIMITS, idle_s=0.05)) as port:
        async with connected(port) as (reader, _):
            assert await reader.read() == b""
        async with connected(port) as (reader, writer):
            writer.write(GET)
            await asyncio.sleep(0.2)
            exchanges[0].respond(200, b"late")
            assert (await reader.readuntil(b"late")).startswith(b"HTTP/1.1 200 ")


async def test_a_client_that_does_not_read_is_dropped() -> None:
    def huge(exchange: Exchange) -> None:
        exchange.respond(200, bytes(1 << 20))

    async with server(huge, replace(LIMITS, send_s=0.05)) as port:
        with pytest.raises(ConnectionError):
            await ask_and_never_read(port)


async def ask_and_never_read(port: int) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        await loop.sock_connect(sock, ("127.0.0.1", port))
        async with asyncio.timeout(ENOUGH_S):
            while True:
                await loop.sock_sendall(sock, GET * 1000)
                await asyncio.sleep(0.01)


async def test_connections_over_the_limit_are_503() -> None:
    async with (
        server(at_once, replace(LIMITS, connections=2)) as port,
        connected(port) as (first, first_writer),
        connected(port),
        connected(port) as (third, _),
    ):
        assert (await third.read()).startswith(b"HTTP/1.1 503 ")
        first_writer.write(GET)
        assert (await first.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


async def test_bodies_together_are_capped_and_their_memory_is_given_back() -> None:
    limits = replace(LIMITS, held_bytes=1000)
    exchanges: asyncio.Queue[Exchange] = asyncio.Queue()
    post = b"POST / HTTP/1.1\r\nContent-Length: 600\r\n\r\n" + bytes(600)
    async with server(exchanges.put_nowait, limits) as port:
        async with connected(port) as (first, first_writer), connected(port) as (second, second_writer):
            first_writer.write(post)
            begun = await exchanges.get()
            second_writer.write(post)
            assert (await second.readuntil(b"}")).startswith(b"HTTP/1.1 503 ")
            begun.respond(200, b"done")
            await first.readuntil(b"done")
            second_writer.write(post)
            (await exchanges.get()).respond(200, b"done")
            assert (await second.readuntil(b"done")).startswith(b"HTTP/1.1 200 ")
        async with connected(port) as (_, writer):
            writer.write(post[:-1])
            await writer.drain()
        async with connected(port) as (_, writer):
            writer.write(post)
            begun = await exchanges.get()
        # Both clients hung up: one before its request was whole, one before the answer.
        begun.respond(200, b"nobody reads this")
        await asyncio.sleep(0.01)


async def test_a_stream_drops_what_its_reader_does_not_take_and_goes_on_when_it_does() -> None:
    gone = asyncio.Event()
    streams: asyncio.Queue[Stream] = asyncio.Queue()

    def begin(exchange: Exchange) -> None:
        streams.put_nowait(exchange.open(b"text/plain", gone.set))

    async with server(begin, LIMITS) as port:
        async with connected(port) as (reader, writer):
            writer.write(GET)
            stream = await streams.get()
            assert b"connection: close" in await reader.readuntil(b"\r\n\r\n")
            sent = 0
            while stream.send(bytes(100_000)):
                sent += 100_000
                assert sent < 1 << 30
                await asyncio.sleep(0)
            await reader.readexactly(sent)
            await until(lambda: stream.send(b"end"))
            # What was sent in vain is not there: whatever was taken came before, whole.
            assert (await reader.readuntil(b"end")).strip(b"\0") == b"end"
        await asyncio.wait_for(gone.wait(), ENOUGH_S)
        assert not stream.send(b"nobody")


async def test_a_stream_whose_reader_never_reads_is_cut_off() -> None:
    gone = asyncio.Event()
    streams: asyncio.Queue[Stream] = asyncio.Queue()

    def begin(exchange: Exchange) -> None:
        streams.put_nowait(exchange.open(b"text/plain", gone.set))

    async with server(begin, replace(LIMITS, send_s=0.05)) as port:
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(GET)
            stream = await streams.get()
            await until(lambda: not stream.send(bytes(100_000)))
            await asyncio.wait_for(gone.wait(), ENOUGH_S)


async def until(true: Callable[[], bool]) -> None:
    """Ask again and again, letting the server work in between."""
    async with asyncio.timeout(ENOUGH_S):
        while not true():  # noqa: ASYNC110 - what is asked for has no event
            await asyncio.sleep(0.001)


class Deaf:
    """A listener that only remembers."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Worker]] = []
        self.lost_one = asyncio.Event()

    def changed(self, worker: Worker) -> None:
        self.told.append(("changed", worker))

    def lost(self, worker: Worker) -> None:
        self.told.append(("lost", worker))
        self.lost_one.set()

    def drained(self, worker: Worker) -> None:
        self.told.append(("drained", worker))

    def hung(self, worker: Worker) -> None:
        self.told.append(("hung", worker))


ORDER = {
    "worker": 1,
    "model": "m",
    "version": "1.0.0",
    "release": b"",
    "runtime": "onnxruntime",
    "io": ADD_IO.to_cbor(),
}


@asynccontextmanager
async def silent_worker(limits: Limits) -> AsyncIterator[tuple[int, Deaf, Worker, socket.socket]]:
    """Port, listener, worker and the other end of a worker's socket where nobody answers."""
    listener = Deaf()
    router = Router(limits, listener)
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    await router.attach(ORDER, ours)
    router.route("m", 1)
    async with server(App(router, limits).handle, limits) as port:
        yield port, listener, router.find("m", None), theirs
    theirs.close()
    await asyncio.sleep(0)


def post(**parameters: object) -> bytes:
    body = json.dumps(
        {
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}],
            "parameters": parameters,
        }
    ).encode()
    return b"POST /v2/models/m/infer HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body


async def test_a_model_that_does_not_answer_is_504_and_its_worker_is_given_up() -> None:
    limits = replace(LIMITS, answer_s=0.05, reroute_s=0.05)
    async with silent_worker(limits) as (port, listener, worker, _), connected(port) as (reader, writer):
        async with connected(port) as (other, other_writer):
            writer.write(post())
            await asyncio.sleep(0.02)
            other_writer.write(post())
            assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 504 ")
            # The one behind it has done nothing: it would run on the next worker, and there is none in time.
            answer = await other.readuntil(b"}")
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"stopped; try again" in answer
        assert [kind for kind, _ in listener.told if kind != "changed"] == ["hung", "lost"]
        assert (worker.link.statistics.count, worker.link.statistics.errors) == (1, 1)
        assert (worker.ledger.hung, worker.ledger.failures["BACKEND"]) == (1, 2)


async def test_a_request_may_give_its_answer_less_time() -> None:
    """The one whose turn it is gets 504, the one behind it 503; the worker may go on for as long as any may."""
    async with silent_worker(LIMITS) as (port, listener, worker, _), connected(port) as (reader, writer):
        async with connected(port) as (other, other_writer):
            writer.write(post(timeout=60_000))
            await asyncio.sleep(0.01)
            other_writer.write(post(timeout=1))
            answer = await other.readuntil(b"}")
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"while others were served" in answer
            assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 504 ")
        # Not the model's fault: an app in a hurry must not make a release fail its probation.
        assert worker.link.statistics.errors == 0
        assert worker.ledger.failures["REJECTED"] == 1
        assert worker.link.outstanding == 2
        assert not listener.lost_one.is_set()


async def test_a_request_whose_turn_came_late_has_a_models_whole_time() -> None:
    """Of two that have waited as long as any may, the one whose turn it is goes on; the other may try again."""
    async with silent_worker(LIMITS) as (port, _, worker, theirs), connected(port) as (reader, writer):
        async with connected(port) as (other, other_writer):
            writer.write(post())
            await until(lambda: worker.link.outstanding == 1)
            other_writer.write(post())
            await until(lambda: worker.link.outstanding == 2)
            for waiting in worker.link._waiting.values():
                waiting.deadline = 0.0
            worker.link._expire()
            answer = await other.readuntil(b"}")
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: 1" in answer
        sent = memoryview(theirs.recv(1000))
        (length,) = frames.LENGTH.unpack_from(sent)
        request = frames.parse_request(sent[4 : 4 + length])
        y = frames.Tensor("y", frames.BY_NAME["float32"], (1, 4), bytes(16))
        theirs.send(frames.pack_served(request.id, frames.Status.SERVED, frames.NO_TIME, [y]))
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200 ")


async def test_answers_that_nobody_waits_for_still_fill_the_queue() -> None:
    limits = replace(LIMITS, queued_requests=2)
    async with silent_worker(limits) as (port, _, worker, _):
        for expected in (b"504", b"503", b"503"):
            async with connected(port) as (reader, writer):
                writer.write(post(timeout=1000))
                answer = await reader.readuntil(b"}")
                assert answer.startswith(b"HTTP/1.1 " + expected)
        assert b"2 requests wait for this model already" in answer
        assert b"retry-after: 1" in answer
        assert worker.ledger.failures == {"REJECTED": 2, "CANCELED": 0, "BACKEND": 1, "OTHER": 0}


async def test_bytes_that_a_worker_has_not_taken_count_though_nobody_waits_for_them() -> None:
    """A client that hangs up, or is in a hurry, does not get room for another large request."""
    async with silent_worker(replace(LIMITS, held_bytes=200)) as (port, _, worker, _):
        for expected in (b"504", b"503", b"503", b"503", b"503", b"503"):
            async with connected(port) as (reader, writer):
                writer.write(post(timeout=1000))
                answer = await reader.readuntil(b"}")
                assert answer.startswith(b"HTTP/1.1 " + expected)
        assert b"too many large requests wait for this model" in answer
        assert worker.link.outstanding < 6


async def test_an_app_in_a_hurry_is_not_told_that_it_was_its_turn_when_it_was_not() -> None:
    """Those given up stand in the order of their times, not of their turns."""
    async with silent_worker(LIMITS) as (_, _, worker, _):
        turns: list[bool] = []
        for timeout_s in (0.06, 0.09, 0.03):
            worker.link.call(b"\0\0", Told(turns), timeout_s)
        await until(lambda: len(turns) == 3)
        assert turns == [False, True, False]


class Told:
    """A caller that keeps whether it was its turn when its time was over."""

    def __init__(self, turns: list[bool]) -> None:
        self._turns = turns

    def answered(self, response: frames.Response) -> None:
        pytest.fail(f"answered: {response}")

    def lost(self) -> None:
        pytest.fail("lost")

    def overdue(self, *, running: bool) -> None:
        self._turns.append(running)


async def test_a_late_answer_is_the_models_all_the_same() -> None:
    """Clients in a hurry do not hide a model that became slow, or fails."""
    async with silent_worker(LIMITS) as (_, _, worker, theirs):
        turns: list[bool] = []
        worker.link.call(b"\0\0", Told(turns), 0.01)
        await until(lambda: turns == [True])
        assert worker.link.statistics.count == 0
        theirs.send(frames.pack_unserved(1, frames.Status.FAILED, frames.NO_TIME, "no"))
        await until(lambda: worker.link.outstanding == 0)
        assert (worker.link.statistics.count, worker.link.statistics.errors) == (1, 1)


async def test_a_further_worker_is_asked_only_when_it_is_connected() -> None:
    router = Router(LIMITS, Deaf())
    pairs = [socket.socketpair() for _ in range(2)]
    await router.attach(ORDER, pairs[0][0])
    router.route("m", 1)
    turns: list[bool] = []
    router.find("m", None).link.call(b"\0\0", Told(turns))
    attaching = asyncio.get_running_loop().create_task(router.attach(ORDER | {"worker": 2}, pairs[1][0]))
    while not attaching.done():
        await asyncio.sleep(0)
        # The first is busy: whoever is found may be the other.
        router.find("m", None).link.call(b"\0\0", Told(turns))
    assert {worker.id for worker in router.copies(router.find("m", None))} == {1, 2}
    for worker in router.copies(router.find("m", None)):
        worker.link._waiting.clear()
    for pair in pairs:
        pair[1].close()
    await asyncio.sleep(0)


async def test_a_request_is_answered_once() -> None:
    """What goes wrong after its answer must not pass for the answer to the client's next request."""

    def answer_and_fail(exchange: Exchange) -> None:
        exchange.respond(200, exchange.body)
        raise RuntimeError

    async with server(answer_and_fail, LIMITS) as port, connected(port) as (reader, writer):
        for body in (b"one", b"two"):
            writer.write(b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n" + body)
            answer = await reader.readuntil(body)
            assert answer.startswith(b"HTTP/1.1 200 ")


async def test_what_a_body_becomes_when_it_is_decompressed_counts_too() -> None:
    body = gzip.compress(b'{"id":"%b"}' % (b"x" * 5000))
    head = b"POST /v2/models/m/infer HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with silent_worker(replace(LIMITS, held_bytes=1000)) as (port, _, _, _), connected(port) as (reader, writer):
        writer.write(head + body)
        answer = await reader.readuntil(b"}")
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"too many large requests at once" in answer


async def test_no_body_is_decompressed_in_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes may become 32 MiB: nobody else waits for that."""
    body = gzip.compress(bytes(1 << 20))
    assert len(body) < 2000
    threads: list[threading.Thread] = []

    def told(body: bytes, most: int) -> bytes:
        threads.append(threading.current_thread())
        return inflate(body, most)

    monkeypatch.setattr(infer, "inflate", told)
    head = b"POST /v2/models/m/infer HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with silent_worker(LIMITS) as (port, _, _, _), connected(port) as (reader, writer):
        writer.write(head + body)
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 400 ")
    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()


async def test_a_client_that_is_gone_is_counted_as_such() -> None:
    async with silent_worker(LIMITS) as (port, _, worker, theirs):
        with socket.create_connection(("127.0.0.1", port)) as sock:
            # It resets the connection: one that only ends its side may still wait for the answer.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.sendall(post())
            await until(lambda: not worker.link.idle)
        await asyncio.sleep(0.05)
        request = frames.parse_request(memoryview(theirs.recv(1000))[4:])
        theirs.send(frames.pack_served(request.id, frames.Status.SERVED, frames.NO_TIME, []))
        await until(lambda: worker.link.idle)
        assert worker.ledger.failures["CANCELED"] == 1
        assert worker.ledger.success.count == 0
