"""HTTP/1.1 on llhttp (httptools): one connection, its requests answered in order, with limits on all that it may take.

There is no ASGI server here. Measured on two cores, uvicorn's request cycle took a third of a small request's whole
time (204 us against 122), and its protocol class would have had to be overridden for most of the limits below.
"""

import asyncio
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import cast

import httptools

from fleet_agent.front.admission import anyone
from fleet_agent.front.errors import HttpError
from fleet_agent.front.exchange import Exchange
from fleet_agent.front.limits import Limits
from fleet_agent.front.peer import Peer
from fleet_agent.front.reading import Reading

Handle = Callable[[Exchange], None]
_BACKLOG = 128
_FRAMING_BYTES = 65_536
_QUEUED_REQUESTS = 16  # whole requests on one connection, read while an earlier one is being answered


class HttpServer:
    """Accepts connections on bound sockets and hands whole requests to ``handle``."""

    def __init__(self, handle: Handle, limits: Limits) -> None:
        self.handle = handle
        self.limits = limits
        self.connections = 0
        self._held_bytes = 0

    async def listen(self, sock: socket.socket, admit: Handle = anyone) -> asyncio.Server:
        """Accept connections on a bound stream socket, until what is returned is closed.

        ``admit`` sees each request when its head is there, and raises HttpError for one that shall not be read.
        """
        loop = asyncio.get_running_loop()
        return await loop.create_server(lambda: Connection(self, admit), sock=sock, backlog=_BACKLOG)

    def hold(self, count: int) -> None:
        """Count body bytes in, or out with a negative ``count``.

        Raises:
            HttpError: 503, all bodies together would be too much.
        """
        if self._held_bytes + count > self.limits.held_bytes:
            raise HttpError(503, "too many large requests at once; try again")
        self._held_bytes += count


