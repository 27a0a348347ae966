"""Carriers one by one, each real one and the fake beside it: they bring what is wanted and nothing else, go on where
they were cut off, and take no harm from a hostile server or stick."""

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dunlin_contract import merkle, topics
from dunlin_contract.limits import LIMITS
from fleet_agent.carriers import folder, http, https_fetcher, runs, usb, window
from fleet_agent.carriers.folder import FolderReader, Piece
from fleet_agent.carriers.http import HttpCarrier
from fleet_agent.carriers.https_fetcher import HttpsFetcher
from fleet_agent.carriers.mqtt import MqttCarrier
from fleet_agent.carriers.runs import Asked, Fetcher
from fleet_agent.carriers.usb import UsbCarrier
from fleet_agent.config import carriers, file
from fleet_agent.config.file import ConfigError
from tests.agent.carrier_parts import FakeFetcher, FakeReader, Material, Server, Taker
from tests.agent.fleet import Authority, flipped, until


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses are short: none of these tests is about how long they last."""
    monkeypatch.setattr(window, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(window, "LONGEST_PAUSE_S", 0.05)
    monkeypatch.setattr(usb, "LOOK_S", 0.02)


@pytest.fixture
def taker() -> Iterator[Taker]:
    made = Taker()
    yield made
    made.close()


@pytest.fixture
def material() -> Material:
    return Material.random(9, 1, 4)


class Pki:
    """The CA, the server's files and the device's context."""

    def __init__(self, directory: Path) -> None:
        self.ca = directory / "ca.crt"
        self.authority = Authority()
        self.ca.write_bytes(self.authority.pem)
        self.server = self.authority.files(directory, "server")
        self.device = self.authority.files(directory, "dev-1")

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca)
        context.load_cert_chain(*self.device)
        return context


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


@pytest.fixture
def server(pki: Pki, material: Material) -> Iterator[Server]:
    made = Server(pki.server, pki.ca, material.payload)
    yield made
    made.close()


def over_https(taker: Taker, material: Material, pki: Pki, url: str) -> HttpCarrier:
    def make(asked: Asked) -> Fetcher:
        return HttpsFetcher(url, pki.context, lambda: 0, asked)

    carrier = HttpCarrier(taker.loop, taker, material.places.get, make)
    taker.carrier = carrier
    return carrier


def from_folder(taker: Taker, material: Material, path: Path) -> UsbCarrier:
    def make(told: Any) -> FolderReader:
        return FolderReader(path, told)

    carrier = UsbCarrier(taker.loop, taker, material.places.get, lambda: material.desired, make)
    taker.carrier = carrier
    taker.do(carrier.start)
    return carrier


class FakeBroker:
    """The part of a connection that the carrier over MQTT needs, with a broker's retained messages behind it."""

    def __init__(self, taker: Taker, stock: dict[bytes, bytes]) -> None:
        self._taker = taker
        self.stock = stock

    def subscribe(self, names: Sequence[str]) -> None:
        for topic in names:
            name = topics.parse_object(topic)
            assert name is not None
            if name in self.stock:
                carrier: Any = self._taker.carrier
                self._taker.loop.post(partial(carrier.message, name, self.stock[name]))

    def unsubscribe(self, names: Sequence[str]) -> None:
        """Nothing more comes by itself anyway."""


KINDS = ["mqtt", "https", "fake-fetcher", "folder", "fake-reader"]


