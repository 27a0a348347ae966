"""The serial line, held by somebody: carries frames between a gateway and a board, and lies where a scenario says so.

The gateway connects to ``socket://127.0.0.1:port`` and stays connected while boards come and go, as it would stay on a
serial adapter whose board loses power. Towards the board it is a TCP connection or a real serial device.
"""

import contextlib
import hashlib
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from dunlin_contract import link
from dunlin_contract.errors import ContractError

READ_BYTES = 4096
RETRY_S = 0.02
OFFER_EVERY_S = 0.5
_LONGEST_FRAME = 512

Rule = Callable[[link.Message], Iterable[link.Message]]
"""What is carried instead of one message: itself, others, or nothing."""
Noise = Callable[[bytes], bytes]


def truthful(message: link.Message) -> Iterable[link.Message]:
    """No lie."""
    return (message,)


class Far(Protocol):
    """An open line to a board."""

    def fileno(self) -> int:
        """For select."""

    def close(self) -> None:
        """Hang up."""


def open_line(address: str) -> Far:
    """Open ``socket://HOST:PORT`` or ``DEVICE[@BAUD]``, non-blocking. Raises OSError: nobody there (yet)."""
    if address.startswith("socket://"):
        host, _, port = address.removeprefix("socket://").rpartition(":")
        connection = socket.create_connection((host, int(port)), timeout=5)
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection
    import serial

    device, _, baud = address.partition("@")
    port_ = serial.Serial(device, int(baud or 115200), timeout=0, exclusive=True)
    far: Far = port_
    return far


@dataclass(slots=True)
class Heard:
    """What went over the line. Names are of objects and offered messages."""

    gets: list[tuple[bytes, int]] = field(default_factory=list)
    hellos: list[link.Hello] = field(default_factory=list)
    told: dict[bytes, link.OfferKind] = field(default_factory=dict)
    """Offered messages, oldest first."""
    took: set[bytes] = field(default_factory=set)
    contents: dict[bytes, bytearray] = field(default_factory=dict)
    """Of offered messages, as far as the board fetched them."""