class Connection(Reading):
    """One client."""

    def __init__(self, server: HttpServer, admit: Handle) -> None:
        self.peer = Peer(None)
        self._server = server
        self._admit = admit
        self._limits = limits = server.limits
        self._loop = asyncio.get_running_loop()
        self._transport = cast("asyncio.Transport", None)
        self._parser = httptools.HttpRequestParser(self)
        self._reading: Exchange | None = None  # begun, not whole
        self._parts: list[bytes] = []
        self._in_head = False
        self._begun = 0
        self._head_bytes = 0
        self._raw_bytes = 0  # of the request being read, less what came together with its beginning
        self._body_bytes = 0
        self._waiting: deque[Exchange] = deque()  # whole, not begun to be answered
        self._current: Exchange | None = None  # being answered
        self._refusals: dict[Exchange, HttpError] = {}  # requests that the application shall not see
        self._advancing = False
        self._gone: Callable[[], None] | None = None  # who hears that the client of a stream hung up
        self._deaf = False  # nothing more is read
        self._full = False  # the client does not take its answers
        self._last_data = 0.0
        self._receive_timer = _Timer(limits.receive_s, self._too_slow)
        # Abort, not close: closing would wait for the client that does not read.
        self._send_timer = _Timer(limits.send_s, self._abort)
        self._idle_timer = _Timer(limits.idle_s, self._check_idle)

    # from the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.peer = Peer(transport.get_extra_info("socket"))
        self._server.connections += 1
        self._idle_timer.start()
        if self._server.connections > self._limits.connections:
            self._refuse(503, f"{self._limits.connections} connections are open already; close some")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the reason changes nothing
        self._server.connections -= 1
        for timer in (self._receive_timer, self._send_timer, self._idle_timer):
            timer.stop()
        self._deaf = True
        for exchange in (self._reading, self._current, *self._waiting):
            if exchange:
                exchange.gone = True
                self._release(exchange)
        self._reading = None
        self._waiting.clear()
        if self._gone:
            self._gone()

    def data_received(self, data: memoryview) -> None:
        if self._deaf:
            return
        self._last_data = self._loop.time()
        begun = self._begun
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._deaf = True  # the request that asks for it is refused, and what follows is of no known protocol
        except httptools.HttpParserError as error:
            # A callback's own error lies under the parser's.
            cause = error.__context__
            self._refuse(*(cause.status, cause.text) if isinstance(cause, HttpError) else (400, "this is not HTTP/1.1"))
        if self._begun == begun:
            self._raw_bytes += len(data)
        self._after_data()

    def eof_received(self) -> bool:
        """The client sends no more, but may wait for answers; who ends its side of a stream wants no more of it."""
        self._deaf = True
        self._receive_timer.stop()
        return self._gone is None and (self._current is not None or bool(self._waiting))

    def pause_writing(self) -> None:
        self._full = True
        self._send_timer.start()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._full = False
        self._send_timer.stop()
        self._advance()

    # from the parser

    def on_message_begin(self) -> None:
        self._reading = Exchange(self)
        self._parts = []
        self._begun += 1
        self._raw_bytes = self._head_bytes = self._body_bytes = 0
        self._in_head = True

    def on_url(self, url: bytes) -> None:
        self._count_head(len(url))
        self._request.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_head(len(name) + len(value) + 4)
        self._request.headers.setdefault(name.lower(), value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        request = self._request
        request.method = self._parser.get_method()
        request.keep_alive = self._parser.should_keep_alive() and self._parser.get_http_version() == "1.1"
        if self._parser.should_upgrade():
            # llhttp gives no body of such a request, so it cannot be answered as if it had not asked.
            request.keep_alive = False
            self._refusals[request] = HttpError(400, "protocol upgrades are not offered; send HTTP/1.1 without Upgrade")
        try:
            self._admit(request)
        except HttpError as error:
            self._refusals.setdefault(request, error)
        if int(request.headers.get(b"content-length", b"0")) > self._limits.body_bytes:
            self._refuse_body()
        expects = request.headers.get(b"expect", b"").lower() == b"100-continue"
        if expects and not self._current and request not in self._refusals:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        request = self._request
        if request in self._refusals:
            return
        try:
            self.hold(request, len(body))
        except HttpError as error:
            self._refusals[request] = error
            return
        self._parts.append(body)
        if self._body_bytes > self._limits.body_bytes:
            self._refuse_body()

    def on_message_complete(self) -> None:
        request = self._request
        request.body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        request.whole_ns = time.perf_counter_ns()
        self._parts = []
        self._reading = None
        self._waiting.append(request)
        self._advance()

    # from the application

    def hold(self, exchange: Exchange, count: int) -> None:
        """See :meth:`Exchange.hold`."""
        if exchange.gone:  # what it held was given back already
            raise HttpError(400, "the client hung up")
        self._server.hold(count)
        exchange.held_bytes += count

    def opened(self, exchange: Exchange, head: bytes, gone: Callable[[], None]) -> "Connection":
        """Begin an answer without an end; this connection is its stream."""
        self._release(exchange)
        self._gone = gone
        self._transport.write(head)
        return self

    def send(self, data: bytes) -> bool:
        """See :class:`fleet_agent.front.exchange.Stream`."""
        if self._full or self._transport.is_closing():
            return False
        self._transport.write(data)
        return True

    def close(self) -> None:
        """See :class:`fleet_agent.front.exchange.Stream`."""
        self._transport.close()

    def answered(self, exchange: Exchange, answer: bytes) -> None:
        """Send the answer to the current request, and begin the next."""
        self._release(exchange)
        if exchange is not self._current:
            return  # it has an answer; another would be taken for that of the client's next request
        self._current = None
        if self._transport.is_closing():
            return
        self._transport.write(answer)
        if not exchange.keep_alive or (self._deaf and not self._waiting):
            self._deaf = True
            self._transport.close()
        else:
            self._advance()

    def _advance(self) -> None:
        # Not by recursion: a client may send a thousand requests at once.
        if self._advancing:
            return
        self._advancing = True
        while self._waiting and self._current is None and not self._full and not self._transport.is_closing():
            self._current = request = self._waiting.popleft()
            refusal = self._refusals.pop(request, None)
            if refusal:
                request.fail(refusal)
            else:
                request.attempt(self._server.handle, request)
        self._advancing = False
        if self._full or len(self._waiting) > _QUEUED_REQUESTS:
            self._transport.pause_reading()
        elif not self._deaf:
            self._transport.resume_reading()

    # limits

    @property
    def _request(self) -> Exchange:
        assert self._reading is not None
        return self._reading

    def _release(self, exchange: Exchange) -> None:
        self._server.hold(-exchange.held_bytes)
        exchange.held_bytes = 0
        exchange.body = b""

    def _count_head(self, more: int) -> None:
        self._head_bytes += more
        if self._head_bytes > self._limits.head_bytes:
            raise self._long_head()

    def _long_head(self) -> HttpError:
        return HttpError(431, f"over {self._limits.head_bytes} bytes of headers are not taken")

    def _refuse_body(self) -> None:
        """Refuse the request once it is whole; its body is read and dropped, so that the client sees the answer."""
        self._refusals[self._request] = HttpError(413, f"over {self._limits.body_bytes} bytes of body are not taken")
        self._parts = []

    def _after_data(self) -> None:
        if self._reading is None or self._deaf:
            self._receive_timer.stop()
        elif self._in_head and self._raw_bytes > self._limits.head_bytes:
            self._refuse(431, self._long_head().text)
        elif self._body_bytes > 2 * self._limits.body_bytes:
            self._refuse(413, f"over {self._limits.body_bytes} bytes of body are not taken")
        elif self._raw_bytes > _FRAMING_BYTES + 8 * self._body_bytes:
            # A chunk of one byte takes six; only trailers and chunk extensions without end take more than eight.
            self._refuse(400, "the request is nearly all framing")
        else:
            self._receive_timer.start()

    def _too_slow(self) -> None:
        self._refuse(408, f"the request was not whole after {self._limits.receive_s:g} s")

    def _refuse(self, status: int, text: str) -> None:
        """Answer, in its turn, what cannot be read on; then hang up."""
        if self._deaf:
            return
        self._deaf = True
        refused = self._reading or Exchange(self)
        self._reading = None
        refused.keep_alive = False
        self._refusals[refused] = HttpError(status, text)
        self._waiting.append(refused)
        self._advance()

    def _abort(self) -> None:
        self._transport.abort()

    def _check_idle(self) -> None:
        quiet = self._loop.time() - self._last_data >= self._limits.idle_s
        if quiet and self._current is None:
            self._transport.close()
        else:
            self._idle_timer.start()


class _Timer:
    """Calls ``then`` after ``seconds`` unless stopped; starting it again while it runs changes nothing."""

    def __init__(self, seconds: float, then: Callable[[], object]) -> None:
        self._seconds = seconds
        self._then = then
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        if self._handle is None:
            self._handle = asyncio.get_running_loop().call_later(self._seconds, self._fire)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _fire(self) -> None:
        self._handle = None
        self._then()