@pytest.fixture(params=KINDS)
def carrier(
    request: pytest.FixtureRequest, taker: Taker, material: Material, pki: Pki, server: Server, tmp_path: Path
) -> Iterator[Any]:
    made: Any
    if request.param == "mqtt":
        made = MqttCarrier(taker.loop, FakeBroker(taker, material.chunks), taker, 4, 10.0)
        taker.carrier = made
        taker.do(lambda: made.online(True))
    elif request.param == "https":
        made = over_https(taker, material, pki, server.url)
    elif request.param == "fake-fetcher":
        made = HttpCarrier(taker.loop, taker, material.places.get, lambda asked: FakeFetcher(material, asked))
    elif request.param == "folder":
        (tmp_path / "stick").mkdir()
        (tmp_path / "stick" / "a.dnb").write_bytes(material.bundle())
        made = from_folder(taker, material, tmp_path / "stick")
    else:
        made = UsbCarrier(
            taker.loop,
            taker,
            material.places.get,
            lambda: material.desired,
            lambda told: FakeReader(material, told),
        )
        taker.do(made.start)
    taker.carrier = made
    chunk = next(iter(material.places.items()))
    until(lambda: taker.do(lambda: made.offers(*chunk)), "it offers a chunk")
    yield made
    if hasattr(made, "close"):
        made.close()


def test_it_brings_what_is_wanted_and_nothing_else(carrier: Any, taker: Taker, material: Material) -> None:
    names = list(material.chunks)
    wanted = names[:5] + names[7:12]
    taker.want(wanted)
    taker.until_has(wanted)
    taker.want([])
    taker.want(names[12:13])
    taker.until_has(names[12:13])
    assert set(taker.good) == {*wanted, names[12]}
    assert not taker.corrupt


def test_it_stops_when_nothing_is_wanted_and_begins_again(carrier: Any, taker: Taker, material: Material) -> None:
    names = list(material.chunks)
    for _ in range(20):
        taker.want(names)
        taker.want([])
    had = len(taker.good)
    time.sleep(0.05)
    assert len(taker.good) - had <= 4
    taker.want(names)
    taker.until_has(names)


def test_wrong_bytes_are_asked_for_again(taker: Taker, material: Material) -> None:
    fetchers: list[FakeFetcher] = []

    def make(asked: Asked) -> Fetcher:
        fetchers.append(FakeFetcher(material, asked))
        fetchers[0].mangle = lambda data: flipped(data) if len(taker.corrupt) < 30 else data
        return fetchers[0]

    taker.carrier = HttpCarrier(taker.loop, taker, material.places.get, make)
    taker.want(list(material.chunks))
    taker.until_has(list(material.chunks))
    assert len(taker.corrupt) >= 30


# HTTP.


