"""Devices behind a gateway: pinned to it, heard only by their own signatures, told on its topics, moved by people."""

from dataclasses import replace

import pytest
from sqlmodel import Session, func, select

from dunlin_contract import cose, envelopes, hpke, keys, topics
from dunlin_contract.cose import Role, signature
from dunlin_contract.enrolment import EnrolReply
from dunlin_contract.errors import ContractError
from dunlin_contract.limits import MCU_LIMITS
from dunlin_contract.reported import ModelState
from dunlin_contract.topics import Address
from dunlin_contract.wipe import Erased, Receipt, order_digest
from fleet_server import setup
from fleet_server.context import Context
from fleet_server.db.models import AuditRow, DeviceRow, EventRow, OutboxRow
from fleet_server.errors import ConflictError, DeniedError, InvalidError, NotFoundError
from fleet_server.ingest import messages
from fleet_server.services import alarms, audit, backup, devices, enrolment, gateways, roots, streams, wipes
from fleet_server.ticker import upkeep
from tests.fleet_server.children import MICRO, Child, connect, hear, site
from tests.fleet_server.test_directives import broker_takes_all, chunk_topics, desire, owed, tick
from tests.fleet_server.world import ACTOR, Device, World, refusal


def in_database(world: World, name: str) -> DeviceRow | None:
    with world.ctx.db.read() as session:
        return session.get(DeviceRow, name)


def trail(session: Session, device: str) -> list[str]:
    return [row.action for row in audit.page(session, 100, target=f"device:{device}")]


def move(world: World, device: str, gateway: str) -> None:
    with world.ctx.db.write() as session:
        gateways.move(session, world.ctx, device, gateway, ACTOR, world.clock.now)


def install_large_root(world: World) -> int:
    """Install a root that no microcontroller takes. Returns its version."""
    envelope = world.sign_root(
        2, ops=[keys.generate() for _ in range(16)], release=[keys.generate() for _ in range(16)]
    )
    assert len(envelope) > MCU_LIMITS.root_bytes
    with world.ctx.db.write() as session:
        return roots.install(session, world.ctx, envelope, ACTOR, world.clock.now).version


# --- enrolment ---


def test_a_device_behind_a_gateway_is_pinned_to_it_and_given_the_root(world: World) -> None:
    world.device("gw-1")
    child, token = Child(world, "mcu-1"), world.token(tags={"site": "north"})
    reply = child.enrol(token)
    assert (reply.status, reply.chain, reply.broker_host) == ("issued", (), "")
    assert reply.root is not None
    assert envelopes.open_first_root(reply.root, token.root_digest) == world.root
    assert EnrolReply.from_bytes(reply.to_bytes()) == reply
    row = child.row()
    assert (row.gateway, row.state, row.certificate, row.tags) == ("gw-1", "active", None, {"site": "north"})
    assert child.directive().device == "mcu-1"
    with world.ctx.db.read() as session:
        assert owed(session)["dunlin/v1/gw-1/c/mcu-1/dn/desired"].body == row.directive
        assert "dunlin/v1/mcu-1/dn/desired" not in owed(session)


def test_row_41_a_repeated_request_has_one_effect_and_one_answer(world: World) -> None:
    world.device("gw-1")
    child, token = Child(world, "mcu-1"), world.token(auto_approve=False)
    replies = {child.enrol(token).to_bytes() for _ in range(100)}
    assert replies == {EnrolReply(status="pending", poll_s=enrolment.POLL_S).to_bytes()}
    with world.ctx.db.write() as session:
        enrolment.approve(session, world.ctx, "mcu-1", ACTOR, world.clock.now)
    issued = {child.enrol(token).to_bytes() for _ in range(100)}
    assert len(issued) == 1
    with world.ctx.db.read() as session:
        assert trail(session, "mcu-1").count("device.enrol") == 1
        assert session.exec(select(func.count()).select_from(DeviceRow)).one() == 2


