"""What devices behind a gateway are told, on its topics: releases, wipes, and where they were moved to."""

import pytest
from sqlmodel import select

from dunlin_contract import cose, hpke, keys, topics
from dunlin_contract.cose import Role, signature
from dunlin_contract.limits import MCU_LIMITS
from dunlin_contract.topics import Address
from dunlin_contract.wipe import Erased, Receipt, order_digest
from fleet_server.db.models import AuditRow, DeviceRow
from fleet_server.errors import ConflictError, InvalidError, NotFoundError
from fleet_server.services import alarms, gateways, wipes
from tests.fleet_server.children import connect, hear, site
from tests.fleet_server.test_directives import broker_takes_all, chunk_topics, desire, owed, tick
from tests.fleet_server.world import ACTOR, World, refusal


def move(world: World, device: str, gateway: str) -> None:
    with world.ctx.db.write() as session:
        gateways.move(session, world.ctx, device, gateway, ACTOR, world.clock.now)


# --- releases ---


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
