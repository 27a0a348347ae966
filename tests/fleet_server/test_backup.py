"""A backup holds everything; a restore checks everything; the fleet follows the restored server."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import cbor2
import pytest
from sqlmodel import SQLModel, select

from dunlin_contract.topics import Address
from fleet_server import setup
from fleet_server.config import Config
from fleet_server.context import Context
from fleet_server.db.engine import Database
from fleet_server.db.models import AuditRow, DeviceRow, OutboxRow, SessionRow
from fleet_server.errors import ConfigError
from fleet_server.services import backup, devices, events, reports, users
from fleet_server.ticker import upkeep
from tests.fleet_server.conftest import Postgres
from tests.fleet_server.test_directives import desire
from tests.fleet_server.world import ACTOR, Device, World


@pytest.fixture
def device(world: World) -> Device:
    """A world with something in most tables."""
    made = world.device()
    row, _ = world.push(world.build())
    desire(world, "cam-1", row.digest)
    with world.ctx.db.write() as session:
        users.add_user(session, "ann", "correct horse", "admin", ACTOR, world.clock.now)
        device = devices.get(session, "cam-1", lock=True)
        reports.reported(session, world.ctx, device, made.report(2), world.clock.now)
        events.receive(session, world.ctx, device, made.event(1), world.clock.now)
    users.sign_in(world.ctx, "ann", "correct horse", "192.0.2.1")
    return made


def open_restored(config: Config, world: World) -> Context:
    opened = setup.open_context(config.dir)
    return Context(opened.config, opened.db, opened.keys, world.clock)


def dump(database: Database) -> dict[str, list[tuple[object, ...]]]:
    with database.engine.connect() as connection:
        return {
            table.name: sorted((tuple(row) for row in connection.execute(table.select())), key=repr)
            for table in SQLModel.metadata.sorted_tables
        }


def test_everything_comes_back(world: World, device: Device, database: Callable[[], str], tmp_path: Path) -> None:
    target = tmp_path / "backup.tar"
    assert backup.backup(world.ctx, target) == target.stat().st_size
    assert target.stat().st_mode & 0o777 == 0o600
    ctx = open_restored(backup.restore(target, tmp_path / "again", database()), world)
    before, after = dump(world.ctx.db), dump(ctx.db)
    for name in ("session", "login_throttle"):
        assert after.pop(name) == []
        before.pop(name)
    for name in ("device", "meta"):  # changed on purpose: see below
        assert len(before.pop(name)) == len(after.pop(name))
    assert before == after
    for folder in ("keys", "bundles"):
        old, new = world.ctx.config.dir / folder, ctx.config.dir / folder
        assert {path.name: path.read_bytes() for path in old.iterdir()} == {
            path.name: path.read_bytes() for path in new.iterdir()
        }
    for path in [ctx.config.dir, *ctx.config.keys_dir.glob("*.pem")]:
        assert path.stat().st_mode & 0o077 == 0
    with ctx.db.write() as session:  # PostgreSQL must count on from the restored ids
        session.add(AuditRow(at=0.0, actor="cli", action="test"))
    ctx.db.close()


def test_a_backup_moves_from_sqlite_to_postgres(sqlite_world: World, postgres: Postgres, tmp_path: Path) -> None:
    sqlite_world.device()
    backup.backup(sqlite_world.ctx, tmp_path / "b.tar")
    ctx = open_restored(backup.restore(tmp_path / "b.tar", tmp_path / "again", postgres.create()), sqlite_world)
    with ctx.db.read() as session:
        assert session.get(DeviceRow, "cam-1") is not None
        assert session.exec(select(SessionRow)).first() is None
    ctx.db.close()


def test_the_fleet_follows_yesterdays_backup(sqlite_world: World, tmp_path: Path) -> None:
    world = sqlite_world
    device = world.device()
    row, _ = world.push(world.build())
    backup.backup(world.ctx, tmp_path / "b.tar")
    for floor in range(7):
        desire(world, "cam-1", row.digest, floor=floor)
    followed = device.row().seq
    ctx = open_restored(backup.restore(tmp_path / "b.tar", tmp_path / "again"), world)
    with ctx.db.write() as session:
        upkeep(session, ctx, world.clock.now)
    with ctx.db.read() as session:
        restored = session.get(DeviceRow, "cam-1")
        assert restored is not None
        assert restored.seq > followed
        owed = session.exec(select(OutboxRow).where(OutboxRow.topic == Address("cam-1").down("desired"))).one()
        assert owed.body == restored.directive
    ctx.db.close()


def tamper(source: Path, target: Path, change: Callable[[str, bytes], tuple[str, bytes] | None]) -> None:
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        for member in old:
            file = old.extractfile(member)
            assert file is not None
            changed = change(member.name, file.read())
            if changed is not None:
                info = tarfile.TarInfo(changed[0])
                info.size = len(changed[1])
                new.addfile(info, io.BytesIO(changed[1]))


FAULTS: dict[str, Callable[[str, bytes], tuple[str, bytes] | None]] = {
    "a flipped byte": lambda name, data: (name, bytes([data[0] ^ 1]) + data[1:] if name == "keys/vault.pem" else data),
    "a missing file": lambda name, data: None if name == "keys/ca.pem" else (name, data),
    "no checksums": lambda name, data: None if name == "checksums.cbor" else (name, data),
    "a name outside": lambda name, data: ("../evil.pem" if name == "keys/ca.pem" else name, data),
    "another version": lambda name, data: (
        (name, cbor2.dumps({"format": 9, "revision": "9"})) if name == "backup.cbor" else (name, data)
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_damaged_backup_is_refused_and_leaves_nothing(sqlite_world: World, tmp_path: Path, fault: str) -> None:
    backup.backup(sqlite_world.ctx, tmp_path / "b.tar")
    tamper(tmp_path / "b.tar", tmp_path / "bad.tar", FAULTS[fault])
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(ConfigError):
        backup.restore(tmp_path / "bad.tar", tmp_path / "again")
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_truncated_backup_is_refused(sqlite_world: World, tmp_path: Path) -> None:
    backup.backup(sqlite_world.ctx, tmp_path / "b.tar")
    data = (tmp_path / "b.tar").read_bytes()
    for share in (0, 100, len(data) // 2, len(data) - 12_000):
        (tmp_path / "cut.tar").write_bytes(data[:share])
        with pytest.raises(ConfigError):
            backup.restore(tmp_path / "cut.tar", tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_nothing_is_overwritten(world: World, database: Callable[[], str], tmp_path: Path) -> None:
    backup.backup(world.ctx, tmp_path / "b.tar")
    with pytest.raises(ConfigError, match="exists already"):
        backup.backup(world.ctx, tmp_path / "b.tar")
    with pytest.raises(ConfigError, match="is not empty"):
        backup.restore(tmp_path / "b.tar", world.ctx.config.dir)
    if not world.ctx.db.is_sqlite:
        with pytest.raises(ConfigError, match="database is not empty"):
            backup.restore(tmp_path / "b.tar", tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_a_backup_that_cannot_be_written_leaves_nothing(sqlite_world: World, tmp_path: Path) -> None:
    (sqlite_world.ctx.config.dir / "server-keys.cbor").unlink()
    with pytest.raises(ConfigError):
        backup.backup(sqlite_world.ctx, tmp_path / "b.tar")
    assert not [path for path in tmp_path.iterdir() if "b.tar" in path.name]


def test_what_a_crash_left_among_the_keys_does_not_spoil_the_backup(sqlite_world: World, tmp_path: Path) -> None:
    (sqlite_world.ctx.config.keys_dir / ".client.pem.0badf00d").write_bytes(b"half a key")
    backup.backup(sqlite_world.ctx, tmp_path / "backup")
    restored = backup.restore(tmp_path / "backup", tmp_path / "restored")
    assert (restored.keys_dir / "client.pem").exists()
