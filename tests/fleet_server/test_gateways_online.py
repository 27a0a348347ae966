"""Who is connected behind a gateway, and who is overdue."""

from sqlmodel import select

from dunlin_contract.topics import Address
from fleet_server import setup
from fleet_server.context import Context
from fleet_server.db.models import DeviceRow, OutboxRow
from fleet_server.services import alarms, backup
from fleet_server.ticker import upkeep
from tests.fleet_server.children import connect, hear, site
from tests.fleet_server.test_directives import tick
from tests.fleet_server.world import World


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
