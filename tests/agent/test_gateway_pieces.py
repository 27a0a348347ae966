"""The gateway's small decisions: what is kept, who is online, what a line is called, what an operator is told."""

import subprocess
import sys

import pytest

from dunlin_contract import link
from dunlin_contract.console import UsageError
from dunlin_contract.enrolment import EnrolReply
from dunlin_contract.link import Hello, OfferKind
from fleet_agent.gateway import claiming as stages
from fleet_agent.gateway import port
from fleet_agent.gateway.bucket import Bucket
from fleet_agent.gateway.cache import Cache
from fleet_agent.gateway.children import DESIRED_BYTES, Children
from fleet_agent.gateway.claiming import Claiming
from fleet_agent.gateway.line import Line

NONCE = bytes(16)


def test_a_cache_keeps_what_was_used_last_and_never_more_than_its_bytes() -> None:
    cache = Cache(100)
    for name in (b"a", b"b", b"c"):
        cache.put(name, bytes(40))
        cache.get(b"a")
    assert [cache.get(name) is not None for name in (b"a", b"b", b"c")] == [True, False, True]
    cache.put(b"a", bytes(10))
    assert cache.held_bytes == 50
    cache.put(b"big", bytes(101))
    assert (cache.held_bytes, cache.get(b"big")) == (0, None)


def test_a_bucket_gives_a_burst_and_then_its_rate() -> None:
    bucket = Bucket(3, 0.5)
    assert [bucket.take(1, 10.0) for _ in range(4)] == [True, True, True, False]
    assert bucket.wait_s(1, 10.0) == 2.0
    assert [bucket.take(1, 12.0), bucket.take(1, 12.0)] == [True, False]
    bucket.charge(-10, 12.0)
    assert bucket.level(12.0) == 3
    bucket.charge(4, 12.0)
    assert bucket.level(14.0) == 0
    assert bucket.level(5.0) == 0


def test_only_children_that_the_server_speaks_to_are_spoken_of() -> None:
    children = Children()
    assert children.news({"made-up"}, settled=True) == {}
    children.remember("mcu-1", b"one")
    children.remember("mcu-2", b"two")
    assert children.news({"mcu-1", "made-up"}, settled=False) == {"mcu-1": True}
    assert children.news({"mcu-1"}, settled=True) == {"mcu-2": False}
    assert children.news({"mcu-1"}, settled=True) == {}
    assert children.news(set(), settled=False) == {"mcu-1": False}
    assert children.news(set(), settled=True) == {}
    children.remember("mcu-1", b"")
    assert (children.desired("mcu-1"), children.desired("mcu-2")) == (b"", b"two")
    assert children.news({"mcu-1"}, settled=True) == {}
    children.remember("mcu-1", b"back")
    assert children.news(set(), settled=True) == {"mcu-1": False}
    children.reconnected()
    children.remember("mcu-2", b"two")
    assert children.news(set(), settled=True) == {"mcu-2": False}


def test_directives_of_absent_children_take_a_bounded_place() -> None:
    children = Children()
    gone = [children.remember(f"mcu-{number}", bytes(60_000)) for number in range(20)]
    assert gone[:17] == [None] * 17
    assert gone[17:] == ["mcu-0", "mcu-1", "mcu-2"]
    kept = sum(len(children.desired(f"mcu-{number}")) for number in range(20))
    assert kept <= DESIRED_BYTES


@pytest.mark.parametrize(
    ("text", "device", "baud"),
    [
        ("/dev/ttyACM0", "/dev/ttyACM0", 115_200),
        ("/dev/ttyUSB1@9600", "/dev/ttyUSB1", 9600),
        ("/dev/serial/by-id/usb-a@b-if00", "/dev/serial/by-id/usb-a@b-if00", 115_200),
        ("socket://10.0.0.7:4001", "socket://10.0.0.7:4001", 115_200),
        ("socket://[::1]:4001", "socket://[::1]:4001", 115_200),
    ],
)
def test_what_a_line_is_called(text: str, device: str, baud: int) -> None:
    assert port.parse(text) == port.Where(device, baud)


@pytest.mark.parametrize(
    "text",
    ["", "ttyACM0", "@115200", "/dev/ttyACM0@0", "/dev/ttyACM0@99999999999", "socket://", "socket://host", "socket://:1",
     "socket://host:99999", "socket://host:1/x", "socket://host:1?logging=debug", "rfc2217://host:1", "loop://"],
)  # fmt: skip
def test_what_no_line_is_called(text: str) -> None:
    with pytest.raises(UsageError, match="write DEVICE"):
        port.parse(text)


# What the operator of `child enroll` is told.


