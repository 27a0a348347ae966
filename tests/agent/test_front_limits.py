"""The front's patience: clients that send or read too slowly, models that do not answer, too many at once.

The HTTP server and the router run in the test, with limits short enough to be met.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from fleet_agent.front.app import App
from fleet_agent.front.exchange import Exchange
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


async def test_a_model_that_does_not_answer_is_504_and_an_error_of_the_model() -> None:
    limits = replace(LIMITS, answer_s=0.05, queued_requests=2)
    listener = Deaf()
    router = Router(limits, listener)
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    await router.attach(1, "m", "1.0.0", b"", "onnxruntime", ADD_IO, ours)
    router.route("m", 1)
    body = b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1,4],"data":[1,2,3,4]}]}'
    post = b"POST /v2/models/m/infer HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    async with server(App(router, limits).handle, limits) as port:
        for expected in (b"504", b"504", b"503"):
            # The answers that never came still fill the queue of a worker that hangs: the third is refused at once.
            async with connected(port) as (reader, writer):
                writer.write(post)
                assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 " + expected)
        (worker,) = router.routed()
        assert (worker.link.statistics.count, worker.link.statistics.errors) == (2, 2)
        assert not listener.lost_one.is_set()
        # It hangs: given up like one that died, so that the supervisor starts another.
        await asyncio.wait_for(listener.lost_one.wait(), 30)
    assert listener.told[-1] == ("lost", worker)
    theirs.close()
    await asyncio.sleep(0)
