"""What the carriers' tests share: a loop in a thread, a release's chunks, a server that does as it is told, and fakes
with the real parts' names and failures."""

import hashlib
import re
import secrets
import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from dunlin_contract import merkle
from dunlin_contract.header import Header
from dunlin_contract.manifest import TAG_BYTES
from fleet_agent.carriers.base import Carrier, Place
from fleet_agent.carriers.folder import Found, Piece, Told
from fleet_agent.carriers.runs import Asked, Run
from fleet_agent.supervisor.loop import Loop
from tests.agent.fleet import Release, until

CHUNK = 1 << 12


@dataclass
class Material:
    """A release of random payloads: ``chunks`` by leaf in order, where each lies, and the bundle file's bytes."""

    payloads: list[list[bytes]]
    release: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    envelope: bytes = field(default_factory=lambda: secrets.token_bytes(300))

    @classmethod
    def random(cls, *lengths: int) -> "Material":
        """Payloads of so many chunks, the last of each shorter."""
        made = [
            [secrets.token_bytes(CHUNK + TAG_BYTES) for _ in range(count - 1)] + [secrets.token_bytes(777)]
            for count in lengths
        ]
        return cls(made)

    @property
    def chunks(self) -> dict[bytes, bytes]:
        return {merkle.leaf(chunk): chunk for payload in self.payloads for chunk in payload}

    @property
    def places(self) -> dict[bytes, Place]:
        found: dict[bytes, Place] = {}
        before = 0
        for number, payload in enumerate(self.payloads):
            of, at = sum(map(len, payload)), 0
            for chunk in payload:
                found[merkle.leaf(chunk)] = Place(self.release, number, at, len(chunk), of, before)
                at += len(chunk)
            before += of
        return found

    @property
    def index(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def desired(self) -> dict[bytes, bytes]:
        return {hashlib.sha256(self.envelope).digest(): self.release}

    @property
    def objects(self) -> dict[bytes, bytes]:
        """Manifest and index page, by name."""
        return {hashlib.sha256(data).digest(): data for data in (self.envelope, self.index)}

    def bundle(self, spoil: Callable[[int, bytes], bytes] = lambda _, chunk: chunk) -> bytes:
        """The bundle file; ``spoil`` may change chunks, by their rank."""
        return bundle_bytes(self.envelope, self.index, list(self.chunks.values()), spoil)

    def payload(self, path: str) -> bytes | None:
        """What lies at a path of the server."""
        for number, payload in enumerate(self.payloads):
            if path == f"/device/v1/payloads/{self.release.hex()}/{number}":
                return b"".join(payload)
        return None


def bundle_bytes(envelope: bytes, index: bytes, chunks: Sequence[bytes], spoil: Callable[[int, bytes], bytes]) -> bytes:
    """A bundle file."""
    body = b"".join(spoil(rank, chunk) for rank, chunk in enumerate(chunks))
    return Header(len(envelope), len(index), len(body)).pack() + envelope + index + body


def payload_of(release: Release, path: str) -> bytes | None:
    """What the server has at a path, of a release of the agent's tests."""
    for number, places in enumerate(release.manifest.leaf_ranges()):
        if path == f"/device/v1/payloads/{release.digest.hex()}/{number}":
            return b"".join(release.chunks[release.leaves[place]] for place in places)
    return None


class Taker:
    """Wants names of one carrier, and checks what comes as the agent does. A :class:`Teller`."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.carrier: Carrier | None = None
        self.names: dict[bytes, None] = {}
        self.good: dict[bytes, bytes] = {}
        self.corrupt: list[bytes] = []
        self.silent: list[bytes] = []
        self.changes = 0
        self._thread = threading.Thread(target=self.loop.run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.loop.stop()
        self._thread.join()

    def do(self, call: Callable[[], Any]) -> Any:
        """Call in the loop's thread; returns what it returns."""
        done, result = threading.Event(), []

        def run() -> None:
            try:
                result.append(call())
            finally:
                done.set()

        self.loop.post(run)
        assert done.wait(30)
        return result[0]

    def want(self, names: Sequence[bytes]) -> None:
        assert self.carrier is not None
        carrier = self.carrier
        self.do(lambda: carrier.want(list(names)))

    def until_has(self, names: Sequence[bytes]) -> None:
        until(lambda: set(names) <= set(self.good), lambda: f"{len(set(names) - set(self.good))} are missing")

    def arrived(self, name: bytes, data: bytes) -> None:
        assert threading.current_thread() is self._thread
        if name in (merkle.leaf(data), hashlib.sha256(data).digest()):
            self.good[name] = data
        else:
            self.corrupt.append(name)
            assert self.carrier is not None
            self.carrier.corrupt(name)

    def gave_up(self, name: bytes) -> None:
        self.silent.append(name)

    def changed(self, *, fresh: bool = False) -> None:
        self.changes += 1


Answer = Callable[[int, bytes, bytes], tuple[bytes, bool]]
"""Takes the request's number and the right head and body; gives the bytes to send, and whether to go on after them."""


class Server:
    """An HTTPS server that demands a certificate, and whose every answer a test may change."""

    def __init__(
        self, certificate: tuple[Path, Path], ca: Path, payload: Callable[[str], bytes | None], port: int = 0
    ) -> None:
        self.answer: Answer = lambda _, head, body: (head + body, True)
        self.asked: list[tuple[int, int]] = []
        self.connections = 0
        self.payload = payload
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        context.load_verify_locations(ca)
        context.verify_mode = ssl.CERT_REQUIRED
        self._context = context
        self._listening = socket.create_server(("127.0.0.1", port))
        self.port = int(self._listening.getsockname()[1])
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def close(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for one in list(self._open):
            with suppress(OSError):
                socket.socket.shutdown(one, socket.SHUT_RDWR)
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                raw, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(raw,), daemon=True).start()

    def _talk(self, raw: socket.socket) -> None:
        with suppress(OSError, ssl.SSLError), self._context.wrap_socket(raw, server_side=True) as sock:
            self._open.add(sock)
            self.connections += 1
            data = b""
            try:
                while True:
                    while b"\r\n\r\n" not in data:
                        got = sock.recv(4096)
                        if not got:
                            return
                        data += got
                    request, _, data = data.partition(b"\r\n\r\n")
                    sent, keep = self._answer(request)
                    sock.sendall(sent)
                    if not keep:
                        return
            finally:
                self._open.discard(sock)

    def _answer(self, request: bytes) -> tuple[bytes, bool]:
        path = request.split(b" ")[1].decode()
        match = re.search(rb"(?mi)^range: bytes=(\d+)-(\d+)\r?$", request)
        whole = self.payload(path)
        if whole is None or match is None:
            body = b'{"detail": "there is none"}'
            head = b"HTTP/1.1 404 Not Found\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n\r\n"
            return self.answer(len(self.asked), head % len(body), body)
        first, last = int(match[1]), int(match[2])
        self.asked.append((first, last))
        body = whole[first : last + 1]
        head = (
            f"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {first}-{last}/{len(whole)}\r\n"
            f"Content-Length: {len(body)}\r\nContent-Type: application/octet-stream\r\n\r\n"
        ).encode()
        return self.answer(len(self.asked) - 1, head, body)


class FakeFetcher:
    """A :class:`fleet_agent.carriers.runs.Fetcher` out of memory. ``cuts``: end the next runs after so many chunks;
    ``mangle`` changes chunks."""

    def __init__(self, material: Material, asked: Asked) -> None:
        self._chunks = material.chunks
        self._asked = asked
        self.cuts: list[int] = []
        self.mangle: Callable[[bytes], bytes] = lambda data: data

    def fetch(self, run: Run) -> None:
        threading.Thread(target=self._fetch, args=(run,)).start()

    def _fetch(self, run: Run) -> None:
        most = self.cuts.pop(0) if self.cuts else len(run.names)
        for number, name in enumerate(run.names[:most]):
            self._asked.chunk(run, number, self.mangle(self._chunks[name]))
        self._asked.ended(run, "" if most >= len(run.names) else "the server does not answer (reset)")

    def abort(self) -> None:
        """Its runs end at once anyway."""

    def close(self) -> None:
        """Nothing to end."""


class FakeReader:
    """A :class:`fleet_agent.carriers.folder.Reader` out of memory. ``there``: whether the stick is plugged in."""

    def __init__(self, material: Material, told: Told) -> None:
        self._told = told
        self._desired = material.desired
        self._release = material.release
        self._objects = {
            name: Piece("a.dnb", at, len(data)) for at, (name, data) in enumerate(material.objects.items())
        }
        self.file = material.bundle()
        self._chunks_at = len(self.file) - sum(map(len, material.chunks.values()))
        self._pieces = dict(zip(self._objects.values(), material.objects.values(), strict=True))
        self.there = True

    def look(self, desired: Mapping[bytes, bytes]) -> None:
        seen = self.there and desired == self._desired
        found = Found(self._objects, {self._release: ("a.dnb", self._chunks_at)}) if seen else Found()
        threading.Thread(target=self._told.found, args=(found,)).start()

    def read(self, pieces: Mapping[bytes, Piece]) -> None:
        threading.Thread(target=self._read, args=(pieces,)).start()

    def _read(self, pieces: Mapping[bytes, Piece]) -> None:
        if not self.there:
            self._told.ended(list(pieces), "a.dnb: No such file or directory")
            return
        for name, piece in pieces.items():
            data = self._pieces.get(piece) or self.file[piece.offset : piece.offset + piece.length]
            self._told.piece(name, data)
        self._told.ended([], "")

    def close(self) -> None:
        """Nothing to end."""


class FakeSource:
    """A carrier of its own: brings what ``stock`` holds, out of memory, when it is asked; silent on what it lacks."""

    def __init__(self, kind: str, taker_loop: Loop, teller: Any, stock: Mapping[bytes, bytes]) -> None:
        self.kind = kind
        self.why = ""
        self.stock = dict(stock)
        self.able = True
        self.asked: list[list[bytes]] = []
        self.blamed: list[bytes] = []
        self._loop = taker_loop
        self._teller = teller
        self._wanted: dict[bytes, None] = {}

    def offers(self, name: bytes, place: Place | None) -> bool:
        return self.able

    def want(self, names: Sequence[bytes]) -> None:
        fresh = [name for name in names if name not in self._wanted]
        self._wanted = dict.fromkeys(names)
        if fresh:
            self.asked.append(fresh)
        for name in fresh:
            self._loop.post(partial(self._bring, name))

    def corrupt(self, name: bytes) -> None:
        self.blamed.append(name)
        self._wanted.pop(name, None)

    def _bring(self, name: bytes) -> None:
        if name not in self._wanted:
            return
        if name in self.stock:
            del self._wanted[name]
            self._teller.arrived(name, self.stock[name])
        else:
            self._teller.gave_up(name)
