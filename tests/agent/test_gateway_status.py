"""What a gateway says of its children by itself: who is online, and no more often than anybody needs to know."""

from collections.abc import Callable
from typing import Any, cast

from dunlin_contract import topics
from dunlin_contract.link import Hello
from dunlin_contract.topics import Address
from fleet_agent.gateway import port
from fleet_agent.gateway.gateway import STATUS_PAUSE_S, Gateway
from fleet_agent.supervisor.link import Link
from fleet_agent.supervisor.loop import Loop, Timer


class Hours:
    """A loop whose timers are fired by the test."""

    def __init__(self) -> None:
        self.timers: list[tuple[float, Timer]] = []

    def post(self, call: Callable[[], object]) -> None:
        call()

    def after(self, seconds: float, call: Callable[[], object]) -> Timer:
        self.timers.append((seconds, Timer(call)))
        return self.timers[-1][1]

    def pass_by(self, seconds: float) -> None:
        """Fire what was set for exactly so long."""
        due = [timer for wait, timer in self.timers if wait == seconds]
        self.timers = [(wait, timer) for wait, timer in self.timers if wait != seconds]
        for timer in due:
            timer.fire()


class Sent:
    """A connection that keeps what is published."""

    def __init__(self) -> None:
        self.statuses: list[tuple[str, bytes]] = []

    def subscribe(self, names: object) -> None:
        """Nothing comes of it here."""

    unsubscribe = subscribe

    def send(self, topic: str, payload: bytes, *_: object, **__: object) -> None:
        address, kind = topics.parse_up(topic)
        if kind == "status":
            self.statuses.append((address.device, payload))


def gateway(hours: Hours, sent: Sent, *children: str) -> tuple[Gateway, Callable[[str], None]]:
    """A connected gateway with one line; the second result says HELLO there."""
    one = Gateway(cast(Loop, hours), cast(Link, sent), "gw-1", [port.Where("/dev/none")], 20.0, lambda _: None)
    one.online()
    for name in children:
        one.message(Address(name, "gw-1").down("desired"), b"directive")
    (wire,) = cast(Any, one)._wires
    return one, lambda name: wire._heard([Hello(True, bytes(16), name).to_body()])


def test_a_board_that_says_it_is_one_child_after_another_costs_the_broker_little() -> None:
    hours, sent = Hours(), Sent()
    _, hello = gateway(hours, sent, "mcu-1", "mcu-2")
    for _ in range(100):
        hello("mcu-1")
        hello("mcu-2")
    assert sent.statuses == [("mcu-1", topics.ONLINE)]
    hours.pass_by(STATUS_PAUSE_S)
    assert sent.statuses[1:] == [("mcu-1", topics.OFFLINE), ("mcu-2", topics.ONLINE)]
    hours.pass_by(STATUS_PAUSE_S)
    assert len(sent.statuses) == 3
    # With nothing new to say it is quiet, and says the next thing at once.
    hours.pass_by(STATUS_PAUSE_S)
    hello("mcu-1")
    assert sent.statuses[3:] == [("mcu-1", topics.ONLINE), ("mcu-2", topics.OFFLINE)]


def test_a_new_connection_is_told_anew() -> None:
    hours, sent = Hours(), Sent()
    one, hello = gateway(hours, sent, "mcu-1")
    hello("mcu-1")
    one.offline()
    one.online()
    one.message(Address("mcu-1", "gw-1").down("desired"), b"directive")
    hours.pass_by(STATUS_PAUSE_S)
    assert sent.statuses == [("mcu-1", topics.ONLINE)] * 2
