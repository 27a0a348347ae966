"""A microcontroller made of Python: it speaks the link with real keys, and believes only what is signed or hashed.

It listens on a TCP port (``socket://`` for the gateway, as a simulated board does) or on a pseudo-terminal, enrols with
a claim, verifies directives, brings their releases chunk by chunk, and signs what it says. Everything runs in one
thread; tests look at its attributes and put things into :attr:`FakeChild.say`.
"""

import contextlib
import hashlib
import threading
import time

from dunlin_contract import cose, envelopes, keys, link
from dunlin_contract.cose import Role
from dunlin_contract.directive import Directive
from dunlin_contract.enrolment import ClaimToken, EnrolReply, EnrolRequest
from dunlin_contract.errors import ContractError
from dunlin_contract.fit import DeviceDescription
from tests.support.board_pipes import Pipe
from tests.support.fake_following import DESCRIPTION, FollowingBoard
from tests.support.fake_link import Memory, Reset


class FakeChild(FollowingBoard):
    """Start it with ``with``."""

    def __init__(self, pipe: Pipe, memory: Memory | None = None, description: DeviceDescription = DESCRIPTION) -> None:
        super().__init__(pipe, memory, description)
        self.said: list[tuple[link.UpKind, bytes]] = []
        """What the gateway has handed over."""
        self.replies: list[EnrolReply] = []
        self.directives: list[Directive] = []
        self._thread = threading.Thread(target=self._run, name="fake child", daemon=True)

    def __enter__(self) -> "FakeChild":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)
        self.pipe.close()

    @property
    def spki(self) -> bytes:
        """Its identity."""
        return keys.spki(self.memory.identity)

    # Its life.

    def _run(self) -> None:
        while not self._stop.is_set():
            self._boot()
            with contextlib.suppress(Reset):
                while True:
                    self._turn()

    def _boot(self) -> None:
        super()._boot()
        self._ask_again = 0.0
        self._do: Directive | None = None
        self.say.clear()
        if self.enrolled:
            self.report()
            for envelope in self.memory.events.values():
                self.say.append((link.UpKind.EVENTS, envelope))

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