def test_the_root_is_the_one_that_the_token_pins(world: World) -> None:
    world.device("gw-1")
    token = world.token()
    with world.ctx.db.write() as session:
        second = world.sign_root(2)
        roots.install(session, world.ctx, second, ACTOR, world.clock.now)
    child = Child(world, "mcu-1")
    reply = child.enrol(token)
    assert reply.root is not None
    assert envelopes.root_digest(reply.root) == token.root_digest
    later = Child(world, "mcu-2")
    assert later.enrol(world.token()).root == second
    assert (child.row().root_version, later.row().root_version) == (1, 2)
    assert child.directive().root is not None
    assert later.directive().root is None


@pytest.mark.parametrize(
    ("case", "why"),
    [
        ("unknown gateway", "gateway gw-9 is not in the fleet"),
        ("waiting gateway", "gateway gw-2 is not in the fleet"),
        ("gateway behind a gateway", "is itself behind gateway gw-1"),
        ("another device's topic", "enrol it under its own id"),
        ("used token", "used already"),
        ("expired token", "expired"),
        ("wrong secret", "unknown here"),
        ("taken id", "there is a device gw-1 already"),
        ("taken key", "another device has this identity key"),
        ("not signed by its key", "does not hold"),
        ("no envelope at all", "does not hold"),
    ],
)
def test_a_refusal_is_a_reply_that_says_why(sqlite_world: World, case: str, why: str) -> None:
    world = sqlite_world
    (first,) = site(world, "mcu-1")
    world.device("gw-2", auto_approve=False)
    child, token = Child(world, "mcu-7"), world.token(lives_s=60)
    via, request = child.address, child.request(token)
    match case:
        case "unknown gateway":
            via = Address("mcu-7", "gw-9")
        case "waiting gateway":
            via = Address("mcu-7", "gw-2")
        case "gateway behind a gateway":
            via = Address("mcu-7", "mcu-1")
        case "another device's topic":
            via = Address("mcu-8", "gw-1")
        case "used token":
            Child(world, "mcu-2").enrol(token)
        case "expired token":
            world.clock.now += 61
        case "wrong secret":
            request = child.request(replace(token, secret=bytes(16)))
        case "taken id":
            child.name, via = "gw-1", Address("gw-1", "gw-1")
            request = child.request(token)
        case "taken key":
            child.identity = first.identity
            request = child.request(token)
        case "not signed by its key":
            request = cose.sign1(cose.peek1(request, 16384), keys.generate(), Role.ENROL)
        case "no envelope at all":
            request = b"\xff" * 40
    before = in_database(world, "mcu-7")
    reply = enrolment.enrol_through(world.ctx, via, request)
    assert reply.status == "refused"
    assert why in reply.reason
    assert EnrolReply.from_bytes(reply.to_bytes()) == reply
    assert before is in_database(world, "mcu-7") is None


def test_row_52_a_stolen_claim_token_is_worth_nothing_after_its_use(world: World) -> None:
    world.device("gw-1")
    token = world.token(auto_approve=False)
    assert Child(world, "mcu-1").enrol(token).status == "pending"
    thief = Child(world, "mcu-1")
    assert "used already" in thief.enrol(token).reason
    assert isinstance(refusal(enrolment.enrol, world.ctx, thief.request(token)), DeniedError)


def test_a_request_counts_only_on_the_way_it_was_first_made(world: World) -> None:
    world.device("gw-1")
    world.device("gw-2")
    child, token = Child(world, "mcu-1"), world.token()
    request = child.request(token)
    child.enrol(token)
    elsewhere = enrolment.enrol_through(world.ctx, Address("mcu-1", "gw-2"), request)
    assert (elsewhere.status, "enrolled through gateway gw-1" in elsewhere.reason) == ("refused", True)
    # Who records the request cannot make a certificate of it either.
    assert isinstance(refusal(enrolment.enrol, world.ctx, request), ConflictError)
    assert isinstance(refusal(enrolment.renew, world.ctx, child.renewal()), DeniedError)
    assert child.row().certificate is None
    direct = Device(world, "cam-1")
    own = world.token()
    direct.enrol(own)
    through = enrolment.enrol_through(world.ctx, Address("cam-1", "gw-1"), direct.request(own))
    assert (through.status, "connection of its own" in through.reason) == ("refused", True)


def test_a_root_too_large_for_a_microcontroller_is_refused_before_the_token_is_spent(sqlite_world: World) -> None:
    world = sqlite_world
    world.device("gw-1")
    install_large_root(world)
    token = world.token()
    assert "sign one with fewer keys" in Child(world, "mcu-1").enrol(token).reason
    assert Device(world, "cam-1").enrol(token).status == "issued"


