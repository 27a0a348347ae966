"""Runs of chunks from the fleet's server over HTTPS with this device's certificate, in a thread of its own.

The server is believed nothing but its name: what it sends must be exactly the bytes that were asked for, and each chunk
is checked by whoever wants it. A redirect is a refusal.
"""

import http.client
import queue
import re
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

from fleet_agent.carriers.runs import Asked, Run
from fleet_agent.errors import line
from fleet_agent.https import problem
from fleet_agent.tls import CertificateTooOldError, check_peer

SILENCE_S = 30.0
"""Longest wait for any byte."""
_REFUSAL_BYTES = 4096
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


class RefusedError(Exception):
    """The server's answer is not the bytes that were asked for; the text says what it is."""


class _Connection(http.client.HTTPSConnection):
    """One whose socket is known before the handshake, so that it can be cut off in the middle of that, too."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext, at_least: int) -> None:
        super().__init__(host, port, timeout=SILENCE_S, context=context)
        self._tls = context
        self._at_least = at_least

    def connect(self) -> None:
        raw = socket.create_connection((self.host, self.port), SILENCE_S)
        secured = self._tls.wrap_socket(raw, server_hostname=self.host, do_handshake_on_connect=False)
        self.sock = secured
        secured.do_handshake()
        check_peer(secured, self._at_least)

    def cut(self) -> None:
        """End it from another thread: whoever reads there gets an error."""
        sock = self.sock
        if sock is not None:
            with suppress(OSError):  # gone already
                # Not SSLSocket's own, which takes the TLS layer away under its reader.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


class HttpsFetcher:
    """A :class:`fleet_agent.carriers.runs.Fetcher` from the server at ``url``; its connection is kept between runs."""

    def __init__(
        self, url: str, context: Callable[[], ssl.SSLContext], at_least: Callable[[], int], asked: Asked
    ) -> None:
        self._url = url
        self._context = context
        self._at_least = at_least
        self._asked = asked
        self._runs: queue.SimpleQueue[Run | None] = queue.SimpleQueue()
        self._connection: _Connection | None = None
        self._aborted = threading.Event()
        threading.Thread(target=self._serve, name="https", daemon=True).start()

    def fetch(self, run: Run) -> None:
        self._aborted.clear()
        self._runs.put(run)

    def abort(self) -> None:
        self._aborted.set()
        connection = self._connection
        if connection is not None:
            connection.cut()

    def close(self) -> None:
        self._runs.put(None)
        self.abort()

    def _serve(self) -> None:
        while (run := self._runs.get()) is not None:
            why = self._run(run)
            if why:
                self._drop()
            self._asked.ended(run, why)
        self._drop()

    def _run(self, run: Run) -> str:
        try:
            self._bring(run)
        except (RefusedError, CertificateTooOldError) as error:
            return line(str(error))
        except Exception as error:  # noqa: BLE001 - whatever an answer does to us, the next run must find this thread
            if self._aborted.is_set():
                return "it was too slow"
            return line(f"the server does not answer ({getattr(error, 'strerror', None) or type(error).__name__})")
        return ""

    def _bring(self, run: Run) -> None:
        answer = self._ask(run)
        if answer.status != http.client.PARTIAL_CONTENT:
            raise RefusedError(_refusal(answer))
        first, last, of = run.first, run.last, run.places[0].of
        told = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if told is None or tuple(map(int, told.groups())) != (first, last, of) or answer.length != last - first + 1:
            raise RefusedError("the server sent another range than the one that was asked for")
        for number, place in enumerate(run.places):
            data = answer.read(place.length)
            if len(data) != place.length:
                raise http.client.IncompleteRead(data)
            self._asked.chunk(run, number, data)
        if answer.will_close:
            self._drop()

    def _ask(self, run: Run) -> http.client.HTTPResponse:
        kept = self._connection is not None
        while True:
            try:
                connection = self._connect()
                connection.request("GET", run.path, headers={"Range": f"bytes={run.first}-{run.last}"})
                return connection.getresponse()
            except (OSError, http.client.HTTPException):
                self._drop()
                # The server ends a connection that was idle, and says so only to the next request.
                if not kept or self._aborted.is_set():
                    raise
                kept = False

    def _connect(self) -> _Connection:
        connection = self._connection
        if connection is None:
            parts = urlsplit(self._url)
            connection = _Connection(parts.hostname or "", parts.port or 443, self._context(), self._at_least())
            self._connection = connection
        if self._aborted.is_set():
            raise OSError("aborted")
        return connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _refusal(answer: http.client.HTTPResponse) -> str:
    if answer.status == http.client.OK:
        return "the server sends whole payloads and no ranges of them: update it"
    if 300 <= answer.status < 400:
        return f"the server refers to another address ({answer.status}), which this device does not follow"
    return problem(answer.status, answer.read(_REFUSAL_BYTES))
