"""A server that answers wrongly, drips, or is not the fleet's: a pause with its reason, and never a loop."""

import socket
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fleet_agent.carriers import http
from fleet_agent.carriers.http import HttpCarrier
from fleet_agent.carriers.https_fetcher import HttpsFetcher
from fleet_agent.carriers.runs import Asked, Fetcher
from tests.agent.carrier_parts import Material, Server, Taker
from tests.agent.carriers.real import Pki, over_https
from tests.agent.fleet import until


def _told(status: str, *lines: str, body: bytes = b"") -> Callable[[int, bytes, bytes], tuple[bytes, bool]]:
    head = "\r\n".join([f"HTTP/1.1 {status}", *lines, f"Content-Length: {len(body)}", "", ""]).encode()
    return lambda *_: (head + body, True)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (_told("302 Found", "Location: https://127.0.0.1:1/"), "another address"),
        (_told("200 OK", body=b"x" * 100), "no ranges"),
        (_told("404 Not Found", body=b'{"detail": "there is none"}'), "(404): there is none"),
        (_told("416 Range Not Satisfiable", "Content-Range: bytes */5"), "(416)"),
        (_told("503 Service Unavailable", body=b"\x00\xff" * 9000), "(503)"),
        (_told("500 Internal Server Error", body=b"[" * 9000), "(500)"),
        (_told("206 Partial Content", "Content-Range: bytes 1-9/10", body=b"x" * 9), "another range"),
        (_told("206 Partial Content", body=b"x" * 9), "another range"),
        (lambda _, head, body: (head.replace(b"Content-Length", b"X-Length") + body, False), "another range"),
        (lambda _, head, body: (head.replace(b"bytes 0-", b"bytes 1-") + body, True), "another range"),
        (
            lambda _, head, body: (head.replace(b"\r\nContent-Length", b"9\r\nContent-Length") + body, True),
            "another range",
        ),
        (lambda *_: (b"HTTP/1.1 206 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", False), ""),
        (lambda *_: (b"HTTP/1.1 206 " + b"x" * 70_000, False), ""),
        (lambda *_: (b"SSH-2.0-nothing\r\n\r\n", False), ""),
    ],
)
def test_an_answer_that_is_not_what_was_asked_for_is_a_pause_and_never_a_loop(
    taker: Taker, material: Material, pki: Pki, server: Server, answer: Any, why: str
) -> None:
    answers = 0

    def bad(number: int, head: bytes, body: bytes) -> tuple[bytes, bool]:
        nonlocal answers
        answers += 1
        return answer(number, head, body) if answers <= 3 else (head + body, True)

    server.answer = bad
    carrier = over_https(taker, material, pki, server.url)
    reasons: list[str] = []
    changed = taker.changed

    def note(*, fresh: bool = False) -> None:
        reasons.append(carrier.why)
        changed(fresh=fresh)

    taker.changed = note  # type: ignore[method-assign]
    taker.want(list(material.chunks))
    taker.until_has(list(material.chunks))
    assert any(why in one and one for one in reasons), reasons
    assert carrier.why == ""
    carrier.close()


@pytest.mark.parametrize("where", ["connect", "head", "body"])
def test_a_server_that_drips_is_given_up(
    taker: Taker, material: Material, pki: Pki, server: Server, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(http, "PATIENCE_S", 0.2)
    monkeypatch.setattr(http, "LEAST_RATE", 1_000_000)
    over = threading.Event()
    chunk = next(iter(material.places.items()))
    if where == "connect":
        with closing(socket.create_server(("127.0.0.1", 0))) as silent:
            carrier = over_https(taker, material, pki, f"https://127.0.0.1:{silent.getsockname()[1]}")
            taker.want(list(material.chunks))
            until(lambda: carrier.why == "it was too slow", "it is given up in the handshake")
            carrier.close()
        return

    def drip(number: int, head: bytes, body: bytes) -> tuple[bytes, bool]:
        if number == 0:
            sent = head[:20] if where == "head" else head + body[:20]
            server_sends(sent)
            over.wait(20)
            return b"", False
        return head + body, True

    def server_sends(data: bytes) -> None:
        next(iter(server._open)).sendall(data)

    server.answer = drip
    carrier = over_https(taker, material, pki, server.url)
    taker.want(list(material.chunks))
    taker.until_has(list(material.chunks))
    over.set()
    assert taker.do(lambda: carrier.offers(*chunk))
    carrier.close()


def test_a_server_of_another_fleet_or_with_an_old_certificate_is_told_apart(
    taker: Taker, material: Material, pki: Pki, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = Pki(tmp_path / "other")
    strange = Server(other.server, pki.ca, material.payload)
    carrier = over_https(taker, material, pki, strange.url)
    taker.want(list(material.chunks))
    until(lambda: "CERTIFICATE_VERIFY_FAILED" in carrier.why, lambda: carrier.why)
    carrier.close()
    strange.close()
    right = Server(pki.server, pki.ca, material.payload)

    def make(asked: Asked) -> Fetcher:
        return HttpsFetcher(right.url, pki.context, lambda: 4_000_000_000, asked)

    late = HttpCarrier(taker.loop, taker, material.places.get, make)
    taker.carrier = late
    taker.want(list(material.chunks))
    until(lambda: "must be renewed on the server" in late.why, lambda: late.why)
    late.close()
    right.close()
    assert not taker.good


@pytest.mark.parametrize("url", ["", "https://", "https://[", "https://x:99999", "http\0"])
def test_an_address_that_is_none_is_a_pause(taker: Taker, material: Material, pki: Pki, url: str) -> None:
    carrier = over_https(taker, material, pki, url)
    taker.want(list(material.chunks))
    until(lambda: carrier.why, "it says why")
    carrier.close()
