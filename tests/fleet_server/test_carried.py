"""Devices behind a gateway against a real Mosquitto: the whole way from a line to the database and back."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from dunlin_contract import envelopes, merkle, topics
from dunlin_contract.enrolment import EnrolReply
from dunlin_contract.topics import Address
from fleet_server.ingest import messages
from fleet_server.services import alarms, enrolment, gateways
from fleet_server.ticker import Ticker, upkeep
from tests.fleet_server.children import Child
from tests.fleet_server.test_directives import desire
from tests.fleet_server.test_ingest import WAIT_S, Site, retained, wait_until
from tests.fleet_server.world import ACTOR, World
from tests.support.mqtt import Client

NOT_AUTHORISED = 135


@dataclass
class Gateway:
    """A gateway's connection. What goes down on one topic may overtake what goes down on another."""

    client: Client
    _heard: list[tuple[str, bytes]] = field(default_factory=list)

    def next_on(self, topic: str) -> bytes:
        """The oldest message on `topic` that was not asked for yet."""
        while True:
            for place, (name, payload) in enumerate(self._heard):
                if name == topic:
                    del self._heard[place]
                    return payload
            name, payload, _ = self.client.inbox.get(timeout=WAIT_S)
            self._heard.append((name, payload))


@pytest.fixture
def site(sqlite_world: World) -> Iterator[Site]:
    """A server at its broker."""
    made = Site(sqlite_world)
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture
def gateway(site: Site) -> Gateway:
    """Gateway gw-1, connected and listening for all behind it; its last will is set as an agent sets it."""
    return carrier(site, "gw-1")


def carrier(site: Site, name: str) -> Gateway:
    client = site.connect(site.world.device(name), will=True)
    client.publish(Address(name).up("status"), topics.ONLINE, retain=True)
    client.subscribe(topics.child_filter(name))
    return Gateway(client)


def let_in(site: Site, gateway: Gateway, child: Child) -> EnrolReply:
    """Enrol over the broker."""
    gateway.client.publish(child.address.up("enrol"), child.request(site.world.token()))
    reply = EnrolReply.from_bytes(gateway.next_on(child.address.down("enrol")))
    assert reply.status == "issued", reply.reason
    return reply


def test_a_microcontroller_enrols_updates_and_is_acknowledged_through_its_gateway(site: Site, gateway: Gateway) -> None:
    child = Child(site.world, "mcu-1")
    reply = let_in(site, gateway, child)
    assert reply.root is not None
    first, _ = envelopes.open_directive(gateway.next_on(child.address.down("desired")), site.world.root)
    assert (first.device, dict(first.desired)) == ("mcu-1", {})
    gateway.client.publish(child.address.up("status"), topics.ONLINE, retain=True)
    gateway.client.publish(child.address.up("reported"), child.signed_report(first.seq))
    wait_until(lambda: site.row("mcu-1").reported_seq == first.seq and site.row("mcu-1").online, "it is heard")
    row, _ = site.world.push(built := site.world.build(runtime="tflm"))
    desire(site.world, "mcu-1", row.digest)
    while True:
        told, _ = envelopes.open_directive(gateway.next_on(child.address.down("desired")), site.world.root)
        if told.desired:
            break
    assert told.desired["digits"].release == built.digest
    for chunk in built.chunks:
        topic = topics.obj(merkle.leaf(chunk))
        gateway.client.subscribe(topic)
        assert gateway.next_on(topic) == chunk
    gateway.client.publish(child.address.up("events"), child.signed_event(1, "boot"))
    ack = envelopes.open_ack(gateway.next_on(child.address.down("ack")), site.world.root)
    assert (ack.device, ack.stream, ack.n) == ("mcu-1", child.stream, 1)
    assert child.alarms() == {}


def test_a_waiting_microcontroller_asks_again_until_a_person_has_decided(site: Site, gateway: Gateway) -> None:
    child = Child(site.world, "mcu-1")
    request = child.request(site.world.token(auto_approve=False))
    up, down = child.address.up("enrol"), child.address.down("enrol")
    gateway.client.publish(up, request)
    assert EnrolReply.from_bytes(gateway.next_on(down)) == EnrolReply(status="pending", poll_s=enrolment.POLL_S)
    with site.ctx.db.write() as session:
        enrolment.approve(session, site.ctx, "mcu-1", ACTOR, site.world.clock.now)
    gateway.client.publish(up, request)
    assert EnrolReply.from_bytes(gateway.next_on(down)).status == "issued"
    other = Child(site.world, "mcu-1")
    gateway.client.publish(up, other.request(site.world.token()))
    refused = EnrolReply.from_bytes(gateway.next_on(down))
    assert (refused.status, "there is a device mcu-1 already" in refused.reason) == ("refused", True)


def test_requests_that_wait_for_the_server_are_all_answered(site: Site, gateway: Gateway) -> None:
    """Among them one that nobody can read, and one that comes many times."""
    site.bridge.stop()
    site.started = False
    child, token = Child(site.world, "mcu-1"), site.world.token()
    request = child.request(token)
    gateway.client.publish(Address("mcu-0", "gw-1").up("enrol"), b"\xff")
    for _ in range(20):
        gateway.client.publish(child.address.up("enrol"), request)
    site.restart()
    assert EnrolReply.from_bytes(gateway.next_on(Address("mcu-0", "gw-1").down("enrol"))).status == "refused"
    assert EnrolReply.from_bytes(gateway.next_on(child.address.down("enrol"))).status == "issued"


