"""The link on one serial line, from the gateway's side: what came in, what to do. Pure; the caller gives the time.

Everything is pulled or repeated by the child, so a frame that is lost here costs a time-out and nothing else. The
child may be broken or hostile: whatever it says, a line holds a few kilobytes, wants a few objects and publishes a few
messages.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dunlin_contract import link
from dunlin_contract.errors import ContractError
from dunlin_contract.limits import LIMITS
from dunlin_contract.rules import Rule
from fleet_agent.gateway.bucket import Bucket
from fleet_agent.gateway.offers import Offers
from fleet_agent.gateway.uplink import Hand, Uplink

SILENCE_S = 30.0
"""A child says HELLO every ten seconds at least."""
WANTS = 4
HOLD_S = 1.0
"""How long a GET waits for its object before it is told NONE: usually the broker answers sooner."""
FORGET_S = 10.0
"""An object that the child does not ask for again is wanted no more."""
OBJECT_BYTES = 32 * LIMITS.page_leaves
"""The largest object that a microcontroller has a use for, an index page."""

_FETCH_BURST_BYTES = 8 * OBJECT_BYTES
_FETCH_PER_S = 4096.0
_NOTE_BURST = 20
_NOTES_PER_S = 1 / 60


class Around(Protocol):
    """What a line asks of the gateway around it."""

    def admit(self, device: str) -> str:
        """Why a child may not have this id here; empty if it may."""

    def desired(self, device: str) -> bytes:
        """The directive that is retained for a child, empty if there is none."""

    def find(self, name: bytes) -> bytes | None:
        """An object that is here already."""


@dataclass(slots=True)
class Effects:
    """What to do now. ``wants``, ``changed``: ask the line again what it wants, and who is on it."""

    send: list[bytes] = field(default_factory=list)
    hand: list[Hand] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    taken: list[link.OfferKind] = field(default_factory=list)
    wants: bool = False
    changed: bool = False


@dataclass(slots=True)
class _Want:
    get: link.Get | None
    hold_until: float
    asked: float


class Line:
    """One line and whoever is on it."""

    def __init__(self, gateway: str, around: Around) -> None:
        self._welcome = link.Welcome(gateway).to_body()
        self._around = around
        self._offers = Offers()
        self._uplink = Uplink()
        self._claim = b""
        self._wants: dict[bytes, _Want] = {}
        self._fetching = Bucket(_FETCH_BURST_BYTES, _FETCH_PER_S)
        self._noting = Bucket(_NOTE_BURST, _NOTES_PER_S)
        self.hello: link.Hello | None = None
        """The latest of the child that is on the line; None: nobody, or nobody that may be."""
        self.online = False
        self.heard = 0.0
        self.refused = ""
        """Why whoever is on the line is not served."""
        self.errors = 0
        """Frames whose check sum held and that are no messages of a child."""
        self.sent_bytes = 0
        """Of objects and offered messages."""

    @property
    def device(self) -> str:
        """The child's id, empty as long as it has none."""
        return self.hello.device if self.hello is not None else ""

    @property
    def enrolled(self) -> bool:
        """Whether the child says that it is enrolled."""
        return self.hello is not None and self.hello.enrolled

    @property
    def wanted(self) -> list[bytes]:
        """The objects to bring."""
        return list(self._wants)

    @property
    def carrying(self) -> list[str]:
        """What is on its way, for people."""
        lines = [f"offering {kind}" for kind in self._offers.kinds(enrolled=self.enrolled)] if self.online else []
        lines += [f"fetching {len(self._wants)} objects"] if self._wants else []
        up = self._uplink.shown()
        return [*lines, up] if up else lines

    # What happens.

    def closed(self) -> Effects:
        """The line went: a child that comes back says HELLO."""
        out = Effects(wants=bool(self._wants), changed=self.hello is not None)
        self._leave()
        self.refused = ""
        return out

    def connected(self, there: bool, now: float) -> Effects:
        """The broker is there, or not (any more)."""
        out = Effects()
        self._uplink.connected(there)
        self._hand(now, out)
        return self._limited(out, now)

    def frames(self, bodies: Sequence[bytes], now: float) -> Effects:
        """Bodies of good frames came."""
        out = Effects()
        for body in bodies:
            try:
                self._message(link.parse(body), now, out)
            except ContractError as error:
                self.errors += 1
                if error.rule == Rule.VERSION:
                    self._refuse(f"whoever is on the line is not served: {error.detail}", out)
        return self._limited(out, now)

    def message(self, kind: link.OfferKind, payload: bytes, now: float) -> Effects:
        """A message for the child came from the broker."""
        out = Effects()
        self._offers.put(kind, payload)
        self._offer(now, out)
        return out

    def claim(self, claim: bytes, now: float) -> Effects:
        """Offer a claim from now on; an empty one ends that."""
        self._claim = claim
        return self.message(link.OfferKind.CLAIM, claim, now)

    def arrived(self, name: bytes, data: bytes, now: float) -> Effects:
        """An object came, and is what its name says."""
        out = Effects()
        want = self._wants.pop(name, None)
        if want is not None:
            out.wants = True
            self._fetching.charge(len(data), now)
            if want.get is not None:
                self._answer(want.get, data if len(data) <= OBJECT_BYTES else None, now, out)
        return out

    def handed(self, number: int, ok: bool, now: float) -> Effects:
        """The broker answered to what was handed to it."""
        out = Effects()
        got = self._uplink.handed(number, ok, now)
        if got is not None:
            out.send.append(got.to_body())
        return out

    def tick(self, now: float) -> Effects:
        """Time went by; see :meth:`next_at`."""
        out = Effects()
        if self.online and now - self.heard >= SILENCE_S:
            self.online = False
            out.changed = True
            out.notes.append(f"{self.device or 'the child'} is silent")
        for name, want in list(self._wants.items()):
            if want.get is not None and want.hold_until <= now:
                want.get = None
                out.send.append(link.Nothing(name[: link.PREFIX_BYTES]).to_body())
            if want.asked + FORGET_S <= now:
                del self._wants[name]
                out.wants = True
        self._offer(now, out)
        self._hand(now, out)
        return self._limited(out, now)

    def next_at(self, now: float) -> float | None:
        """When :meth:`tick` is due; None: not before something happens."""
        times = [want.hold_until if want.get is not None else want.asked + FORGET_S for want in self._wants.values()]
        due = self._uplink.next_at(now)
        times += [due] if due is not None else []
        if self.online:
            times.append(self.heard + SILENCE_S)
            due = self._offers.next_at(enrolled=self.enrolled)
            times += [due] if due is not None else []
        return min(times, default=None)

    # What a child says.

    def _message(self, message: link.Message, now: float, out: Effects) -> None:
        match message:
            case link.Hello():
                self._hello(message, now, out)
                return
            case link.Get() | link.Up() | link.Took() if self.hello is not None:
                self._alive(now, out)
            case _:
                # Nobody was admitted, or an echo of our own words: a line whose ends are joined.
                self.errors += 1
                return
        match message:
            case link.Get():
                self._get(message, now, out)
            case link.Up() if self.device:
                out.send.append(self._uplink.piece(message).to_body())
                self._hand(now, out)
            case link.Took():
                kind = self._offers.took(message.name)
                out.taken += [kind] if kind is not None else []

    def _hello(self, hello: link.Hello, now: float, out: Effects) -> None:
        why = self._around.admit(hello.device) if hello.device else ""
        if why:
            self._refuse(f"whoever is on the line is not served: {why}", out)
            return
        self.refused = ""
        before = self.hello
        if before is None or before.device != hello.device:
            self._leave()
            out.wants = True
            self._offers.put(link.OfferKind.CLAIM, self._claim)
            if hello.device:
                self._offers.put(link.OfferKind.DESIRED, self._around.desired(hello.device))
        elif before.boot_nonce != hello.boot_nonce:
            # Its message numbers begin anew, and what it took may not have reached its flash.
            self._uplink.forget()
            self._offers.renew()
            self._wants.clear()
            out.wants = True
        out.changed |= before != hello
        self.hello = hello
        self._alive(now, out)
        out.send.append(self._welcome)
        self._offer(now, out)

    def _refuse(self, why: str, out: Effects) -> None:
        if why != self.refused:
            out.notes.append(why)
            out.changed = True
        out.wants |= bool(self._wants)
        self._leave()
        self.refused = why

    def _leave(self) -> None:
        self.hello = None
        self.online = False
        self._offers = Offers()
        self._uplink.forget()
        self._wants.clear()

    def _alive(self, now: float, out: Effects) -> None:
        self.heard = now
        if not self.online:
            self.online = True
            out.changed = True
            out.notes.append(f"{self.device or 'a child without an id'} answers")

    def _get(self, get: link.Get, now: float, out: Effects) -> None:
        data = self._offers.find(get.name) or self._around.find(get.name)
        want = self._wants.get(get.name)
        if data is not None:
            self._answer(get, data, now, out)
        elif want is not None:
            if want.get is None:
                want.hold_until = now + HOLD_S
            want.get, want.asked = get, now
        elif self.device and len(self._wants) < WANTS and self._may_fetch(now, out):
            self._wants[get.name] = _Want(get, now + HOLD_S, now)
            out.wants = True
        else:
            self._answer(get, None, now, out)

    def _may_fetch(self, now: float, out: Effects) -> bool:
        """A child may have fetched about what it then reads; one that never reads does not cost the uplink much."""
        may = self._fetching.level(now) > 0
        if not may:
            out.notes.append(f"{self.device} asks for much more than it reads: it has to wait")
        return may

    def _answer(self, get: link.Get, data: bytes | None, now: float, out: Effects) -> None:
        prefix = get.name[: link.PREFIX_BYTES]
        if data is None:
            out.send.append(link.Nothing(prefix).to_body())
            return
        end = min(len(data), get.offset + get.length)
        # At or beyond the end: one frame without bytes, which tells the child where the end is.
        places = range(get.offset, end, link.PIECE_BYTES) if get.offset < end else (get.offset,)
        for place in places:
            out.send.append(link.Data(prefix, place, data[place : min(end, place + link.PIECE_BYTES)]).to_body())
        sent = max(0, end - get.offset)
        self.sent_bytes += sent
        self._fetching.charge(-sent, now)

    # What is due.

    def _offer(self, now: float, out: Effects) -> None:
        if self.online:
            out.send += [offer.to_body() for offer in self._offers.due(now, enrolled=self.enrolled)]

    def _hand(self, now: float, out: Effects) -> None:
        slowed = self._uplink.slowed
        hand = self._uplink.hand(now)
        out.hand += [hand] if hand is not None else []
        if self._uplink.slowed and not slowed:
            out.notes.append(f"{self.device} says more than one message a second: it has to wait")

    def _limited(self, out: Effects, now: float) -> Effects:
        """A child that makes us say things does not fill the log."""
        out.notes = [note for note in out.notes if self._noting.take(1, now)]
        return out