def test_a_token_of_before_a_too_large_root_is_refused_too(sqlite_world: World) -> None:
    world = sqlite_world
    world.device("gw-1")
    token = world.token()
    install_large_root(world)
    assert "sign one with fewer keys" in Child(world, "mcu-1").enrol(token).reason


def test_a_root_that_devices_behind_gateways_cannot_follow_is_not_installed(sqlite_world: World) -> None:
    world = sqlite_world
    (child,) = site(world, "mcu-1")
    with pytest.raises(ConflictError, match=r"behind gateways \(1 here\) take 4096: sign one with fewer keys"):
        install_large_root(world)
    with world.ctx.db.write() as session:
        enrolment.reject(session, world.ctx, child.name, ACTOR, world.clock.now)
    assert install_large_root(world) == 2


def test_a_rejected_device_comes_back_by_a_new_token_on_either_way(world: World) -> None:
    (child,) = site(world, "mcu-1")
    hear(world, child.address, "reported", child.signed_report())
    broker_takes_all(world)
    with world.ctx.db.write() as session:
        enrolment.reject(session, world.ctx, "mcu-1", ACTOR, world.clock.now)
    with world.ctx.db.read() as session:
        cleared = {topic for topic, row in owed(session).items() if row.body is None}
    assert cleared == {child.address.down("desired"), child.address.up("status")}
    assert not child.row().online
    # With the keys it has, its reports are numbered on; what it said before stays old.
    old = child.signed_report()
    child.enrol(world.token())
    assert child.row().report_number == 1
    child.identity = keys.generate()
    with world.ctx.db.write() as session:
        enrolment.reject(session, world.ctx, "mcu-1", ACTOR, world.clock.now)
    child.enrol(world.token())
    assert child.row().report_number == 0
    hear(world, child.address, "reported", old)
    assert alarms.NOT_SIGNED in child.alarms()


# --- what it says ---


def test_signed_reports_and_events_are_believed(world: World) -> None:
    (child,) = site(world, "mcu-1")
    state = ModelState(phase="downloading", candidate=bytes(32), chunks_have=3, chunks_need=9)
    hear(world, child.address, "reported", child.signed_report(models={"digits": state}))
    row = child.row()
    assert (row.report_number, row.reported_seq, row.hardware_class) == (1, row.seq, "cortex-m4")
    assert row.last_seen == world.clock.now
    due = hear(world, child.address, "events", child.signed_event(1, "device-fault", code="flash"))
    assert [one.address for one in due] == [child.address]
    with world.ctx.db.read() as session:
        ack = streams.ack_for(session, world.ctx, due[0])
        (event,) = session.exec(select(EventRow))
    assert ack is not None
    assert envelopes.open_ack(ack, world.root).device == "mcu-1"
    assert (event.device, event.kind, event.code) == ("mcu-1", "device-fault", "flash")
    assert child.alarms() == {}


@pytest.mark.parametrize("kind", ["reported", "events"])
def test_row_17_gateway_compromise_tampering_is_refused_and_alarms(world: World, kind: str) -> None:
    child, other = site(world, "mcu-1", "mcu-2")
    good = child.signed_report() if kind == "reported" else child.signed_event(1)
    role = Role.REPORTED if kind == "reported" else Role.EVENT
    record = child.report(number=2) if kind == "reported" else child.event(1)
    lies = [
        good[:-1] + bytes([good[-1] ^ 1]),
        record.to_bytes(),  # no signature at all
        cose.sign1(record.to_bytes(), keys.generate(), role),
        cose.sign1(record.to_bytes(), other.identity, role),  # another device behind the same gateway
        cose.sign1(record.to_bytes(), child.identity, Role.ENROL),
        b"\x00",
    ]
    for count, lie in enumerate(lies, 1):
        assert hear(world, child.address, kind, lie) == []
        assert child.alarms()[alarms.NOT_SIGNED].count == count
    row = child.row()
    assert (row.report_number, row.last_seen, row.reported_at) == (0, None, None)
    with world.ctx.db.read() as session:
        assert session.exec(select(EventRow)).all() == []
    assert other.alarms() == {}
    hear(world, child.address, kind, good)
    assert child.row().last_seen is not None


