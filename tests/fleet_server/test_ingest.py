"""The bridge against a real Mosquitto: stored before it is acknowledged, owed until the broker has it."""

import contextlib
import queue
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlmodel import select

from dunlin_contract import envelopes, keys, merkle, topics
from dunlin_contract.telemetry import ModelTelemetry, Telemetry
from dunlin_contract.topics import Address
from fleet_server.broker import Broker, BrokerSettings
from fleet_server.context import Context
from fleet_server.db.models import BROKER_MARK, DeviceRow, EventRow, MetaRow, ModelTelemetryRow, ObjectRow, OutboxRow
from fleet_server.ingest import publisher
from fleet_server.ingest.bridge import Bridge
from fleet_server.services import directives
from fleet_server.ticker import Ticker, upkeep
from tests.fleet_server.test_directives import desire
from tests.fleet_server.world import Device, World, committed
from tests.support.certificates import Identity
from tests.support.mqtt import Client

WAIT_S = 30.0


def wait_until(holds: Callable[[], object], what: str) -> None:
    """Wait for `holds()`; the deadline only ends a test that has failed."""
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.02)


class Site:
    """A broker, a bridge and devices that are connected to the broker."""

    def __init__(self, world: World) -> None:
        paths = world.ctx.keys.paths
        self.broker = Broker(
            BrokerSettings(
                directory=world.directory / "broker",
                ca_file=paths.ca_certificate,
                certificate_file=paths.certificate("broker"),
                key_file=paths.key("broker"),
            )
        )
        self.broker.start()
        self.world = world
        self.ctx = Context(
            replace(world.ctx.config, broker_port=self.broker.port), world.ctx.db, world.ctx.keys, world.clock
        )
        self.bridge = Bridge(self.ctx)
        self.clients: list[Client] = []
        self.started = False

    def start(self) -> None:
        self.bridge.start()
        self.started = True
        wait_until(lambda: self.ctx.link.connected, "the bridge is connected")

    def restart(self) -> None:
        """A server that was stopped and comes back."""
        if self.started:
            self.bridge.stop()
        self.bridge = Bridge(self.ctx)
        self.start()

    def stop(self) -> None:
        for client in self.clients:
            client.close()
        if self.started:
            self.bridge.stop()
        self.broker.stop()

    def connect(self, device: Device, *, will: bool = False) -> Client:
        """The device at the broker, with the certificate it was issued; `will`: it is offline when it vanishes."""
        assert device.reply is not None
        directory = self.world.directory
        identity = Identity(directory / f"{device.name}.crt", directory / f"{device.name}.pem")
        chain = [x509.load_der_x509_certificate(one).public_bytes(Encoding.PEM) for one in device.reply.chain]
        identity.certificate.write_bytes(b"".join(chain))
        identity.key.write_bytes(keys.dump_pem(device.identity, None))
        client = Client(self.broker.port, self.ctx.keys.paths.ca_certificate, identity, device.name)
        self.clients.append(client)
        if will:
            client.will(Address(device.name).up("status"), topics.OFFLINE, retain=True)
        assert not client.connect().is_failure
        return client

    def row(self, name: str = "cam-1") -> DeviceRow:
        with self.ctx.db.read() as session:
            row = session.get(DeviceRow, name)
        assert row is not None
        return row

    def outbox_empty(self) -> bool:
        with self.ctx.db.read() as session:
            return session.exec(select(OutboxRow)).first() is None

    def events(self) -> list[int]:
        with self.ctx.db.read() as session:
            return sorted(session.exec(select(EventRow.n)))


@pytest.fixture
def site(sqlite_world: World) -> Iterator[Site]:
    made = Site(sqlite_world)
    try:
        yield made
    finally:
        made.stop()


def next_on(client: Client, topic: str) -> bytes:
    while True:
        name, payload, _ = client.inbox.get(timeout=WAIT_S)
        if name == topic:
            return payload


def retained(client: Client, topic: str) -> bytes | None:
    """What the broker holds on `topic` now."""
    client.subscribe(topic)
    with contextlib.suppress(queue.Empty):
        while True:
            name, payload, _ = client.inbox.get(timeout=0.5)
            if name == topic:
                return payload
    return None


