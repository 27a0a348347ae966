"""What devices behind a gateway say: heard only by their own signatures, and a gateway that lies is told to people."""

import pytest
from sqlmodel import func, select

from dunlin_contract import cose, envelopes, keys, topics
from dunlin_contract.cose import Role
from dunlin_contract.errors import ContractError
from dunlin_contract.reported import ModelState
from dunlin_contract.topics import Address
from fleet_server.db.models import EventRow
from fleet_server.errors import ConflictError
from fleet_server.ingest import messages
from fleet_server.services import alarms, devices, enrolment, streams
from tests.fleet_server.children import connect, hear, site, trail
from tests.fleet_server.world import ACTOR, World, refusal


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
