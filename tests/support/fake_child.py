"""A microcontroller made of Python: it speaks the link with real keys, and believes only what is signed or hashed.

It listens on a TCP port (``socket://`` for the gateway, as a simulated board does) or on a pseudo-terminal, enrols with
a claim, verifies directives, brings their releases chunk by chunk, and signs what it says. Everything runs in one
thread; tests look at its attributes and put things into :attr:`FakeChild.say`.
"""

import contextlib
import hashlib
import os
import pty
import secrets
import select
import socket
import threading
import time
import tty
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from dunlin_contract import bundle, cose, envelopes, hpke, keys, link, merkle
from dunlin_contract.cose import Role
from dunlin_contract.directive import Desired, Directive, check_release
from dunlin_contract.enrolment import ClaimToken, EnrolReply, EnrolRequest
from dunlin_contract.errors import ContractError
from dunlin_contract.event import Event
from dunlin_contract.fit import DeviceDescription, RuntimeInfo, Tier, fit
from dunlin_contract.reported import ModelState, Reported
from dunlin_contract.root import Root
from dunlin_contract.stream import ChunkCipher
from dunlin_contract.wipe import Erased, Receipt, check_order

DESCRIPTION = DeviceDescription(
    hardware_class="cortex-m4",
    arch="armv7e-m",
    memory_bytes=262_144,
    flash_bytes=1 << 20,
    arena_bytes=131_072,
    runtimes=(RuntimeInfo(name="tflm", version=(1, 0, 0)),),
    tier=Tier(keystore="flash", model_store="plain-flash"),
)
HELLO_S = 2.0
KEEPALIVE_S = 10.0
SILENCE_S = 1.0
GET_S = 1.5
NONE_S = 0.5
"""Less than a board waits: tests are in a hurry."""


class Pipe(Protocol):
    """A byte pipe to the gateway."""

    name: str
    """What the gateway is given as ``--line``."""

    def read(self, seconds: float) -> bytes:
        """What comes within some time, empty if nothing does."""

    def write(self, data: bytes) -> None:
        """Send, or lose it when nobody is there."""

    def close(self) -> None:
        """End it."""


class Socket:
    """A listening TCP port; one gateway at a time."""

    def __init__(self, port: int = 0) -> None:
        self._listener: socket.socket | None = socket.create_server(("127.0.0.1", port))
        self.port = int(self._listener.getsockname()[1])
        self.name = f"socket://127.0.0.1:{self.port}"
        self.plugged = True
        """Whether there is a cable."""
        self._peer: socket.socket | None = None

    def read(self, seconds: float) -> bytes:
        if self.plugged and self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port))
        elif not self.plugged:
            self.close()
            time.sleep(seconds)
            return b""
        waiting = self._peer or self._listener
        assert waiting is not None
        with contextlib.suppress(OSError, ValueError):
            if not select.select([waiting], [], [], seconds)[0]:
                return b""
            if self._peer is None:
                assert self._listener is not None
                self._peer, _ = self._listener.accept()
                self._peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return b""
            data = self._peer.recv(65536)
            if data:
                return data
        self._hang_up()
        return b""

    def write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            if self._peer is not None:
                self._peer.sendall(data)

    def _hang_up(self) -> None:
        if self._peer is not None:
            self._peer.close()
        self._peer = None

    def close(self) -> None:
        self._hang_up()
        if self._listener is not None:
            self._listener.close()
        self._listener = None


class Terminal:
    """A pseudo-terminal: to the gateway a serial device."""

    def __init__(self) -> None:
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.name = os.ttyname(self._slave)

    def read(self, seconds: float) -> bytes:
        with contextlib.suppress(OSError):
            if select.select([self._master], [], [], seconds)[0]:
                return os.read(self._master, 65536)
        return b""

    def write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            while data:
                data = data[os.write(self._master, data) :]

    def close(self) -> None:
        os.close(self._slave)
        os.close(self._master)


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