def test_what_a_device_says_is_stored_and_its_directive_arrives(site: Site) -> None:
    device = site.world.device()
    row, _ = site.world.push(built := site.world.build())
    desire(site.world, "cam-1", row.digest)
    site.start()
    client = site.connect(device)
    client.publish(Address("cam-1").up("status"), topics.ONLINE, retain=True)
    client.subscribe(Address("cam-1").down("desired"))
    directive, _ = envelopes.open_directive(next_on(client, Address("cam-1").down("desired")), site.world.root)
    assert directive.desired["digits"].release == built.digest
    for chunk in built.chunks:
        name = merkle.leaf(chunk)
        client.subscribe(topics.obj(name))
        assert next_on(client, topics.obj(name)) == chunk
    report = device.report(directive.seq, models={"digits": committed(built.digest)})
    client.publish(Address("cam-1").up("reported"), report.to_bytes())
    wait_until(lambda: site.row().reported_seq == directive.seq, "the report is stored")
    assert site.row().online
    numbers = ModelTelemetry(release=built.digest, count=9, errors=1, latency_us={40: 9})
    telemetry = Telemetry(models={"digits": numbers}, memory_bytes=1 << 20, load_permille=5)
    client.publish(Address("cam-1").up("telemetry"), telemetry.to_bytes())

    def stored() -> bool:
        with site.ctx.db.read() as session:
            one = session.get(ModelTelemetryRow, ("cam-1", "digits", built.digest.hex()))
        return one is not None and one.latency_us == {"40": 9}

    wait_until(stored, "the telemetry is stored")
    wait_until(site.outbox_empty, "the broker has everything")
    with site.ctx.db.read() as session:
        assert all(one.published_at is not None for one in session.exec(select(ObjectRow)))


def test_an_ack_follows_the_commit(site: Site) -> None:
    device = site.world.device()
    site.start()
    client = site.connect(device)
    client.subscribe(Address("cam-1").down("ack"))
    for n in (1, 2, 3):
        client.publish(Address("cam-1").up("events"), device.event(n).to_bytes())
    last = 0
    while last < 3:
        ack = envelopes.open_ack(next_on(client, Address("cam-1").down("ack")), site.world.root)
        last = ack.n
        assert set(range(1, last + 1)) <= set(site.events())


def test_hostile_messages_do_not_stop_the_others(site: Site) -> None:
    device, other = site.world.device("cam-1"), site.world.device("cam-2")
    site.start()
    client = site.connect(device)
    for kind, payload in [
        ("reported", b""),
        ("reported", b"\xff" * 100),
        ("reported", bytes(100_000)),
        ("status", b"maybe"),
        ("events", b"\xa0"),
        ("telemetry", b"{}"),
        ("results", b"x"),
    ]:
        client.publish(Address("cam-1").up(kind), payload)
    # What one device says on another's topics never reaches the server: the broker denies it.
    assert client.publish(Address("cam-2").up("status"), topics.ONLINE, retain=True).is_failure
    client.publish(Address("cam-1").up("events"), device.event(1).to_bytes())
    wait_until(lambda: site.events() == [1], "the good event is stored")
    assert not site.row("cam-2").online
    assert other.row().reported_at is None