class Liar:
    """One line. ``down`` (towards the board), ``up`` and ``noise`` may be set at any time, from any thread."""

    def __init__(self) -> None:
        self.down: Rule = truthful
        self.up: Rule = truthful
        self.noise: Noise | None = None
        """Applied to what goes to the board and comes from it, frame by frame, delimiter included."""
        self.heard = Heard()
        self._own: dict[bytes, bytes] = {}
        self._offers: dict[bytes, link.OfferKind] = {}
        self._offer_at = 0.0
        self._address = ""
        self._changed = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._near: socket.socket | None = None
        self._far: Far | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="liar", daemon=True)
        self.address = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"
        """For the gateway."""
        self._thread.start()

    def connect(self, address: str) -> None:
        """A board is on the line from now on; "" takes it off. All lies end, and what was heard is forgotten."""
        with self._changed:
            self.tell_the_truth()
            self.heard = Heard()
            self._address = address
            self._changed.notify_all()

    def tell_the_truth(self) -> None:
        """Lie no more."""
        self.down, self.up, self.noise = truthful, truthful, None
        self._own.clear()
        self._offers.clear()

    def close(self) -> None:
        """Hang up on both sides."""
        self._closing = True
        self._thread.join(5)
        self._listener.close()

    def wait(self, look: Callable[[Heard], bool], timeout_s: float = 60.0) -> bool:
        """Wait until what was heard is as wanted; False: it was not in time."""
        with self._changed:
            return self._changed.wait_for(lambda: look(self.heard), timeout_s)

    def said(self, kind: link.OfferKind) -> bytes:
        """The newest whole message of a kind that the board fetched and took."""
        with self._changed:
            for name, told in reversed(self.heard.told.items()):
                content = bytes(self.heard.contents.get(name, b""))
                if told == kind and hashlib.sha256(content).digest() == name:
                    return content
        raise LookupError(f"no {kind.name.lower()} went over the line yet")

    # Lies of our own making.

    def plant(self, content: bytes) -> bytes:
        """Answer for an object ourselves; its name."""
        name = hashlib.sha256(content).digest()
        self._own[name] = content
        return name

    def plant_as(self, name: bytes, content: bytes) -> None:
        """Answer for ``name`` with what is not its content."""
        self._own[name] = content

    def offer(self, kind: link.OfferKind, message: bytes, timeout_s: float = 60.0) -> bool:
        """Offer a message as the gateway would, until the board takes it; False: it did not."""
        name = self.plant(message)
        with self._changed:
            self.heard.took.discard(name)
            self._offers[name] = kind
        took = self.wait(lambda heard: name in heard.took, timeout_s)
        with self._changed:
            self._offers.pop(name, None)
        return took

    # The line.

    def _run(self) -> None:
        near, far = _Splitter(), _Splitter()
        self._listener.setblocking(False)
        while not self._closing:
            self._reach_far(far)
            sources = [one for one in (self._listener, self._near, self._far) if one is not None]
            ready, _, _ = select.select(sources, (), (), RETRY_S)
            if self._listener in ready:
                self._accept(near)
            if self._near in ready and self._near is not None:
                self._carry(self._near, near, towards_board=True)
            if self._far in ready and self._far is not None:
                self._carry(self._far, far, towards_board=False)
            self._repeat_offers()
        for one in (self._near, self._far):
            if one is not None:
                one.close()

    def _accept(self, splitter: "_Splitter") -> None:
        if self._near is not None:
            self._near.close()
        self._near, _ = self._listener.accept()
        self._near.setblocking(False)
        self._near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        splitter.clear()

    def _reach_far(self, splitter: "_Splitter") -> None:
        with self._changed:
            address, self._address = self._address, self._address
        if self._far is not None and address != self._open_address:
            self._hang_up()
        if self._far is None and address:
            with contextlib.suppress(OSError):
                self._far = open_line(address)
                self._open_address = address
                splitter.clear()

    _open_address = ""

    def _hang_up(self) -> None:
        if self._far is not None:
            self._far.close()
            self._far = None

    def _carry(self, source: socket.socket | Far, splitter: "_Splitter", *, towards_board: bool) -> None:
        try:
            data = os.read(source.fileno(), READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            if towards_board:
                source.close()
                self._near = None
            else:
                self._hang_up()
            return
        for frame in splitter.feed(data):
            for out in self._instead(frame, towards_board=towards_board):
                self._write(out, towards_board=towards_board)

    def _instead(self, frame: bytes, *, towards_board: bool) -> Iterable[bytes]:
        """What goes on in place of one frame (without delimiter)."""
        try:
            message = link.parse(link.decode(frame))
        except ContractError:
            return (frame + b"\0",)
        with self._changed:
            mine = self._listen(message)
            self._changed.notify_all()
        if mine:
            return ()
        rule = self.down if towards_board else self.up
        return [link.encode(one.to_body()) for one in rule(message)]

    def _listen(self, message: link.Message) -> bool:
        """Keep what scenarios want to know; True: the message is ours to answer, and has been."""
        heard = self.heard
        match message:
            case link.Hello():
                heard.hellos.append(message)
            case link.Offer():
                heard.told.pop(message.name, None)
                heard.told[message.name] = message.kind
            case link.Data():
                self._keep(message)
            case link.Took():
                heard.took.add(message.name)
                if message.name in self._offers:
                    del self._offers[message.name]
                    return True
            case link.Get():
                heard.gets.append((message.name, message.offset))
                if message.name in self._own:
                    self._answer(message)
                    return True
            case _:
                pass
        return False

    def _keep(self, data: link.Data) -> None:
        for name in self.heard.told:
            if name.startswith(data.prefix):
                content = self.heard.contents.setdefault(name, bytearray())
                if data.offset <= len(content):
                    content[data.offset : data.offset + len(data.data)] = data.data

    def _answer(self, get: link.Get) -> None:
        content = self._own[get.name]
        end = min(len(content), get.offset + get.length)
        for place in range(get.offset, end, link.PIECE_BYTES) if get.offset < end else (get.offset,):
            piece = content[place : min(end, place + link.PIECE_BYTES)]
            self._write(link.encode(link.Data(get.name[: link.PREFIX_BYTES], place, piece).to_body()))

    def _repeat_offers(self) -> None:
        if self._offers and self._far is not None and time.monotonic() >= self._offer_at:
            self._offer_at = time.monotonic() + OFFER_EVERY_S
            for name, kind in list(self._offers.items()):
                self._write(link.encode(link.Offer(kind, len(self._own[name]), name).to_body()))

    def _write(self, frame: bytes, *, towards_board: bool = True) -> None:
        """Write a whole frame; a side that is not there, or does not read, misses it."""
        sink = self._far if towards_board else self._near
        if self.noise is not None:
            frame = self.noise(frame)
        with contextlib.suppress(OSError):
            while sink is not None and frame:
                _, ready, _ = select.select((), (sink,), (), 1.0)
                if not ready:
                    return
                frame = frame[os.write(sink.fileno(), frame) :]


class _Splitter:
    """Pieces of a stream between delimiters."""

    def __init__(self) -> None:
        self._held = bytearray()

    def clear(self) -> None:
        self._held.clear()

    def feed(self, data: bytes) -> list[bytes]:
        *whole, rest = (self._held + data).split(b"\0")
        self._held = bytearray(rest[-_LONGEST_FRAME:])
        return [bytes(piece) for piece in whole if piece]