def test_row_41_what_the_broker_delivers_twice_is_neither_stored_twice_nor_an_alarm(
    site: Site, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = Child(site.world, "mcu-1")
    let_in(site, gateway, child)
    monkeypatch.setattr(site.bridge._client, "ack", lambda *_: None)  # a server that dies before it can acknowledge
    for _ in range(2):
        gateway.client.publish(child.address.up("reported"), child.signed_report())
    gateway.client.publish(child.address.up("events"), child.signed_event(1))
    wait_until(lambda: site.row("mcu-1").report_number == 2 and site.events() == [1], "all is stored")
    repeated: list[str] = []
    parse = messages.parse

    def noted(topic: str, payload: bytes, retained: bool, again: bool) -> messages.Message:
        if again:
            repeated.append(topic)
        return parse(topic, payload, retained, again)

    monkeypatch.setattr(messages, "parse", noted)
    site.restart()
    wait_until(lambda: repeated.count(child.address.up("reported")) == 2, "both reports come again")
    gateway.client.publish(child.address.up("events"), child.signed_event(2))
    wait_until(lambda: site.events() == [1, 2], "the next event is stored once, after them")
    assert child.alarms() == {}
    gateway.client.publish(child.address.up("reported"), child.signed_report(number=1))
    wait_until(lambda: alarms.OLD_REPORT in child.alarms(), "what the gateway sends again is one")


def test_a_gateway_that_vanishes_takes_those_behind_it_along(site: Site, gateway: Gateway) -> None:
    children = [Child(site.world, f"mcu-{number}") for number in (1, 2)]
    for child in children:
        let_in(site, gateway, child)
        gateway.client.publish(child.address.up("status"), topics.ONLINE, retain=True)
    wait_until(lambda: all(site.row(child.name).online for child in children), "they are online")
    gateway.client.vanish()
    wait_until(lambda: not any(site.row(child.name).online for child in children), "they are offline")
    assert not site.row("gw-1").online


def test_row_35_a_gateway_cannot_speak_for_another_gateways_device(site: Site, gateway: Gateway) -> None:
    child = Child(site.world, "mcu-1")
    let_in(site, gateway, child)
    thief = carrier(site, "gw-2")
    stolen = child.signed_report()
    for kind, payload in [("status", topics.ONLINE), ("reported", stolen), ("enrol", b"x")]:
        assert thief.client.publish(child.address.up(kind), payload).value == NOT_AUTHORISED
    # On its own prefix the broker lets it, and the server knows better.
    thief.client.publish(Address("mcu-1", "gw-2").up("reported"), stolen)
    wait_until(lambda: alarms.WRONG_GATEWAY in child.alarms(), "the alarm is raised")
    assert site.row("mcu-1").reported_at is None
    gateway.client.publish(child.address.up("reported"), stolen)
    wait_until(lambda: site.row("mcu-1").reported_at is not None, "the device is heard where it is")


def test_a_broker_that_lost_its_memory_is_told_for_those_behind_gateways_too(site: Site) -> None:
    carrying, child = site.world.device("gw-1"), Child(site.world, "mcu-1")
    child.enrol(site.world.token())
    row, _ = site.world.push(built := site.world.build(runtime="tflm"))
    seq = desire(site.world, "mcu-1", row.digest)
    wait_until(site.outbox_empty, "the broker has everything")
    site.broker.stop()
    (site.broker.settings.directory / "mosquitto.db").unlink(missing_ok=True)
    site.broker.start()
    ticker = Ticker(site.ctx, [upkeep])
    ticker.start()
    wait_until(lambda: site.row("mcu-1").seq > seq, "the directive is issued anew")
    wait_until(site.outbox_empty, "the broker has everything again")
    ticker.stop()
    again = site.connect(carrying)
    assert retained(again, child.address.down("desired")) == site.row("mcu-1").directive
    assert retained(again, topics.obj(merkle.leaf(built.chunks[0]))) == built.chunks[0]


def test_a_moved_device_is_told_where_it_is_now(site: Site, gateway: Gateway) -> None:
    child = Child(site.world, "mcu-1")
    let_in(site, gateway, child)
    gateway.client.publish(child.address.up("status"), topics.ONLINE, retain=True)
    wait_until(lambda: site.row("mcu-1").online, "it is online")
    other = carrier(site, "gw-2")
    old = child.address
    with site.ctx.db.write() as session:
        gateways.move(session, site.ctx, "mcu-1", "gw-2", ACTOR, site.world.clock.now)
    child.gateway = "gw-2"
    directive, _ = envelopes.open_directive(other.next_on(child.address.down("desired")), site.world.root)
    assert directive.device == "mcu-1"
    wait_until(site.outbox_empty, "the broker has everything")
    # The gateway it left hears that too.
    while gateway.next_on(old.down("desired")):
        pass
    assert retained(gateway.client, old.down("desired")) is None
    other.client.publish(child.address.up("status"), topics.ONLINE, retain=True)
    wait_until(lambda: site.row("mcu-1").online, "it is online again")
    gateway.client.publish(old.up("status"), topics.OFFLINE, retain=True)
    gateway.client.publish(old.up("reported"), child.signed_report())
    wait_until(lambda: alarms.WRONG_GATEWAY in child.alarms(), "the old gateway is not believed")
    assert site.row("mcu-1").online
