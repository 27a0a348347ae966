"""A line without a line: the bench that the tests of the link decide it on."""

from dunlin_contract import link
from dunlin_contract.link import Hello, Message, OfferKind, Up, UpKind
from fleet_agent.gateway.line import Effects, Line
from fleet_agent.gateway.uplink import Hand

NONCE = bytes(16)
HELLO = Hello(True, NONCE, "mcu-1")
NAMES = [bytes([n]) * 32 for n in range(20)]


class Bench:
    """A line, a clock, and what is around: objects that are here, directives, ids that may not come in."""

    def __init__(self, hello: Hello | None = HELLO, *, connected: bool = True) -> None:
        self.now = 1000.0
        self.objects: dict[bytes, bytes] = {}
        self.directives: dict[str, bytes] = {}
        self.barred: dict[str, str] = {}
        self.line = Line("gate", self)
        self.notes: list[str] = []
        self.hands: list[Hand] = []
        if connected:
            self.did(self.line.connected(True, self.now))
        if hello is not None:
            self.say(hello)

    def admit(self, device: str) -> str:
        return self.barred.get(device, "")

    def desired(self, device: str) -> bytes:
        return self.directives.get(device, b"")

    def find(self, name: bytes) -> bytes | None:
        return self.objects.get(name)

    def did(self, effects: Effects) -> list[Message]:
        """Take note of effects; returns the messages to the child."""
        self.notes += effects.notes
        self.hands += effects.hand
        return [link.parse(body) for body in effects.send]

    def say(self, *messages: Message) -> list[Message]:
        return self.did(self.line.frames([message.to_body() for message in messages], self.now))

    def wait(self, seconds: float) -> list[Message]:
        """Let time go by, stopping where the line wants to be asked."""
        end, answers = self.now + seconds, []
        while (due := self.line.next_at(self.now)) is not None and due <= end:
            self.now = max(self.now, due)
            answers += self.did(self.line.tick(self.now))
        self.now = end
        return answers

    def offer(self, kind: OfferKind, data: bytes) -> list[Message]:
        return self.did(self.line.message(kind, data, self.now))

    def arrive(self, name: bytes, data: bytes) -> list[Message]:
        return self.did(self.line.arrived(name, data, self.now))

    def handed(self, ok: bool = True) -> list[Message]:
        return self.did(self.line.handed(self.hands[-1].number, ok, self.now))


def pieces(payload: bytes, number: int = 1, kind: UpKind = UpKind.EVENTS) -> list[Up]:
    size = link.PIECE_BYTES
    return [Up(kind, number, at, len(payload), payload[at : at + size]) for at in range(0, len(payload), size)]
