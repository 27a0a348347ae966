"""The link as a board made of Python speaks it: it says hello, and brings and sends things piece by piece."""

import contextlib
import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from dunlin_contract import keys, link, merkle
from dunlin_contract.enrolment import ClaimToken
from dunlin_contract.errors import ContractError
from dunlin_contract.reported import ModelState
from dunlin_contract.root import Root
from tests.support.board_pipes import Pipe

HELLO_S = 2.0
KEEPALIVE_S = 10.0
SILENCE_S = 1.0
GET_S = 1.5
NONE_S = 0.5
"""Less than a board waits: tests are in a hurry."""


@dataclass
class Memory:
    """What a board keeps over a reset."""

    device: str = ""
    identity: keys.PrivateKey = field(default_factory=keys.generate)
    kem: keys.PrivateKey = field(default_factory=keys.generate)
    claim: ClaimToken | None = None
    root: Root | None = None
    seq: int = 0
    report_number: int = 0
    stream: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    event_number: int = 0
    events: dict[int, bytes] = field(default_factory=dict)
    models: dict[str, ModelState] = field(default_factory=dict)
    objects: dict[bytes, bytes] = field(default_factory=dict)


class LinkedBoard:
    """A board's end of the link, and what it has in memory.

    ``to_gateway`` and ``from_gateway`` may change bytes on their way: noise, lies.
    """

    def __init__(self, pipe: Pipe, memory: Memory | None = None) -> None:
        self.pipe = pipe
        self.memory = memory or Memory()
        self.to_gateway: Callable[[bytes], bytes] = lambda data: data
        self.from_gateway: Callable[[bytes], bytes] = lambda data: data
        self.gateway = ""
        self.boots = 0
        self.nones = 0
        self.missing: dict[bytes, None] = {}
        self._stop = threading.Event()
        self._boot_wanted = threading.Event()
        self._up_id = secrets.randbelow(65536)
        self._data: dict[bytes, dict[int, bytes]] = {}

    @property
    def enrolled(self) -> bool:
        """Whether an enrolment was answered."""
        return self.memory.root is not None

    def reset(self) -> None:
        """The reset button."""
        self._boot_wanted.set()

    def _boot(self) -> None:
        self._boot_wanted.clear()
        self.boots += 1
        self._nonce = secrets.token_bytes(16)
        self._decoder = link.Decoder()
        self._offers: dict[link.OfferKind, link.Offer] = {}
        self._taken: set[bytes] = set()
        self._got: link.Got | None = None
        self._greet()

    def _greet(self) -> None:
        self.gateway, self._hello_at = "", 0.0

    def _unanswered(self) -> None:
        """Perhaps the gateway was restarted: it answers nobody who has not said hello."""
        if self.gateway:
            self._greet()

    def _pump(self, seconds: float) -> None:
        """Hear what comes, and say hello when it is time. Everything that waits waits here."""
        if self._stop.is_set() or self._boot_wanted.is_set():
            raise Reset
        now = time.monotonic()
        if now >= self._hello_at:
            self._hello_at = now + (KEEPALIVE_S if self.gateway else HELLO_S)
            self._send(link.Hello(self.enrolled, self._nonce, self.memory.device))
        for body in self._decoder.feed(self.from_gateway(self.pipe.read(seconds))):
            with contextlib.suppress(ContractError):
                self._hear(link.parse(body))

    def _hear(self, message: link.Message) -> None:
        match message:
            case link.Welcome(gateway):
                self.gateway = gateway
                self._hello_at = time.monotonic() + KEEPALIVE_S
            case link.Offer(kind, _, name):
                if name in self._taken:
                    self._send(link.Took(name))
                else:
                    self._offers[kind] = message
            case link.Data(prefix, offset, data):
                if prefix in self._data:
                    self._data[prefix][offset] = data
            case link.Nothing(prefix):
                self._data.pop(prefix, None)
                self.nones += 1
            case link.Got():
                self._got = message

    def _send(self, message: link.Message) -> None:
        self.pipe.write(self.to_gateway(link.encode(message.to_body())))

    # Bringing things.

    def fetch(self, name: bytes, length: int | None = None) -> bytes:
        """All of an object or an offered message, piece by piece, however often it takes; its name is not checked."""
        out = bytearray()
        prefix = name[: link.PREFIX_BYTES]
        while length is None or len(out) < length:
            want = min(link.GET_BYTES, length - len(out)) if length is not None else link.GET_BYTES
            pieces: dict[int, bytes] = {}
            self._data[prefix], short = pieces, False
            self._send(link.Get(name, len(out), want))
            deadline = time.monotonic() + GET_S
            while time.monotonic() < deadline and prefix in self._data:
                at = len(out)
                while (piece := pieces.pop(at, None)) is not None:
                    if not piece:
                        return bytes(out)
                    out += piece
                    at, want = len(out), want - len(piece)
                    short = len(piece) < link.PIECE_BYTES
                    deadline = time.monotonic() + GET_S
                if want <= 0:
                    break
                if short:
                    break
                self._pump(0.02)
            if want > 0 and not short and prefix in self._data:
                self._unanswered()
            if prefix not in self._data:
                self.missing[name] = None
                deadline = time.monotonic() + NONE_S
                while time.monotonic() < deadline:
                    self._pump(0.02)
        self.missing.pop(name, None)
        return bytes(out)

    def object(self, name: bytes, length: int | None = None, *, chunk: bool = False) -> bytes:
        """An object that is what its name says, from memory or from the gateway, asked for again while it is not."""
        while name not in self.memory.objects:
            data = self.fetch(name, length)
            if name == (merkle.leaf(data) if chunk else hashlib.sha256(data).digest()):
                self.memory.objects[name] = data
        return self.memory.objects[name]

    def _up(self, kind: link.UpKind, payload: bytes) -> None:
        """Say something until the broker has it."""
        self._up_id = (self._up_id + 1) % 65536
        number, base = self._up_id, 0
        while base < len(payload):
            for at in range(base, min(len(payload), base + link.WINDOW_BYTES), link.PIECE_BYTES):
                piece = payload[at : min(len(payload), base + link.WINDOW_BYTES, at + link.PIECE_BYTES)]
                self._send(link.Up(kind, number, at, len(payload), piece))
            deadline = time.monotonic() + SILENCE_S
            top = min(len(payload), base + link.WINDOW_BYTES)
            while time.monotonic() < deadline and base < top:
                self._pump(0.02)
                if self._got is not None and self._got.id == number:
                    base = self._got.next
                    self._got = None
                    deadline = max(deadline, time.monotonic() + SILENCE_S)
            if base < top:
                self._unanswered()


class Reset(Exception):
    """The board starts anew, or its test is over."""