@pytest.mark.parametrize("at", range(0, 200, 7))
def test_row_17_gateway_compromise_no_byte_of_a_report_can_be_changed(sqlite_world: World, at: int) -> None:
    (child,) = site(sqlite_world, "mcu-1")
    good = bytearray(child.signed_report())
    good[at] ^= 0x10
    hear(sqlite_world, child.address, "reported", bytes(good))
    assert child.row().reported_at is None


def test_row_17_gateway_compromise_old_reports_are_not_believed_again(world: World) -> None:
    (child,) = site(world, "mcu-1")
    world.push(built := world.build(runtime="tflm"))
    running = ModelState(phase="committed", active=built.digest, variant="tflm-int8", served=5)
    old = child.signed_report(models={"digits": running})
    new = child.signed_report(models={})
    for envelope in (old, new):
        hear(world, child.address, "reported", envelope)
    hear(world, child.address, "reported", old)
    alarm = child.alarms()[alarms.OLD_REPORT]
    assert "gateway gw-1 repeats old reports" in alarm.text
    assert child.row().report_number == 2
    with world.ctx.db.read() as session:
        assert devices.models_of(session, "mcu-1") == []
    # The broker itself delivers twice what we had not acknowledged: no alarm.
    hear(world, child.address, "reported", old, repeated=True)
    assert child.alarms()[alarms.OLD_REPORT].count == 1


def test_row_41_duplicates_of_what_a_device_signed_have_one_effect(world: World) -> None:
    (child,) = site(world, "mcu-1")
    report, event = child.signed_report(), child.signed_event(1)
    for _ in range(100):
        hear(world, child.address, "reported", report)
        assert hear(world, child.address, "events", event) != []  # acknowledged again: the ack may have been lost
    assert child.row().report_number == 1
    with world.ctx.db.read() as session:
        assert session.exec(select(func.count()).select_from(EventRow)).one() == 1
    assert child.alarms() == {}


def test_row_17_gateway_compromise_another_gateways_device_is_not_its_to_speak_for(world: World) -> None:
    (child,) = site(world, "mcu-1")
    site(world, gateway="gw-2")
    foreign = Address("mcu-1", "gw-2")
    connect(world, child.address, False)
    for kind, payload in [
        ("status", topics.ONLINE),
        ("reported", child.signed_report()),
        ("events", child.signed_event(1)),
    ]:
        hear(world, foreign, kind, payload)
    row = child.row()
    assert (row.online, row.reported_at, row.report_number) == (False, None, 0)
    alarm = child.alarms()[alarms.WRONG_GATEWAY]
    assert (alarm.count, "gateway gw-2 speaks for it" in alarm.text) == (3, True)
    with world.ctx.db.read() as session:
        assert session.exec(select(EventRow)).all() == []
    # That it is not there is nothing to alarm anybody with.
    hear(world, foreign, "status", topics.OFFLINE)
    assert child.alarms()[alarms.WRONG_GATEWAY].count == 3


def test_a_device_on_one_way_is_not_heard_on_the_other(sqlite_world: World) -> None:
    world = sqlite_world
    (child,) = site(world, "mcu-1")
    hear(world, Address("mcu-1"), "reported", child.report().to_bytes())
    assert "a connection of its own" in child.alarms()[alarms.WRONG_GATEWAY].text
    direct = world.device("cam-1")
    envelope = cose.sign1(direct.report(number=1).to_bytes(), direct.identity, Role.REPORTED)
    hear(world, Address("cam-1", "gw-1"), "reported", envelope)
    assert child.row().reported_at is None
    assert direct.row().reported_at is None
    with world.ctx.db.read() as session:
        assert [one.kind for one in alarms.of_device(session, "cam-1")] == [alarms.WRONG_GATEWAY]


def test_a_gateway_that_left_the_fleet_carries_nothing(world: World) -> None:
    (child,) = site(world, "mcu-1")
    with world.ctx.db.write() as session:
        enrolment.reject(session, world.ctx, "gw-1", ACTOR, world.clock.now)
    assert not child.row().online
    connect(world, child.address)
    hear(world, child.address, "reported", child.signed_report())
    assert (child.row().online, child.row().reported_at) == (False, None)