def cuts(material: Material) -> list[int]:
    """Places in the first answer: in the head at its beginning, in each line and at each line's end; in the body after
    each chunk's first byte, in its middle, before its last byte and after it."""
    head = (
        f"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-{sum(map(len, material.payloads[0])) - 1}/"
        f"{sum(map(len, material.payloads[0]))}\r\nContent-Length: {sum(map(len, material.payloads[0]))}\r\n"
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    ends = [at + 2 for at in range(len(head)) if head.startswith("\r\n", at)]
    places = [0, 1, *ends, *(end - 1 for end in ends), *(end - 7 for end in ends)]
    at = len(head)
    for chunk in material.payloads[0]:
        places += [at + 1, at + len(chunk) // 2, at + len(chunk) - 1, at + len(chunk)]
        at += len(chunk)
    return sorted(set(places))


def test_a_connection_cut_anywhere_costs_only_what_was_not_whole(pki: Pki, taker: Taker, material: Material) -> None:
    lengths = [len(chunk) for chunk in material.payloads[0]]
    names = [merkle.leaf(chunk) for chunk in material.payloads[0]]
    for place in cuts(material):
        server = Server(pki.server, pki.ca, material.payload)

        def cut(number: int, head: bytes, body: bytes, place: int = place) -> tuple[bytes, bool]:
            if number:
                return head + body, True
            whole = head + body
            return whole[:place], place == len(whole)

        server.answer = cut
        taker.good.clear()
        carrier = over_https(taker, material, pki, server.url)
        taker.want(names)
        taker.until_has(names)
        taker.want([])
        taker.do(carrier.close)
        server.close()
        assert not taker.corrupt
        assert server.asked[0][0] == 0
        if len(server.asked) > 1:
            starts = [sum(lengths[:rank]) for rank in range(len(lengths))]
            assert server.asked[1][0] in starts, (place, server.asked)
            # What came whole before the cut is not asked for again.
            sent = max(0, place - _head_length(material))
            assert server.asked[1][0] == max(start for start in starts if start <= sent)


def _head_length(material: Material) -> int:
    return cuts(material)[-1] - sum(len(chunk) for chunk in material.payloads[0])


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


def test_while_it_fails_it_offers_nothing_and_later_again(taker: Taker, material: Material, pki: Pki) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    carrier = over_https(taker, material, pki, f"https://127.0.0.1:{port}")
    chunk = next(iter(material.places.items()))
    assert taker.do(lambda: carrier.offers(*chunk))
    taker.want(list(material.chunks))
    until(lambda: taker.do(lambda: not carrier.offers(*chunk)), "it offers nothing")
    assert "Connection refused" in carrier.why
    with_server = Server(pki.server, pki.ca, material.payload, port)
    taker.until_has(list(material.chunks))
    assert taker.do(lambda: carrier.offers(*chunk))
    carrier.close()
    with_server.close()


def test_a_network_that_is_back_is_used_at_once(
    taker: Taker, material: Material, pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "FIRST_PAUSE_S", 1000.0)
    monkeypatch.setattr(window, "LONGEST_PAUSE_S", 1000.0)
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    carrier = over_https(taker, material, pki, f"https://127.0.0.1:{port}")
    taker.want(list(material.chunks))
    until(lambda: carrier.why, "it fails")
    server = Server(pki.server, pki.ca, material.payload, port)
    taker.do(carrier.hurry)
    taker.until_has(list(material.chunks))
    carrier.close()
    server.close()


def test_a_server_that_restarts_costs_nothing_that_came_and_no_pause(
    taker: Taker, material: Material, pki: Pki, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "FIRST_PAUSE_S", 1000.0)
    monkeypatch.setattr(window, "LONGEST_PAUSE_S", 1000.0)
    first = [merkle.leaf(chunk) for chunk in material.payloads[0]]
    carrier = over_https(taker, material, pki, server.url)
    taker.want(first)
    taker.until_has(first)
    server.close()
    again = Server(pki.server, pki.ca, material.payload, server.port)
    taker.want([name for name in material.chunks if name not in first])
    taker.until_has(list(material.chunks))
    carrier.close()
    again.close()
    assert again.connections == 1


def test_runs_use_one_connection_and_no_more_than_they_may(
    taker: Taker, material: Material, pki: Pki, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "RUN_BYTES", 10_000)
    carrier = over_https(taker, material, pki, server.url)
    taker.want(list(material.chunks))
    taker.until_has(list(material.chunks))
    assert server.connections == 1
    assert all(last - first < 10_000 for first, last in server.asked)
    assert len(server.asked) == 7  # of 9, 1 and 4 chunks: two at a time, three where the last is short
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


@settings(max_examples=50, deadline=None)
@given(st.sets(st.integers(0, 13)), st.integers(1, 40_000))
def test_a_run_is_whole_chunks_of_one_payload_in_order(gone: set[int], most: int) -> None:
    material = Material.random(9, 1, 4)
    names = [name for rank, name in enumerate(material.chunks) if rank not in gone]
    places = material.places
    seen: list[bytes] = []
    before = runs.RUN_BYTES
    runs.RUN_BYTES = most
    try:
        while (run := runs.next_run(names[len(seen) :], places.get)) is not None:
            assert run.names == tuple(names[len(seen) : len(seen) + len(run.names)])
            assert run.last - run.first + 1 == sum(place.length for place in run.places)
            assert len(run.names) == 1 or run.last - run.first < most
            assert len({place.payload for place in run.places}) == 1
            seen += run.names
    finally:
        runs.RUN_BYTES = before
    assert seen == names


# A folder.


def _put(path: Path, data: bytes, size: int | None = None) -> None:
    path.write_bytes(data)
    if size is not None:
        os.truncate(path, size)


def _bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))