class FakeChild:
    """Start it with ``with``. ``to_gateway`` and ``from_gateway`` may change bytes on their way: noise, lies."""

    def __init__(self, pipe: Pipe, memory: Memory | None = None, description: DeviceDescription = DESCRIPTION) -> None:
        self.pipe = pipe
        self.memory = memory or Memory()
        self.description = description
        self.to_gateway: Callable[[bytes], bytes] = lambda data: data
        self.from_gateway: Callable[[bytes], bytes] = lambda data: data
        self.gateway = ""
        self.boots = 0
        self.say: deque[tuple[link.UpKind, bytes]] = deque()
        """What it will say next, besides what it says by itself."""
        self.said: list[tuple[link.UpKind, bytes]] = []
        """What the gateway has handed over."""
        self.replies: list[EnrolReply] = []
        self.directives: list[Directive] = []
        self.refusals: list[ContractError] = []
        self.plaintexts: dict[str, bytes] = {}
        self.nones = 0
        self.missing: dict[bytes, None] = {}
        self.following = True
        """Whether it acts on a directive by itself."""
        self._stop = threading.Event()
        self._boot_wanted = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fake child", daemon=True)
        self._up_id = secrets.randbelow(65536)
        self._data: dict[bytes, dict[int, bytes]] = {}

    def __enter__(self) -> "FakeChild":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)
        self.pipe.close()

    @property
    def enrolled(self) -> bool:
        """Whether an enrolment was answered."""
        return self.memory.root is not None

    @property
    def spki(self) -> bytes:
        """Its identity."""
        return keys.spki(self.memory.identity)

    def reset(self) -> None:
        """The reset button."""
        self._boot_wanted.set()

    def event(self, kind: str, code: str = "", text: str = "", receipt: bytes | None = None) -> None:
        """Number and sign an event; it goes up until it is acknowledged."""
        memory = self.memory
        memory.event_number += 1
        event = Event(
            stream=memory.stream,
            n=memory.event_number,
            kind=kind,
            time_s=int(time.time()),
            uptime_s=1,
            code=code,
            text=text,
            receipt=receipt,
        )
        envelope = cose.sign1(event.to_bytes(), memory.identity, Role.EVENT)
        memory.events[event.n] = envelope
        self.say.append((link.UpKind.EVENTS, envelope))

    def report(self) -> None:
        """Sign a report of everything."""
        memory = self.memory
        memory.report_number += 1
        report = Reported(
            epoch=memory.root.epoch if memory.root else 0,
            seq=memory.seq,
            boot_nonce=self._nonce,
            missing=tuple(self.missing)[:64],
            models=dict(memory.models),
            device=self.description,
            number=memory.report_number,
            uptime_s=1,
            time_s=0,
            agent_version="0.1.0",
            root_version=memory.root.version if memory.root else 1,
        )
        self.say.append((link.UpKind.REPORTED, cose.sign1(report.to_bytes(), memory.identity, Role.REPORTED)))

    # Its life.

    def _run(self) -> None:
        while not self._stop.is_set():
            self._boot()
            with contextlib.suppress(_Reset):
                while True:
                    self._turn()

    def _boot(self) -> None:
        self._boot_wanted.clear()
        self.boots += 1
        self._nonce = secrets.token_bytes(16)
        self._decoder = link.Decoder()
        self._offers: dict[link.OfferKind, link.Offer] = {}
        self._taken: set[bytes] = set()
        self._got: link.Got | None = None
        self._ask_again = 0.0
        self._do: Directive | None = None
        self.say.clear()
        self._greet()
        if self.enrolled:
            self.report()
            for envelope in self.memory.events.values():
                self.say.append((link.UpKind.EVENTS, envelope))

    def _greet(self) -> None:
        self.gateway, self._hello_at = "", 0.0

    def _unanswered(self) -> None:
        """Perhaps the gateway was restarted: it answers nobody who has not said hello."""
        if self.gateway:
            self._greet()

    def _turn(self) -> None:
        self._pump(0.05)
        for kind, offer in list(self._offers.items()):
            del self._offers[kind]
            self._take(offer)
        if not self.gateway:
            return
        if self.memory.claim is not None and not self.enrolled and time.monotonic() >= self._ask_again:
            self._ask_again = time.monotonic() + 30
            self.say.append((link.UpKind.ENROL, self._request(self.memory.claim)))
        if self.say:
            saying = self.say[0]
            self._up(*saying)
            self.say.popleft()
            self.said.append(saying)
        elif self._do is not None:
            directive, self._do = self._do, None
            self._follow(directive)

    def _pump(self, seconds: float) -> None:
        """Hear what comes, and say hello when it is time. Everything that waits waits here."""
        if self._stop.is_set() or self._boot_wanted.is_set():
            raise _Reset
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

    # Believing things.

    def _take(self, offer: link.Offer) -> None:
        data = self.fetch(offer.name, offer.length)
        if hashlib.sha256(data).digest() != offer.name:
            return
        try:
            self._believe(offer.kind, data)
        except ContractError as error:
            self.refusals.append(error)
        self._offers = {kind: other for kind, other in self._offers.items() if other.name != offer.name}
        self._taken.add(offer.name)
        if offer.kind in {link.OfferKind.ENROL, link.OfferKind.CLAIM, link.OfferKind.ACK}:
            self._taken.clear()
        self._send(link.Took(offer.name))

    def _believe(self, kind: link.OfferKind, data: bytes) -> None:
        memory = self.memory
        if kind == link.OfferKind.CLAIM and not self.enrolled:
            claim = link.Claim.from_bytes(data)
            memory.claim, memory.device = ClaimToken.from_text(claim.token), claim.device
            self._ask_again = 0.0
            self._greet()
        elif kind == link.OfferKind.ENROL and not self.enrolled:
            self._replied(EnrolReply.from_bytes(data))
        elif kind == link.OfferKind.ACK and memory.root is not None:
            ack = envelopes.open_ack(data, memory.root)
            if ack.device == memory.device and ack.stream == memory.stream:
                memory.events = {n: event for n, event in memory.events.items() if n > ack.n}
        elif kind == link.OfferKind.DESIRED and memory.root is not None:
            directive, _ = envelopes.open_directive(data, memory.root)
            if directive.device == memory.device and directive.seq > memory.seq:
                memory.seq = directive.seq
                self.directives.append(directive)
                self._do = directive
                self.report()

    def _request(self, claim: ClaimToken) -> bytes:
        request = EnrolRequest(
            device=self.memory.device,
            token_id=claim.token_id,
            secret=claim.secret,
            spki=self.spki,
            kem=keys.spki(self.memory.kem),
            description=self.description,
        )
        return cose.sign1(request.to_bytes(), self.memory.identity, Role.ENROL)

    def _replied(self, reply: EnrolReply) -> None:
        claim = self.memory.claim
        self.replies.append(reply)
        if reply.status == "pending":
            self._ask_again = time.monotonic() + reply.poll_s
        elif reply.status == "issued" and reply.root is not None and claim is not None:
            self.memory.root = envelopes.open_first_root(reply.root, claim.root_digest)
            self.memory.claim = None
            self._greet()
            self.report()

    # Following a directive.

    def _follow(self, directive: Directive) -> None:
        if not self.following:
            return
        if directive.wipe is not None:
            try:
                self._wipe(directive, directive.wipe)
            except ContractError as error:
                self.refusals.append(error)
        for name in self.memory.models.keys() - directive.desired.keys():
            del self.memory.models[name]
        for name, desired in directive.desired.items():
            self.memory.models[name] = ModelState(phase="downloading", candidate=desired.release)
            self.report()
            try:
                self.memory.models[name] = self._install(name, desired)
            except ContractError as error:
                self.refusals.append(error)
                state = ModelState(phase="refused", candidate=desired.release, error_code=error.rule)
                self.memory.models[name] = state
            self.report()

    def _install(self, name: str, desired: Desired) -> ModelState:
        root = self.memory.root
        assert root is not None
        release = envelopes.open_manifest(self.object(desired.manifest), root)
        manifest = release.manifest
        check_release(desired, name, manifest_name=manifest.name, counter=manifest.counter, digest=release.digest)
        cek = hpke.open_cek(desired.grant, self.memory.kem, release.digest, self.memory.device)
        leaves = manifest.checked_leaves(b"".join(self.object(page) for page in desired.index))
        variant = next((one for one in manifest.variants if not fit(one.fit, self.description)), None)
        if variant is None:
            return ModelState(phase="refused", candidate=desired.release, error_code="no-variant")
        ranges = list(manifest.leaf_ranges())
        for index in variant.payloads:
            payload = manifest.payloads[index]
            cipher = ChunkCipher(cek, payload.id, payload.chunk_log2)
            plain = b""
            for place, at in enumerate(ranges[index]):
                chunk = self.object(leaves[at], payload.chunk_length(place), chunk=True)
                bundle.check_chunk(chunk, leaves[at])
                plain += cipher.open(place, place == payload.chunk_count - 1, chunk)
            if hashlib.sha256(plain).digest() != payload.installed_sha256:
                return ModelState(phase="refused", candidate=desired.release, error_code="installed")
            if payload.role == "model":
                self.plaintexts[name] = plain
        chunks = sum(manifest.payloads[index].chunk_count for index in variant.payloads)
        return ModelState(
            phase="committed",
            active=desired.release,
            variant=variant.kind,
            chunks_have=chunks,
            chunks_need=chunks,
        )

    def _wipe(self, directive: Directive, envelope: bytes) -> None:
        memory = self.memory
        assert memory.root is not None
        order, digest = envelopes.open_wipe(envelope, memory.root)
        check_order(order, memory.device, frozenset(directive.desired))
        gone = sorted(order.models or memory.models.keys())
        erased = tuple(
            Erased(model=name, releases=(state.active,))
            for name in gone
            if (state := memory.models.pop(name, None)) is not None and state.active is not None
        )
        memory.kem = keys.generate()
        receipt = Receipt(
            device=memory.device,
            order_digest=digest,
            erased=erased,
            method="sectors erased",
            assurance="clear",
            canary_unreadable=True,
            files=0,
            bytes_erased=sum(len(self.plaintexts.pop(name, b"")) for name in gone),
            time_s=int(time.time()),
            kem=keys.spki(memory.kem),
        )
        self.event("wiped", receipt=cose.sign1(receipt.to_bytes(), memory.identity, Role.RECEIPT))


class _Reset(Exception):
    """The board starts anew, or its test is over."""
