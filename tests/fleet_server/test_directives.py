"""What a device is told: whole, signed, numbered upwards, and made anew before it runs out."""

import hashlib

import pytest
from sqlmodel import Session, select

from dunlin_contract import hpke, merkle, topics
from dunlin_contract.directive import DirectiveMemory, decide, directive_digest
from dunlin_contract.limits import LIMITS
from dunlin_contract.settings import Settings
from dunlin_contract.topics import Address
from fleet_server.db.models import DeviceModelRow, DeviceRow, ObjectRow, OutboxRow, ReleaseRow
from fleet_server.errors import ConflictError, ServerError
from fleet_server.services import devices, directives, enrolment, objects, outbox, reports, roots, settings
from fleet_server.ticker import upkeep
from tests.fleet_server.world import ACTOR, Bundle, Device, World


def desire(world: World, device: str, release: str | None, model: str = "digits", **columns: object) -> int:
    """Set what is desired and issue the directive, as a rollout does. Returns the directive's number."""
    with world.ctx.db.write() as session:
        row = session.get(DeviceModelRow, (device, model)) or DeviceModelRow(device=device, model=model)
        row.desired = release
        for column, value in columns.items():
            setattr(row, column, value)
        session.add(row)
        session.flush()
        return directives.issue(session, world.ctx, device, world.clock.now)


def owed(session: Session) -> dict[str, OutboxRow]:
    return {row.topic: row for row in session.exec(select(OutboxRow))}


def broker_takes_all(world: World) -> None:
    """What the publisher does when every PUBACK came."""
    with world.ctx.db.write() as session:
        rows = outbox.pending(session, 0, 10_000)
        outbox.done(session, [row.id for row in rows if row.id is not None])
        objects.published(session, [row.object for row in rows if row.object], world.clock.now)


def tick(world: World) -> None:
    with world.ctx.db.write() as session:
        upkeep(session, world.ctx, world.clock.now)


def report(world: World, device: Device, **values: object) -> None:
    with world.ctx.db.write() as session:
        row = devices.get(session, device.name, lock=True)
        reports.reported(session, world.ctx, row, device.report(**values), world.clock.now)  # type: ignore[arg-type]


def chunk_topics(built: Bundle) -> set[str]:
    return {topics.obj(merkle.leaf(chunk)) for chunk in built.chunks}


def test_a_directive_names_the_release_and_grants_its_key(world: World) -> None:
    device, built = world.device(), world.build(counter=4)
    row, _ = world.push(built)
    seq = desire(world, "cam-1", row.digest, floor=3, lease_s=3600, lease_action="stop")
    directive = device.directive()
    assert directive.seq == seq == 2
    desired = directive.desired["digits"]
    assert (desired.release, desired.floor, desired.lease.seconds, desired.lease.action) == (
        built.digest,
        3,
        3600,
        "stop",
    )
    assert hpke.open_cek(desired.grant, device.kem, built.digest, "cam-1") == built.cek
    assert desired.manifest == hashlib.sha256(row.manifest).digest()
    assert desired.index == (hashlib.sha256(b"".join(merkle.leaf(chunk) for chunk in built.chunks)).digest(),)
    with world.ctx.db.read() as session:
        assert owed(session)[Address("cam-1").down("desired")].body == device.row().directive


def test_without_a_lease_of_its_own_a_model_gets_the_default(sqlite_world: World) -> None:
    device = sqlite_world.device()
    row, _ = sqlite_world.push(sqlite_world.build())
    desire(sqlite_world, "cam-1", row.digest)
    lease = device.directive().desired["digits"].lease
    assert (lease.seconds, lease.action) == (30 * 86400, "warn")


def test_the_grant_is_made_once_per_release(sqlite_world: World) -> None:
    device = sqlite_world.device()
    row, _ = sqlite_world.push(sqlite_world.build())
    desire(sqlite_world, "cam-1", row.digest)
    first = device.directive().desired["digits"].grant
    desire(sqlite_world, "cam-1", row.digest, floor=1)
    assert device.directive().desired["digits"].grant == first


def test_the_outbox_holds_one_message_a_topic_and_objects_before_directives(world: World) -> None:
    world.device()
    built = world.build()
    row, _ = world.push(built)
    for floor in range(3):
        desire(world, "cam-1", row.digest, floor=floor)
    with world.ctx.db.read() as session:
        rows = outbox.pending(session, 0, 1000)
    names = [one.topic for one in rows]
    assert len(names) == len(set(names))
    assert names[-1] == Address("cam-1").down("desired")
    assert set(names[:-1]) == chunk_topics(built) | {
        topics.obj(bytes.fromhex(sha)) for sha in (row.manifest_sha, *row.index_shas)
    }