HOSTILE: dict[str, Callable[[Path, Material], object]] = {
    "symlink": lambda path, _: path.symlink_to("/etc/passwd"),
    "symlink-to-good": lambda path, _: path.symlink_to("good.dnb"),
    "fifo": lambda path, _: os.mkfifo(path),
    "folder": lambda path, _: path.mkdir(),
    "socket": lambda path, _: _bind(path),
    "empty": lambda path, _: _put(path, b""),
    "text": lambda path, _: _put(path, b"hello" * 100),
    "header-only": lambda path, material: _put(path, material.bundle()[:28]),
    "no-index": lambda path, material: _put(path, material.bundle()[:340]),
    "cut": lambda path, material: _put(path, material.bundle()[:-1]),
    "huge": lambda path, material: _put(path, material.bundle(), 1 << 42),
    "huge-index": lambda path, material: _put(
        path, material.bundle()[:16] + b"\xff\xff\xff\xff" + material.bundle()[20:]
    ),
    "huge-manifest": lambda path, material: _put(
        path, material.bundle()[:12] + b"\xff\xff\xff\xff" + material.bundle()[16:]
    ),
    "wide": lambda path, material: _put(path, material.bundle()[:20] + b"\xff" * 8 + material.bundle()[28:]),
}


@pytest.mark.parametrize("what", list(HOSTILE))
def test_a_hostile_file_costs_the_good_one_nothing(
    taker: Taker, material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    monkeypatch.chdir(stick)  # a socket's path must be short
    HOSTILE[what](Path("bad.dnb"), material)
    (stick / "good.dnb").write_bytes(material.bundle())
    carrier = from_folder(taker, material, stick)
    chunk = next(iter(material.places.items()))
    until(lambda: taker.do(lambda: carrier.offers(*chunk)), "it offers a chunk")
    assert "bad.dnb" in carrier.why or what == "huge"
    names = [*material.chunks, *material.objects]
    taker.want(names)
    taker.until_has(names)
    assert not taker.corrupt
    carrier.close()


def test_a_file_that_turns_into_another_thing_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.dnb"
    os.mkfifo(path)
    real = Path.lstat

    def lie(self: Path) -> os.stat_result:
        return real(tmp_path / "b") if self == path else real(self)

    (tmp_path / "b").write_bytes(b"")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "lstat", lie)
        with pytest.raises(folder.UnfitError, match="no file"):
            folder.read(tmp_path, Piece("a.dnb", 0, 1))


def test_what_is_no_file_is_not_even_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "a.dnb")
    monkeypatch.setattr(os, "open", None)
    assert folder.look(tmp_path, {}, {}).trouble == "a.dnb: is no file"


def test_an_index_that_is_too_large_is_not_read(material: Material, tmp_path: Path) -> None:
    header = material.bundle()[:16] + (1 << 28).to_bytes(4, "big") + bytes(8)
    _put(tmp_path / "a.dnb", header + material.envelope, 1 << 29)
    found = folder.look(tmp_path, material.desired, {})
    assert (found.bundles, found.trouble) == ({}, "a.dnb: has an index that is too large")


def test_a_new_directive_is_looked_for_at_once(
    taker: Taker, material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usb, "LOOK_S", 1000.0)
    (tmp_path / "a.dnb").write_bytes(material.bundle())
    desired: dict[bytes, bytes] = {}
    carrier = UsbCarrier(
        taker.loop, taker, material.places.get, lambda: dict(desired), lambda told: FolderReader(tmp_path, told)
    )
    taker.carrier = carrier
    taker.do(carrier.start)
    chunk = next(iter(material.places.items()))
    until(lambda: taker.do(lambda: carrier._busy_since is None), "it has looked")
    assert not taker.do(lambda: carrier.offers(*chunk))
    desired.update(material.desired)
    taker.do(carrier.look)
    until(lambda: taker.do(lambda: carrier.offers(*chunk)), "it offers a chunk")
    carrier.close()