@pytest.mark.parametrize("kind", ["telemetry", "results", "desired"])
def test_what_nobody_behind_a_gateway_says_is_refused(kind: str) -> None:
    with pytest.raises(ContractError):
        messages.parse(Address("mcu-1", "gw-1").up(kind), b"x", False)


# --- connected ---


def test_a_device_is_online_while_its_gateway_is_and_says_so(world: World) -> None:
    child, other = site(world, "mcu-1", "mcu-2")
    assert (child.row().online, other.row().online) == (True, True)
    connect(world, other.address, False)
    assert (child.row().online, other.row().online) == (True, False)
    world.clock.now += 10
    connect(world, Address("gw-1"), False)  # as its last will says
    assert (child.row().online, child.row().status_at) == (False, world.clock.now)
    # What the gateway said before it went is worth nothing; what it says while it comes back is, in either order.
    connect(world, Address("gw-1"))
    assert not child.row().online
    connect(world, Address("gw-1"), False)
    connect(world, child.address)
    assert not child.row().online
    connect(world, Address("gw-1"))
    assert (child.row().online, other.row().online) == (True, False)
    # Who is only said to be there has not been heard.
    assert child.row().last_seen is None


def test_row_17_gateway_compromise_withholding_becomes_an_overdue_alarm(world: World) -> None:
    child, other = site(world, "mcu-1", "mcu-2")
    world.ctx.link.connected, world.ctx.link.since = True, world.clock.now
    for one in (child, other):
        hear(world, one.address, "reported", one.signed_report())
    world.clock.now += 2 * 960 - 1
    tick(world)
    assert child.alarms() == {}
    hear(world, other.address, "reported", other.signed_report())
    world.clock.now += 2
    tick(world)
    assert "although gateway gw-1 says that it is connected" in child.alarms()[alarms.OVERDUE].text
    tick(world)
    assert child.alarms()[alarms.OVERDUE].count == 1  # once, not with every tick
    assert other.alarms() == {}
    hear(world, child.address, "reported", child.signed_report())
    tick(world)
    assert child.alarms() == {}


def test_row_12_dropped_traffic_of_a_device_with_a_connection_becomes_an_overdue_alarm(sqlite_world: World) -> None:
    world = sqlite_world
    world.device("cam-1")
    connect(world, Address("cam-1"))
    world.ctx.link.connected, world.ctx.link.since = True, world.clock.now
    world.clock.now += 2 * 960 + 1
    tick(world)
    with world.ctx.db.read() as session:
        (alarm,) = alarms.of_device(session, "cam-1")
    assert (alarm.kind, alarm.text) == (alarms.OVERDUE, "it has said nothing for 32 min: look after its line")


def test_nobody_is_overdue_who_could_not_be_heard(sqlite_world: World) -> None:
    world = sqlite_world
    (child,) = site(world, "mcu-1")
    hear(world, child.address, "reported", child.signed_report())
    world.clock.now += 10_000
    tick(world)  # this server has no connection to the broker
    assert child.alarms() == {}
    world.ctx.link.connected, world.ctx.link.since = True, world.clock.now - 5
    tick(world)  # and has only just got one
    assert child.alarms() == {}
    connect(world, child.address, False)
    world.ctx.link.since -= 10_000
    tick(world)
    assert child.alarms() == {}
    connect(world, child.address)  # back after a long time: it has a report's time to speak
    tick(world)
    assert child.alarms() == {}


# --- what it is told ---


def test_a_release_is_told_on_the_gateways_topics_and_its_objects_are_published(world: World) -> None:
    (child,) = site(world, "mcu-1")
    built = world.build(runtime="tflm")
    row, _ = world.push(built)
    broker_takes_all(world)
    desire(world, "mcu-1", row.digest)
    wanted = child.directive().desired["digits"]
    assert hpke.open_cek(wanted.grant, child.kem, built.digest, "mcu-1") == built.cek
    with world.ctx.db.read() as session:
        assert set(owed(session)) >= chunk_topics(built) | {child.address.down("desired")}
    broker_takes_all(world)
    world.clock.now += 60
    lost = tuple(bytes.fromhex(topic.rpartition("/")[2]) for topic in chunk_topics(built))
    hear(world, child.address, "reported", child.signed_report(missing=lost))
    with world.ctx.db.read() as session:
        assert set(owed(session)) >= chunk_topics(built)


