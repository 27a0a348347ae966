"""One request and its answer, between the HTTP connection and the application."""

import logging
import time
from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote

import httptools
import orjson

from fleet_agent.front.errors import HttpError
from fleet_agent.front.peer import Peer

JSON = b"application/json"
_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_log = logging.getLogger("fleet_agent.front")


class Stream(Protocol):
    """An answer without an end, until the client or :meth:`close` ends it."""

    def send(self, data: bytes) -> bool:
        """Send more; False: the client does not keep up and this was dropped, or it is gone."""

    def close(self) -> None:
        """End the answer."""


class Answerer(Protocol):
    """Who takes the finished answer: the connection."""

    peer: Peer

    def answered(self, exchange: "Exchange", answer: bytes) -> None:
        """The whole answer, head and body, to be sent next."""

    def opened(self, exchange: "Exchange", head: bytes, gone: Callable[[], None]) -> Stream:
        """The head of an answer without an end."""

    def hold(self, exchange: "Exchange", count: int) -> None:
        """Count more bytes to what the request holds."""


class Exchange:
    """A whole request; exactly one of :meth:`respond`, :meth:`fail` and :meth:`open` is called on it, now or later.

    ``whole_ns``: when its last byte came (``time.perf_counter_ns``). ``gone``: its client waits no longer.
    """

    __slots__ = ("_owner", "body", "gone", "headers", "held_bytes", "keep_alive", "method", "url", "whole_ns")

    def __init__(self, owner: Answerer) -> None:
        self._owner = owner
        self.method = b""
        self.url = b""
        self.headers: dict[bytes, bytes] = {}  # the first of each name, which is in lower case
        self.body = b""
        self.held_bytes = 0
        self.keep_alive = False
        self.gone = False
        self.whole_ns = 0

    @property
    def path(self) -> tuple[str, ...]:
        """Decoded segments of the path; a slash at the end means nothing.

        Raises:
            HttpError: 400, the request target is no path.
        """
        return segments(self.url)

    @property
    def query(self) -> dict[str, str]:
        """What stands after the question mark; of a name that is there twice, the last."""
        return dict(parse_qsl(self.url.partition(b"?")[2].decode("latin-1")))

    @property
    def peer(self) -> Peer:
        """Who sent it."""
        return self._owner.peer

    @property
    def age_ns(self) -> int:
        """How long ago the request was whole."""
        return time.perf_counter_ns() - self.whole_ns

    def header(self, name: bytes) -> bytes | None:
        """Value of the first header of that name, which is given in lower case."""
        return self.headers.get(name)

    def hold(self, count: int) -> None:
        """The request takes ``count`` more bytes of memory than its body had, until it is answered.

        Raises:
            HttpError: 503, all requests together would take too much.
        """
        self._owner.hold(self, count)

    def respond(self, status: int, body: bytes, kind: bytes = JSON, headers: bytes = b"") -> None:
        """Answer; ``headers`` are whole lines."""
        close = b"" if self.keep_alive else b"connection: close\r\n"
        head = b"%bcontent-type: %b\r\ncontent-length: %d\r\n%b%b\r\n"
        answer = head % (_STATUS_LINES[status], kind, len(body), headers, close)
        self._owner.answered(self, answer if self.method == b"HEAD" else answer + body)

    def respond_json(self, answer: object) -> None:
        """Answer 200 with JSON."""
        self.respond(200, dump(answer))

    def open(self, kind: bytes, gone: Callable[[], None]) -> Stream:
        """Answer 200 with a stream; ``gone`` is called when the client hangs up."""
        # Its end is the connection's: what a proxy or a client of HTTP/1.0 understands too.
        self.keep_alive = False
        head = b"%bcontent-type: %b\r\ncache-control: no-store\r\nconnection: close\r\n\r\n"
        return self._owner.opened(self, head % (_STATUS_LINES[200], kind), gone)

    def fail(self, error: HttpError) -> None:
        """Answer with an error."""
        headers = error.headers
        if error.status == HTTPStatus.SERVICE_UNAVAILABLE and b"retry-after" not in headers:
            headers += b"retry-after: 1\r\n"
        self.respond(error.status, dump({"error": error.text}), headers=headers)

    def attempt(self, step: Callable[..., None], *arguments: Any) -> None:
        """Do a step towards the answer; what it raises becomes the answer."""
        try:
            step(*arguments)
        except HttpError as error:
            self.fail(error)
        except Exception:  # noqa: BLE001 - one request must not take the front down, whatever it met
            _log.exception("a request failed in the front itself")
            self.fail(HttpError(500, "the agent failed at this request; its log says why"))


def dump(answer: object) -> bytes:
    """Compact JSON. It has no NaN and no infinity: null stands for them."""
    return orjson.dumps(answer)


@lru_cache(maxsize=64)
def segments(url: bytes) -> tuple[str, ...]:
    """Decoded segments of a request target; see :attr:`Exchange.path`."""
    try:
        path = unquote((httptools.parse_url(url).path or b"/").decode("ascii"))
    except (httptools.HttpParserInvalidURLError, UnicodeDecodeError):
        raise HttpError(400, "the request target is not a path") from None
    return tuple(path.rstrip("/").split("/")[1:])