def test_only_so_many_files_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(folder.MOST_FILES * 2):
        (tmp_path / f"{number}.dnb").write_bytes(b"x")
    opened = []
    real = os.open

    def count(path: Any, flags: int) -> int:
        opened.append(path)
        return real(path, flags)

    monkeypatch.setattr(os, "open", count)
    found = folder.look(tmp_path, {}, {})
    assert found.trouble
    assert len(opened) == folder.MOST_FILES


def test_what_was_looked_at_is_not_read_again(
    material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.dnb").write_bytes(material.bundle())
    known: dict[Any, Any] = {}
    first = folder.look(tmp_path, material.desired, known)
    monkeypatch.setattr(os, "pread", None)
    assert folder.look(tmp_path, material.desired, known) == first
    assert first.bundles


def test_a_bundle_of_another_release_is_left_alone(material: Material, tmp_path: Path) -> None:
    (tmp_path / "a.dnb").write_bytes(Material.random(3).bundle())
    found = folder.look(tmp_path, material.desired, {})
    assert (found.objects, found.bundles, found.trouble) == ({}, {}, "")


def test_a_stick_that_is_pulled_out_in_the_middle_and_comes_back(
    taker: Taker, material: Material, tmp_path: Path
) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    (stick / "a.dnb").write_bytes(material.bundle())
    carrier = from_folder(taker, material, stick)
    chunk = next(iter(material.places.items()))
    until(lambda: taker.do(lambda: carrier.offers(*chunk)), "it offers a chunk")
    taker.do(lambda: stick.rename(tmp_path / "away"))
    taker.want(list(material.chunks))
    until(lambda: len(taker.silent) == len(material.chunks), "all are given up")
    until(lambda: taker.do(lambda: not carrier.offers(*chunk)), "it offers nothing")
    (tmp_path / "away").rename(stick)
    until(lambda: taker.do(lambda: carrier.offers(*chunk)), "it offers a chunk again")
    taker.want(list(material.chunks))
    taker.until_has(list(material.chunks))
    carrier.close()


def test_a_stick_that_does_not_answer_is_told_and_waited_for_by_nobody(
    taker: Taker, material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usb, "PATIENCE_S", 0.05)
    (tmp_path / "a.dnb").write_bytes(material.bundle())
    carrier = from_folder(taker, material, tmp_path)
    chunk = next(iter(material.places.items()))
    until(lambda: taker.do(lambda: carrier.offers(*chunk)), "it offers a chunk")
    hangs, real = threading.Event(), os.pread

    def hang(fd: int, length: int, at: int) -> bytes:
        hangs.wait(30)
        return real(fd, length, at)

    monkeypatch.setattr(os, "pread", hang)
    taker.want(list(material.chunks))
    until(lambda: taker.do(lambda: not carrier.offers(*chunk)), "it offers nothing")
    assert carrier.why == "the folder does not answer"
    hangs.set()
    taker.until_has(list(material.chunks))
    carrier.close()


# Settings.


def _read(tmp_path: Path, text: str) -> carriers.Carriers:
    path = tmp_path / "agent.toml"
    path.write_text(text)
    return carriers.read(file.read(path))


def test_settings_say_which_carriers_there_are(tmp_path: Path) -> None:
    assert carriers.read(file.read(None)) == carriers.Carriers(http=True, usb=None)
    assert _read(tmp_path, '[carriers]\nhttp = false\nusb = "/media/usb"') == carriers.Carriers(
        http=False, usb=Path("/media/usb")
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[carriers]\nusb = "media"', "whole path"),
        ("[carriers]\nusb = true", "must be text"),
        ("[carriers]\nhttps = true", "unknown key"),
        ('[carriers]\nhttp = "yes"', "true/false"),
    ],
)
def test_settings_that_cannot_be_are_told(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        _read(tmp_path, text)


def test_the_limits_hold_together() -> None:
    assert LIMITS.object_bytes <= runs.RUN_BYTES
    assert https_fetcher.SILENCE_S < http.PATIENCE_S