def test_a_directive_is_repeated_and_renewed_on_the_gateways_topics(world: World) -> None:
    (child,) = site(world, "mcu-1")
    hear(world, child.address, "reported", child.signed_report())
    broker_takes_all(world)
    world.clock.now += 31
    hear(world, child.address, "reported", child.signed_report(0))
    with world.ctx.db.read() as session:
        assert list(owed(session)) == [child.address.down("desired")]
    broker_takes_all(world)
    world.clock.now += 10 * 86400
    tick(world)
    with world.ctx.db.read() as session:
        assert child.address.down("desired") in owed(session)
        assert not [topic for topic in owed(session) if topic.startswith("dunlin/v1/mcu-1/")]


def test_nothing_goes_to_a_microcontroller_that_it_need_not_take(sqlite_world: World) -> None:
    world = sqlite_world
    (child,) = site(world, "mcu-1")
    first, _ = world.push(world.build("digits", runtime="tflm"))
    second, _ = world.push(world.build("gestures", runtime="tflm"))
    desire(world, "mcu-1", first.digest)
    error = refusal(desire, world, "mcu-1", second.digest, "gestures")
    assert "should run digits, gestures, and a microcontroller holds 1" in error.detail
    assert set(child.directive().desired) == {"digits"}
    directive = child.row().directive
    assert directive is not None
    assert len(directive) <= MCU_LIMITS.directive_bytes


# --- moving ---


def test_a_device_is_moved_to_another_gateway(world: World) -> None:
    (child,) = site(world, "mcu-1")
    site(world, gateway="gw-2")
    hear(world, child.address, "reported", child.signed_report())
    broker_takes_all(world)
    before, old = child.row().seq, child.address
    hear(world, Address("mcu-1", "gw-2"), "status", topics.ONLINE)
    assert alarms.WRONG_GATEWAY in child.alarms()
    move(world, "mcu-1", "gw-2")
    child.gateway = "gw-2"
    row = child.row()
    assert (row.gateway, row.online, row.seq) == ("gw-2", False, before + 1)
    assert child.alarms() == {}
    with world.ctx.db.read() as session:
        rows = owed(session)
        assert {topic for topic, one in rows.items() if one.body is None} == {old.down("desired"), old.up("status")}
        assert rows[child.address.down("desired")].body == row.directive
        (line,) = [one for one in session.exec(select(AuditRow)) if one.action == "device.move"]
    assert (line.actor, line.detail) == (ACTOR, {"from": "gw-1", "to": "gw-2"})
    connect(world, child.address)
    hear(world, child.address, "reported", child.signed_report())
    assert (child.row().online, child.row().report_number) == (True, 2)
    hear(world, old, "reported", child.signed_report())
    assert child.row().report_number == 2
    connect(world, Address("gw-1"), False)
    assert child.row().online


@pytest.mark.parametrize(
    ("device", "gateway", "kind", "why"),
    [
        ("mcu-1", "gw-1", ConflictError, "behind gateway gw-1 already"),
        ("mcu-1", "nobody", InvalidError, "gateway nobody is not in the fleet"),
        ("mcu-1", "gw-3", InvalidError, "gateway gw-3 is not in the fleet"),
        ("mcu-1", "mcu-2", InvalidError, "itself behind gateway gw-1"),
        ("mcu-1", "mcu-1", InvalidError, "itself behind gateway gw-1"),
        ("gw-1", "gw-2", ConflictError, "connection of its own"),
        ("nobody", "gw-1", NotFoundError, "there is no device"),
    ],
)
def test_a_device_is_not_moved_to_nowhere(
    sqlite_world: World, device: str, gateway: str, kind: type[Exception], why: str
) -> None:
    site(sqlite_world, "mcu-1", "mcu-2")
    sqlite_world.device("gw-2")
    sqlite_world.device("gw-3", auto_approve=False)
    error = refusal(move, sqlite_world, device, gateway)
    assert isinstance(error, kind)
    assert why in error.detail
    with sqlite_world.ctx.db.read() as session:
        assert session.get(DeviceRow, "mcu-1").gateway == "gw-1"  # type: ignore[union-attr]