class Operator:
    """Hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.ended = False

    def say(self, message: dict[str, object]) -> None:
        assert not self.ended
        self.heard += [f"{key}: {value}" for key, value in message.items()]

    def end(self) -> None:
        self.ended = True


class _Around:
    def admit(self, device: str) -> str:
        return "mcu-9 is alive on /dev/ttyACM1" if device == "mcu-9" else ""

    def desired(self, device: str) -> bytes:
        return b""

    def find(self, name: bytes) -> bytes | None:
        return None


def begun() -> tuple[Operator, Claiming, Line]:
    operator = Operator()
    claim = link.Claim("mcu-1", "dunlin1-secret")
    return operator, Claiming("/dev/ttyACM0", 115_200, claim, operator, 0.0, 3), Line("gate", _Around())


def hello(line: Line, device: str, *, enrolled: bool = False) -> None:
    line.frames([Hello(enrolled, NONCE, device).to_body()], 0.0)


def test_an_enrolment_is_told_step_by_step() -> None:
    operator, claiming, line = begun()
    assert not claiming.look(line, 3, 1.0)
    hello(line, "")
    assert claiming.look(line, 3, 2.0)
    assert not claiming.look(line, 3, 2.0)
    hello(line, "mcu-1")
    claiming.look(line, 3, 3.0)
    claiming.handed(4.0)
    pending = EnrolReply(status="pending", poll_s=5).to_bytes()
    claiming.replied(pending, 5.0)
    claiming.replied(pending, 6.0)
    assert claiming.next_at() is None
    claiming.look(line, 3, 1e9)
    claiming.replied(EnrolReply(status="issued", root=b"root").to_bytes(), 7.0)
    assert not operator.ended
    hello(line, "mcu-1", enrolled=True)
    claiming.look(line, 3, 8.0)
    assert operator.heard == [
        "say: the child answers",
        "say: the child has the claim token and makes its keys",
        "say: the child's request is on its way to the server",
        "say: waiting for approval: an operator must accept mcu-1 on the server's devices page",
        "say: the server has accepted the child",
        "done: enrolled as mcu-1",
    ]
    assert operator.ended
    claiming.look(line, 3, 1e9)
    claiming.replied(pending, 1e9)
    assert "secret" not in repr(claiming)


@pytest.mark.parametrize(
    ("device", "enrolled", "errors", "says"),
    [
        (None, False, 3, "nobody answers on /dev/ttyACM0: is the board on, with its firmware, at 115200 Bd?"),
        (None, False, 9, "/dev/ttyACM0 carries bytes but no messages: check the baud rate (115200 now)"),
        ("mcu-7", True, 3, "the child on /dev/ttyACM0 is enrolled already as mcu-7: wipe it first"),
        ("mcu-1", True, 3, "the child on /dev/ttyACM0 is enrolled already as mcu-1: wipe it first"),
        ("mcu-9", True, 3, "whoever is on the line is not served: mcu-9 is alive on /dev/ttyACM1"),
        ("", False, 3, "the child on /dev/ttyACM0 does not take the claim token: reset it and try again"),
        ("mcu-1", False, 3, "the child on /dev/ttyACM0 sent no request: reset it and try again with the same token"),
    ],
)
def test_an_enrolment_that_stops_says_where(device: str | None, enrolled: bool, errors: int, says: str) -> None:
    operator, claiming, line = begun()
    if device is not None:
        hello(line, device, enrolled=enrolled)
    claiming.look(line, errors, 0.0)
    claiming.look(line, errors, 0.0)
    while not claiming.over:
        due = claiming.next_at()
        assert due is not None
        claiming.look(line, errors, due)
    assert operator.heard[-1] == f"error: {says}"


def test_a_refusal_of_the_server_is_repeated_and_an_unreadable_answer_left_to_the_child() -> None:
    operator, claiming, line = begun()
    hello(line, "")
    claiming.look(line, 3, 0.0)
    claiming.taken(0.0)
    claiming.handed(0.0)
    claiming.replied(b"\xff", 0.0)
    assert not claiming.over
    claiming.replied(EnrolReply(status="refused", reason="the token was used: make another").to_bytes(), 0.0)
    assert operator.heard[-1] == "error: the server refused: the token was used: make another"


def test_an_accepted_child_that_does_not_say_so_is_told() -> None:
    operator, claiming, line = begun()
    hello(line, "")
    claiming.look(line, 3, 0.0)
    claiming.handed(0.0)
    claiming.replied(EnrolReply(status="issued", root=b"root").to_bytes(), 0.0)
    claiming.look(line, 3, stages.FINISH_S)
    assert "was accepted but does not say that it is enrolled" in operator.heard[-1]


def test_an_agent_without_lines_loads_nothing_of_the_gateway() -> None:
    code = "import sys, fleet_agent.cli, fleet_agent.supervisor.agent\n"
    code += "print([name for name in sys.modules if name.startswith(('serial', 'fleet_agent.gateway'))])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_topic_of_a_child_has_a_kind_on_the_link() -> None:
    from dunlin_contract import topics

    assert {kind.name.lower() for kind in link.UpKind} == set(topics.CHILD_UP) - {"status"}
    assert {kind.name.lower() for kind in OfferKind} == set(topics.CHILD_DOWN) | {"claim"}