def test_a_change_that_fails_owes_nothing(world: World) -> None:
    device = world.device()
    row, _ = world.push(world.build())
    broker_takes_all(world)

    def change_and_fail() -> None:
        with world.ctx.db.write() as session:
            session.add(DeviceModelRow(device="cam-1", model="digits", desired=row.digest))
            session.flush()
            directives.issue(session, world.ctx, "cam-1", world.clock.now)
            raise ValueError("later in the same change")

    with pytest.raises(ValueError, match="later"):
        change_and_fail()
    assert device.row().seq == 1
    with world.ctx.db.read() as session:
        assert owed(session) == {}


def test_objects_are_published_once_cleared_when_unwanted_and_published_again(world: World) -> None:
    built = world.build()
    row, _ = world.push(built)
    for name in ("cam-1", "cam-2"):
        world.device(name)
        desire(world, name, row.digest)
    broker_takes_all(world)
    world.device("cam-3")
    desire(world, "cam-3", row.digest)
    with world.ctx.db.read() as session:
        assert set(owed(session)) == {Address("cam-3").down("desired")}  # whatever the number of devices

    for name in ("cam-1", "cam-2"):
        desire(world, name, None)
    tick(world)
    with world.ctx.db.read() as session:
        assert not chunk_topics(built) & set(owed(session))  # cam-3 still wants them
    desire(world, "cam-3", None)
    tick(world)
    with world.ctx.db.read() as session:
        cleared = {topic for topic, one in owed(session).items() if one.object is None and one.body is None}
        assert chunk_topics(built) < cleared
        release = session.get(ReleaseRow, row.digest)
        assert release is not None
        assert not release.wanted
    broker_takes_all(world)
    tick(world)
    with world.ctx.db.read() as session:
        assert owed(session) == {}  # once

    desire(world, "cam-1", row.digest)
    with world.ctx.db.read() as session:
        assert chunk_topics(built) < {topic for topic, one in owed(session).items() if one.object is not None}


def test_a_shared_chunk_stays_while_one_release_is_wanted(sqlite_world: World) -> None:
    world = sqlite_world
    built = world.build()
    row, _ = world.push(built)
    other, _ = world.push(world.build(version="1.1.0"))
    shared = merkle.leaf(built.chunks[0]).hex()
    with world.ctx.db.write() as session:
        from fleet_server.db.models import ReleaseObjectRow

        session.add(ReleaseObjectRow(release=other.digest, sha=shared))
    for name, digest in (("cam-1", row.digest), ("cam-2", other.digest)):
        world.device(name)
        desire(world, name, digest)
    broker_takes_all(world)
    desire(world, "cam-1", None)
    tick(world)
    with world.ctx.db.read() as session:
        cleared = {topic for topic, one in owed(session).items() if one.object is None and one.body is None}
    assert topics.obj(bytes.fromhex(shared)) not in cleared
    assert topics.obj(merkle.leaf(built.chunks[1])) in cleared


def test_missing_objects_are_owed_again_but_only_the_devices_own(world: World) -> None:
    device = world.device()
    built, foreign = world.build(), world.build(name="other")
    row, _ = world.push(built)
    other, _ = world.push(foreign)
    desire(world, "cam-1", row.digest)
    world.device("cam-2")
    desire(world, "cam-2", other.digest, model="other")
    broker_takes_all(world)
    missing = (merkle.leaf(built.chunks[0]), merkle.leaf(foreign.chunks[0]), bytes(32))
    wanted = topics.obj(missing[0])

    report(world, device, missing=missing)
    with world.ctx.db.read() as session:
        assert wanted not in owed(session)  # it was published just now: patience
    world.clock.now += objects.REPUBLISH_S + 1
    report(world, device, missing=missing)
    with world.ctx.db.read() as session:
        assert [topic for topic in owed(session) if "/obj/" in topic] == [wanted]


def test_the_number_rises_above_what_a_restored_backup_forgot(world: World) -> None:
    device = world.device()
    report(world, device, seq=41)
    assert device.directive().seq == 42
    report(world, device, seq=42)
    assert device.row().seq == 42  # it follows: nothing to say


def test_a_device_that_booted_gets_its_nonce_echoed(world: World) -> None:
    device = world.device()
    report(world, device, seq=0)
    directive = device.directive()
    assert directive.nonce == device.boot_nonce
    # So a device in 1970, or one that slept past the expiry, can follow it.
    memory = DirectiveMemory("cam-1", 1, 0, b"", device.boot_nonce, directive.expires + 1)
    assert decide(memory, directive, directive_digest(directive.to_bytes()), 0)
    report(world, device, seq=0)
    assert device.row().seq == directive.seq  # on its way: not said twice