# --- alarms ---


def test_alarms_are_dismissed_by_people_and_come_back_by_themselves(world: World) -> None:
    (child,) = site(world, "mcu-1")
    hear(world, child.address, "events", b"\x00")
    with world.ctx.db.write() as session:
        alarms.dismiss(session, "mcu-1", ACTOR, world.clock.now)
    assert child.alarms() == {}
    with world.ctx.db.read() as session:
        assert trail(session, "mcu-1")[0] == "device.dismiss"
    with world.ctx.db.write() as session:
        assert isinstance(refusal(alarms.dismiss, session, "mcu-1", ACTOR, world.clock.now), ConflictError)
    hear(world, child.address, "events", b"\x00")
    assert child.alarms()[alarms.NOT_SIGNED].count == 1


# --- wipe ---


def test_the_receipt_of_a_microcontroller_ends_its_wipe(world: World) -> None:
    (child,) = site(world, "mcu-1")
    built = world.build(runtime="tflm")
    row, _ = world.push(built)
    desire(world, "mcu-1", row.digest)
    with world.ctx.db.write() as session:
        wipe = wipes.draft(session, "mcu-1", ["digits"], "sold", ACTOR, world.clock.now)
    for key in world.ops:
        with world.ctx.db.write() as session:
            wipes.add_signature(
                session, world.ctx, wipe.id, signature(wipe.payload, key, Role.WIPE), ACTOR, world.clock.now
            )
    directive = child.directive()
    assert (directive.wipe is not None, dict(directive.desired)) == (True, {})
    assert len(directive.wipe or b"") <= MCU_LIMITS.wipe_bytes
    receipt = Receipt(
        device="mcu-1",
        order_digest=order_digest(wipe.payload),
        erased=(Erased(model="digits", releases=(built.digest,)),),
        method="flash sectors erased and read back",
        assurance="clear",
        canary_unreadable=True,
        files=0,
        bytes_erased=65_536,
        time_s=6,
        kem=keys.spki(keys.generate()),
    )
    signed = cose.sign1(receipt.to_bytes(), child.identity, Role.RECEIPT)
    hear(world, child.address, "events", child.signed_event(1, "wiped", receipt=signed))
    with world.ctx.db.read() as session:
        done = wipes.get(session, wipe.id)
    assert (done.state, done.receipt_ok) == ("done", True)
    assert done.receipt_summary is not None
    assert done.receipt_summary["erased"] == [
        {"model": "digits", "releases": [built.digest.hex()], "storage_key": None}
    ]
    assert child.row().kem_spki == receipt.kem


def test_a_restored_backup_forgets_who_was_connected(world: World) -> None:
    """Nothing of a device behind a gateway is lost: its pin, its keys and the number of its last report."""

    (child,) = site(world, "mcu-1")
    hear(world, child.address, "reported", child.signed_report())
    hear(world, child.address, "events", b"\x00")
    backup.backup(world.ctx, world.directory / "b.tar")
    seq = child.row().seq
    config = backup.restore(world.directory / "b.tar", world.directory / "again", "")
    opened = setup.open_context(config.dir)
    restored = Context(opened.config, opened.db, opened.keys, world.clock)
    with restored.db.write() as session:
        row = session.get(DeviceRow, "mcu-1")
        assert row is not None
        assert (row.gateway, row.report_number, row.online, row.said_online) == ("gw-1", 1, False, False)
        assert [one.kind for one in alarms.of_device(session, "mcu-1")] == [alarms.NOT_SIGNED]
        upkeep(session, restored, world.clock.now)
    with restored.db.read() as session:
        assert session.get(DeviceRow, "mcu-1").seq > seq + backup.SEQ_LEAP  # type: ignore[union-attr]
        topic = child.address.down("desired")
        assert session.exec(select(OutboxRow).where(OutboxRow.topic == topic)).one().body is not None
    restored.db.close()


def test_what_a_microcontroller_says_it_is_can_be_read(sqlite_world: World) -> None:
    (child,) = site(sqlite_world, "mcu-1")
    assert devices.description_of(child.row()) == MICRO
