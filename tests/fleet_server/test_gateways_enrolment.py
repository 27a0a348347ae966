"""Enrolment through a gateway: a device is pinned to the one that it came through, and everyone else is refused."""

from dataclasses import replace

import pytest
from sqlmodel import func, select

from dunlin_contract import cose, envelopes, keys
from dunlin_contract.cose import Role
from dunlin_contract.enrolment import EnrolReply
from dunlin_contract.limits import MCU_LIMITS
from dunlin_contract.topics import Address
from fleet_server.db.models import DeviceRow
from fleet_server.errors import ConflictError, DeniedError
from fleet_server.services import alarms, devices, enrolment, roots
from tests.fleet_server.children import MICRO, Child, hear, site, trail
from tests.fleet_server.test_directives import broker_takes_all, owed
from tests.fleet_server.world import ACTOR, Device, World, refusal


def in_database(world: World, name: str) -> DeviceRow | None:
    with world.ctx.db.read() as session:
        return session.get(DeviceRow, name)


def install_large_root(world: World) -> int:
    """Install a root that no microcontroller takes. Returns its version."""
    envelope = world.sign_root(
        2, ops=[keys.generate() for _ in range(16)], release=[keys.generate() for _ in range(16)]
    )
    assert len(envelope) > MCU_LIMITS.root_bytes
    with world.ctx.db.write() as session:
        return roots.install(session, world.ctx, envelope, ACTOR, world.clock.now).version


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


def test_what_a_microcontroller_says_it_is_can_be_read(sqlite_world: World) -> None:
    (child,) = site(sqlite_world, "mcu-1")
    assert devices.description_of(child.row()) == MICRO