def test_a_directive_that_does_not_arrive_is_owed_again(sqlite_world: World) -> None:
    device = sqlite_world.device()
    report(sqlite_world, device, seq=0)
    broker_takes_all(sqlite_world)
    sqlite_world.clock.now += reports.REPEAT_S + 1
    seq = device.row().seq
    report(sqlite_world, device, seq=0)
    with sqlite_world.ctx.db.read() as session:
        assert owed(session)[Address("cam-1").down("desired")].body == device.row().directive
    assert device.row().seq == seq


def test_directives_of_online_devices_are_reissued_before_they_or_a_lease_run_out(world: World) -> None:
    online, offline = world.device("cam-1"), world.device("cam-2")
    row, _ = world.push(world.build())
    desire(world, "cam-1", row.digest, lease_s=300)
    desire(world, "cam-2", row.digest, lease_s=300)
    with world.ctx.db.write() as session:
        reports.status(session, devices.get(session, "cam-1"), True, False, world.clock.now)
    before = online.directive().seq, offline.directive().seq
    world.clock.now += 99
    tick(world)
    assert (online.directive().seq, offline.directive().seq) == before
    world.clock.now += 2
    tick(world)
    assert (online.directive().seq, offline.directive().seq) == (before[0] + 1, before[1])
    assert online.directive().expires > world.clock.now
    report(world, offline, seq=before[1])  # back again: it hears at once
    assert offline.directive().seq == before[1] + 1


def test_changed_settings_reach_every_device_as_an_object(world: World) -> None:
    device = world.device()
    assert device.directive().settings is None  # defaults need no object
    with world.ctx.db.write() as session:
        settings.change(session, {"probation_s": 7}, ACTOR, world.clock.now)
    tick(world)
    name = device.directive().settings
    assert name is not None
    with world.ctx.db.read() as session:
        body = objects.read(session, world.ctx.config, name.hex())
        assert body is not None
        assert hashlib.sha256(body).digest() == name
        assert Settings.from_bytes(body).probation_s == 7
        assert owed(session)[topics.obj(name)].object == name.hex()
    with world.ctx.db.write() as session:
        settings.change(session, {"probation_s": 300}, ACTOR, world.clock.now)
    tick(world)
    assert device.directive().settings is None
    with world.ctx.db.read() as session:
        assert owed(session)[topics.obj(name)].object is None  # the old object is cleared


def test_a_settings_typo_is_answered_with_the_right_name(sqlite_world: World) -> None:
    with sqlite_world.ctx.db.write() as session, pytest.raises(ServerError, match="did you mean window"):
        settings.change(session, {"windw": 7}, ACTOR, 0.0)


def test_a_new_root_is_offered_and_its_epoch_restarts_the_numbers(world: World) -> None:
    device = world.device()
    report(world, device, seq=1)
    report(world, device, seq=9_000)  # as after a fast-forward attack with a stolen director key
    with world.ctx.db.write() as session:
        roots.install(session, world.ctx, world.sign_root(version=2, epoch=2), ACTOR, world.clock.now)
    tick(world)
    directive = device.directive()
    assert (directive.epoch, directive.seq) == (1, 9_002)
    assert directive.root is not None
    with world.ctx.db.read() as session:
        assert objects.read(session, world.ctx.config, directive.root.hex()) is not None
        stored = session.get(ObjectRow, directive.root.hex())
        assert stored is not None
        assert stored.kind == "root"
    report(world, device, seq=0, epoch=2, root_version=2)
    directive = device.directive()
    assert (directive.epoch, directive.seq, directive.root) == (2, 1, None)


def test_numbers_that_a_stolen_key_used_up_begin_anew_in_the_next_roots_epoch(world: World) -> None:
    device = world.device()
    report(world, device, seq=LIMITS.sequence)
    with world.ctx.db.write() as session:
        roots.install(session, world.ctx, world.sign_root(version=2, epoch=2), ACTOR, world.clock.now)
    tick(world)
    directive = device.directive()
    assert (directive.epoch, directive.seq) == (2, 1)
    assert directive.root is not None


def test_a_device_outside_the_fleet_gets_no_directive(sqlite_world: World) -> None:
    world = sqlite_world
    world.device("cam-1", auto_approve=False)
    with world.ctx.db.write() as session, pytest.raises(ConflictError, match="pending"):
        directives.issue(session, world.ctx, "cam-1", world.clock.now)
    world.device("cam-2")
    row, _ = world.push(world.build())
    desire(world, "cam-2", row.digest)
    broker_takes_all(world)
    with world.ctx.db.write() as session:
        enrolment.reject(session, world.ctx, "cam-2", ACTOR, world.clock.now)
    tick(world)
    with world.ctx.db.read() as session:
        gone = owed(session)
        assert (gone[Address("cam-2").down("desired")].body, gone[Address("cam-2").down("desired")].object) == (
            None,
            None,
        )
        device = session.get(DeviceRow, "cam-2")
        assert device is not None
        assert device.directive is None
        release = session.get(ReleaseRow, row.digest)
        assert release is not None
        assert not release.wanted
