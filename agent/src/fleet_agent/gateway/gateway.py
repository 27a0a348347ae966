"""The gateway put together: lines, children, objects, and the one connection that carries it all."""

import hashlib
import time
from collections.abc import Callable, Sequence
from functools import partial

from dunlin_contract import ids, link, merkle, topics
from dunlin_contract.errors import ContractError
from fleet_agent.carriers.mqtt import MqttCarrier
from fleet_agent.errors import SetupError
from fleet_agent.gateway import port
from fleet_agent.gateway.cache import Cache
from fleet_agent.gateway.children import Children
from fleet_agent.gateway.claiming import Claiming
from fleet_agent.gateway.line import OBJECT_BYTES, SILENCE_S, WANTS, Effects, Line
from fleet_agent.gateway.offers import MESSAGE_BYTES
from fleet_agent.supervisor.control import Caller
from fleet_agent.supervisor.link import Link
from fleet_agent.supervisor.log import log
from fleet_agent.supervisor.loop import Loop, Timer

CACHE_BYTES = 2 << 20
STATUS_PAUSE_S = 1.0
"""Between two times of saying who is online: a board may say that it is one child after another, a hundred a second."""


class Wire:
    """One line with its port: runs what :class:`Line` decides."""

    def __init__(self, gateway: "Gateway", where: port.Where) -> None:
        self._gateway = gateway
        self.where = where
        self.name = where.device
        self.line = Line(gateway.device, self)
        self.open = False
        self.why = "not open yet"
        self.claiming: Claiming | None = None
        self._timer: Timer | None = None
        self._due = 0.0
        post = gateway.loop.post
        self.port = port.Port(
            where,
            lambda bodies: post(partial(self._heard, bodies)),
            lambda there, why: post(partial(self._changed, there, why)),
        )

    # The line asks.

    def admit(self, device: str) -> str:
        if device == self._gateway.device:
            return f"{device} is this gateway's own id"
        other = self._gateway.wire_of(device)
        if other is not None and other is not self and other.line.online:
            return f"{device} is alive on {other.name}"
        return ""

    def desired(self, device: str) -> bytes:
        return self._gateway.children.desired(device)

    def find(self, name: bytes) -> bytes | None:
        return self._gateway.cache.get(name)

    # Things happen.

    def do(self, effects: Effects) -> None:
        """Run the effects, and come back when the line wants to."""
        if effects.send:
            self.port.send(effects.send)
        for note in effects.notes:
            log(f"{self.name}: {note}")
        for hand in effects.hand:
            topic = topics.Address(self.line.device, self._gateway.device).up(hand.kind.name.lower())
            done = partial(self._handed, hand.number, hand.kind)
            self._gateway.link.send(topic, hand.payload, 1, done=done)
        if effects.wants:
            self._gateway.want()
        if link.OfferKind.CLAIM in effects.taken and self.claiming is not None:
            self.claiming.taken(time.monotonic())
        if effects.changed:
            self._gateway.say_who_is_online()
        self._look()
        self._later()

    def claim(self, claiming: Claiming | None) -> None:
        """Begin an enrolment on this line, or end it: then nothing of its token stays."""
        self.claiming = claiming
        if claiming is None:
            self.do(self.line.claim(b"", time.monotonic()))
        else:
            self._look()
            self._later()

    def status(self) -> dict[str, object]:
        """For ``fleet-agent status``."""
        line = self.line
        return {
            "line": self.name,
            "open": self.open,
            "why": line.refused or self.why,
            "child": line.device,
            "enrolled": line.enrolled,
            "online": line.online,
            "heard_s": round(time.monotonic() - line.heard, 1) if line.heard else None,
            "frame_errors": self.port.errors + line.errors,
            "frames_dropped": self.port.dropped,
            "sent_bytes": line.sent_bytes,
            "carrying": line.carrying,
        }

    def _heard(self, bodies: list[bytes]) -> None:
        try:
            self.do(self.line.frames(bodies, time.monotonic()))
        finally:
            self.port.go_on()

    def _changed(self, there: bool, why: str) -> None:
        self.open, self.why = there, why
        log(f"{self.name}: {'open' if there else f'{why}; trying again'}")
        if not there:
            self.do(self.line.closed())

    def _handed(self, number: int, kind: link.UpKind, ok: bool) -> None:
        now = time.monotonic()
        if ok and kind == link.UpKind.ENROL and self.claiming is not None:
            self.claiming.handed(now)
        self.do(self.line.handed(number, ok, now))

    def _look(self) -> None:
        claiming = self.claiming
        if claiming is None:
            return
        now = time.monotonic()
        if claiming.look(self.line, self.port.errors, now):
            self.do(self.line.claim(claiming.claim.to_bytes(), now))
        elif claiming.over:
            self.claim(None)

    def _later(self) -> None:
        now = time.monotonic()
        times = [self.line.next_at(now), self.claiming.next_at() if self.claiming is not None else None]
        due = min((one for one in times if one is not None), default=None)
        # A timer that fires too early looks and sets itself again; a new one for each frame would pile up in the loop.
        if due is None or (self._timer is not None and self._due <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = self._gateway.loop.after(max(0.01, due - now), self._tick)

    def _tick(self) -> None:
        self._timer = None
        self.do(self.line.tick(time.monotonic()))


class Gateway:
    """What the supervisor knows of it is :class:`fleet_agent.supervisor.gateway.Gateway`."""

    def __init__(
        self,
        loop: Loop,
        connection: Link,
        device: str,
        lines: Sequence[port.Where],
        object_timeout_s: float,
        corrupted: Callable[[bytes], None],
    ) -> None:
        self.loop = loop
        self.link = connection
        self.device = device
        self.children = Children()
        self.cache = Cache(CACHE_BYTES)
        self._corrupted = corrupted
        self._wires = [Wire(self, where) for where in lines]
        # Room for everything that all children may want at once: none can hold up another, nor the agent's own.
        self._window = WANTS * len(lines)
        self._carrier = MqttCarrier(loop, connection, self, self._window, object_timeout_s)
        self._connected = False
        self._settled = False
        self._pausing = False

    def start(self) -> None:
        """Open the lines."""
        for wire in self._wires:
            wire.port.start()
        self.loop.after(SILENCE_S, self._settle)

    def close(self) -> None:
        """Close the lines."""
        for wire in self._wires:
            wire.port.stop()

    def online(self) -> None:
        """The broker is there."""
        self._connected = True
        self.children.reconnected()
        self.link.subscribe([topics.child_filter(self.device)])
        self._carrier.online(True)
        for wire in self._wires:
            wire.do(wire.line.connected(True, time.monotonic()))

    def offline(self) -> None:
        """The broker went."""
        self._connected = False
        self._carrier.online(False)
        for wire in self._wires:
            wire.do(wire.line.connected(False, time.monotonic()))

    def configure(self, timeout_s: float) -> None:
        """How long an object may stay away before it is asked for anew."""
        self._carrier.configure(self._window, timeout_s)

    def message(self, topic: str, payload: bytes) -> None:
        """Something for a child; other topics are not ours."""
        try:
            address, kind = topics.parse_down(topic)
        except ContractError:
            return
        if address.gateway != self.device:
            return
        if len(payload) > MESSAGE_BYTES:
            log(f"a message of {len(payload)} bytes for {address.device} does not fit the link: not offered")
            return
        if kind == "desired":
            gone = self.children.remember(address.device, payload)
            if gone is not None:
                log(f"too many children to remember the directive of {gone}: it gets it when this agent reconnects")
        wire = self.wire_of(address.device)
        if wire is not None:
            now = time.monotonic()
            if kind == "enrol" and wire.claiming is not None:
                wire.claiming.replied(payload, now)
            wire.do(wire.line.message(link.OfferKind[kind.upper()], payload, now))
        self.say_who_is_online()

    def object_came(self, name: bytes, data: bytes) -> None:
        """An object went by, for whomever."""
        self._carrier.message(name, data)

    def arrived(self, name: bytes, data: bytes) -> None:
        if name not in {hashlib.sha256(data).digest(), merkle.leaf(data)}:
            self._carrier.corrupt(name)
            self._corrupted(name)
            return
        if len(data) <= OBJECT_BYTES:
            self.cache.put(name, data)
        for wire in self._wires:
            wire.do(wire.line.arrived(name, data, time.monotonic()))

    def gave_up(self, name: bytes) -> None:
        """Nothing to do: the child is told NONE, and tells the server itself what it misses."""

    def enroll(self, request: dict[str, object], caller: Caller) -> None:
        """``fleet-agent child enroll``: ``line``, ``device`` and ``token``."""
        try:
            self._claim(request, caller)
        except SetupError as error:
            caller.say({"error": str(error)})
            caller.end()

    def status(self) -> list[dict[str, object]]:
        """The lines, for ``fleet-agent status``."""
        return [wire.status() for wire in self._wires]

    def wire_of(self, device: str) -> Wire | None:
        """Where a child is, or, if it is nowhere, where it was."""
        been = [wire for wire in self._wires if device and wire.line.device == device]
        return max(been, key=lambda wire: wire.line.online, default=None)

    def want(self) -> None:
        """Some line wants other objects than before."""
        self._carrier.want(list(dict.fromkeys(name for wire in self._wires for name in wire.line.wanted)))

    def say_who_is_online(self) -> None:
        """Publish what changed, now or after the pause."""
        if not self._connected or self._pausing:
            return
        online = {wire.line.device for wire in self._wires if wire.line.online}
        news = self.children.news(online, settled=self._settled)
        for device, there in news.items():
            topic = topics.Address(device, self.device).up("status")
            self.link.send(topic, topics.ONLINE if there else topics.OFFLINE, 1, retain=True)
        if news:
            self._pausing = True
            self.loop.after(STATUS_PAUSE_S, self._paused)

    def _paused(self) -> None:
        self._pausing = False
        self.say_who_is_online()

    def _settle(self) -> None:
        self._settled = True
        self.say_who_is_online()

    def _claim(self, request: dict[str, object], caller: Caller) -> None:
        name, device, token = (str(request.get(key, "")) for key in ("line", "device", "token"))
        wire = next((wire for wire in self._wires if wire.name == name), None)
        if wire is None:
            names = ", ".join(wire.name for wire in self._wires)
            raise SetupError(f"{name} is not a line of this agent, which has {names}: run it with --line {name}")
        if not wire.open:
            raise SetupError(f"{name}: {wire.why}")
        if wire.claiming is not None:
            raise SetupError(f"another child enroll is busy on {name}: wait for it, or stop it")
        if not ids.is_device(device):
            raise SetupError(f"{device[:40]!r} cannot name a device: choose another --id, 1 to 36 of a-z, 0-9 and -")
        if why := wire.admit(device):
            raise SetupError(f"{why}: choose another --id")
        if not self._connected:
            caller.say({"say": "not connected to the broker: the child's request will wait"})
        now = time.monotonic()
        claiming = Claiming(name, wire.where.baud, link.Claim(device, token), caller, now, wire.port.errors)
        caller.hung_up = lambda: wire.claim(None) if wire.claiming is claiming else None
        wire.claim(claiming)