def test_a_message_that_cannot_be_stored_is_dropped_alone(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from fleet_server.services import reports

    device = site.world.device()

    def fails(*_: object) -> None:
        raise RuntimeError("a fault in storing this kind")

    monkeypatch.setattr(reports, "telemetry", fails)
    client = site.connect(device)
    empty = Telemetry(models={}, memory_bytes=1, load_permille=1).to_bytes()
    # Waiting in the server's session, they come in one batch.
    site.start()
    site.bridge.stop()
    for n in (1, 2, 3):
        client.publish(Address("cam-1").up("events"), device.event(n).to_bytes())
        client.publish(Address("cam-1").up("telemetry"), empty)
    site.started = False
    site.restart()
    wait_until(lambda: site.events() == [1, 2, 3], "the events are stored")


def test_a_batch_that_fails_after_it_was_stored_does_not_end_listening(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fleet_server.services import streams

    device = site.world.device()
    failed: list[int] = []
    real = streams.ack_for

    def fails_once(*arguments: Any) -> bytes | None:
        if not failed:
            failed.append(1)
            raise RuntimeError("a fault in signing an ack")
        return real(*arguments)

    monkeypatch.setattr(streams, "ack_for", fails_once)
    client = site.connect(device)
    site.start()
    client.publish(Address("cam-1").up("events"), device.event(1).to_bytes())
    wait_until(lambda: failed, "the fault happened")
    client.publish(Address("cam-1").up("events"), device.event(2).to_bytes())
    wait_until(lambda: site.events() == [1, 2], "the next event is stored")


def test_what_is_said_while_the_server_is_down_waits_for_it(site: Site) -> None:
    device = site.world.device()
    site.start()
    site.bridge.stop()
    site.started = False
    client = site.connect(device)
    client.publish(Address("cam-1").up("events"), device.event(1).to_bytes())
    client.publish(Address("cam-1").up("reported"), device.report(1).to_bytes())
    site.restart()
    wait_until(lambda: site.events() == [1] and site.row().reported_seq == 1, "both are stored")


def test_a_device_that_drops_is_offline(site: Site) -> None:
    device = site.world.device()
    site.start()
    client = site.connect(device)
    client.publish(Address("cam-1").up("status"), topics.ONLINE, retain=True)
    wait_until(lambda: site.row().online, "it is online")
    client.publish(Address("cam-1").up("status"), topics.OFFLINE, retain=True)
    wait_until(lambda: not site.row().online, "it is offline")


def test_the_outbox_waits_for_a_broker_that_is_down(site: Site) -> None:
    device = site.world.device()
    row, _ = site.world.push(site.world.build())
    site.broker.stop()
    site.bridge.start()
    site.started = True
    wait_until(lambda: "no broker at" in site.ctx.link.detail, "the server says that the broker is down")
    desire(site.world, "cam-1", row.digest)
    assert not site.outbox_empty()
    site.broker.start()
    wait_until(site.outbox_empty, "the broker has everything")
    assert site.ctx.link.connected
    client = site.connect(device)
    assert retained(client, Address("cam-1").down("desired")) is not None


def test_a_broker_that_lost_its_memory_is_given_everything_again(site: Site) -> None:
    device = site.world.device()
    row, _ = site.world.push(built := site.world.build())
    desire(site.world, "cam-1", row.digest)
    site.start()
    wait_until(site.outbox_empty, "the broker has everything")

    def marked() -> bool:
        with site.ctx.db.read() as session:
            mark = session.get(MetaRow, BROKER_MARK)
        return mark is not None and bool(mark.value)

    wait_until(marked, "the broker's memory is marked")
    seq = site.row().seq
    site.broker.stop()
    (site.broker.settings.directory / "mosquitto.db").unlink()
    site.broker.start()
    ticker = Ticker(site.ctx, [upkeep])
    ticker.start()
    wait_until(lambda: site.row().seq > seq, "the directive is issued anew")
    wait_until(site.outbox_empty, "the broker has everything again")
    ticker.stop()
    client = site.connect(device)
    assert retained(client, topics.obj(merkle.leaf(built.chunks[0]))) == built.chunks[0]
    assert retained(client, Address("cam-1").down("desired")) == site.row().directive


def test_a_broker_that_kept_its_memory_is_not_bothered(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.world.device()
    row, _ = site.world.push(site.world.build())
    desire(site.world, "cam-1", row.digest)
    site.start()

    def mark() -> str:
        with site.ctx.db.read() as session:
            found = session.get(MetaRow, BROKER_MARK)
        return found.value if found is not None else ""

    wait_until(mark, "the broker's memory is marked")
    before, seq = mark(), site.row().seq
    called: list[int] = []
    monkeypatch.setattr(directives, "invalidate_all", lambda _session: called.append(1))
    site.broker.restart()
    wait_until(lambda: not site.ctx.link.connected, "the connection is lost")
    wait_until(lambda: site.ctx.link.connected, "the bridge is connected again")
    wait_until(lambda: site.bridge._publisher._mark_until is None, "the mark was looked at")
    site.restart()
    wait_until(lambda: site.bridge._publisher._mark_until is None, "the mark was looked at")
    assert called == []
    assert (mark(), site.row().seq, site.outbox_empty()) == (before, seq, True)


def test_a_replaced_message_is_not_lost_to_the_puback_of_the_old(site: Site) -> None:
    """The row of a newer message has an id of its own, whatever the database reuses."""
    site.world.device()
    with site.ctx.db.write() as session:
        seen = {session.exec(select(OutboxRow.id)).one()}
    for _ in range(5):
        desire(site.world, "cam-1", None)
        with site.ctx.db.read() as session:
            seen.add(session.exec(select(OutboxRow.id)).one())
    assert len(seen) == 6


def test_a_cleared_object_is_gone_from_the_broker(site: Site) -> None:
    device = site.world.device()
    row, _ = site.world.push(built := site.world.build())
    desire(site.world, "cam-1", row.digest)
    site.start()
    wait_until(site.outbox_empty, "the broker has everything")
    client = site.connect(device)
    assert retained(client, topics.obj(merkle.leaf(built.chunks[0]))) is not None
    desire(site.world, "cam-1", None)
    assert Ticker(site.ctx, []).once(upkeep)
    wait_until(site.outbox_empty, "the broker has everything")
    assert retained(client, topics.obj(merkle.leaf(built.chunks[1]))) is None


@pytest.fixture(autouse=True)
def _marks_come_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "MARK_EVERY_S", 0.0)
    monkeypatch.setattr(publisher, "POLL_S", 0.1)
