"""One request and its answer, between the HTTP connection and the application."""

import json
import logging
from collections.abc import Callable
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import unquote

import httptools

from fleet_agent.front.errors import HttpError

JSON = b"application/json"
_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_log = logging.getLogger("fleet_agent.front")


class Answerer(Protocol):
    """Who takes the finished answer: the connection."""

    def answered(self, exchange: "Exchange", answer: bytes) -> None:
        """The whole answer, head and body, to be sent next."""


class Exchange:
    """A whole request; exactly one of :meth:`respond` and :meth:`fail` is called on it, now or later."""

    __slots__ = ("_owner", "body", "headers", "held_bytes", "keep_alive", "method", "url")

    def __init__(self, owner: Answerer) -> None:
        self._owner = owner
        self.method = b""
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []  # names in lower case
        self.body = b""
        self.held_bytes = 0
        self.keep_alive = False

    @property
    def path(self) -> tuple[str, ...]:
        """Decoded segments of the path; a slash at the end means nothing.

        Raises:
            HttpError: 400, the request target is no path.
        """
        return _segments(self.url)

    def need(self, method: bytes) -> None:
        """Refuse other methods.

        Raises:
            HttpError: 405.
        """
        if self.method != method:
            raise HttpError(405, f"use {method.decode()} here", headers=b"allow: %b\r\n" % method)

    def respond(self, status: int, body: bytes, kind: bytes = JSON, headers: bytes = b"") -> None:
        """Answer; ``headers`` are whole lines."""
        close = b"" if self.keep_alive else b"connection: close\r\n"
        head = b"%bcontent-type: %b\r\ncontent-length: %d\r\n%b%b\r\n"
        answer = head % (_STATUS_LINES[status], kind, len(body), headers, close)
        self._owner.answered(self, answer if self.method == b"HEAD" else answer + body)

    def respond_json(self, answer: object) -> None:
        """Answer 200 with JSON."""
        self.respond(200, dump(answer))

    def fail(self, error: HttpError) -> None:
        """Answer with an error."""
        headers = error.headers + (b"retry-after: 1\r\n" if error.status == HTTPStatus.SERVICE_UNAVAILABLE else b"")
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


# Made once: json.dumps would make an encoder a call for the sake of its separators.
_ENCODER = json.JSONEncoder(separators=(",", ":"))


def dump(answer: object) -> bytes:
    """Compact JSON."""
    return _ENCODER.encode(answer).encode()


@lru_cache(maxsize=64)
def _segments(url: bytes) -> tuple[str, ...]:
    try:
        path = unquote((httptools.parse_url(url).path or b"/").decode("ascii"))
    except (httptools.HttpParserInvalidURLError, UnicodeDecodeError):
        raise HttpError(400, "the request target is not a path") from None
    return tuple(path.rstrip("/").split("/")[1:])
