"""A bundle is verified whole before it is stored, and a refused one leaves nothing behind."""

import hashlib
import os
import threading
from pathlib import Path

import pytest
from sqlmodel import select

from dunlin_contract import hpke, keys, merkle
from dunlin_contract.errors import ContractError
from fleet_server.db.models import AuditRow, ObjectRow, ReleaseObjectRow, ReleaseRow
from fleet_server.errors import ConflictError, InvalidError, NotFoundError, ServerError, TooLargeError
from fleet_server.services import objects, releases
from tests.fleet_server.world import ACTOR, NOW, Bundle, World, refusal


def left_behind(world: World) -> list[str]:
    """Every trace of a release: files and rows."""
    files = [path.name for folder in ("tmp", "bundles") for path in (world.ctx.config.dir / folder).iterdir()]
    with world.ctx.db.read() as session:
        rows = [
            table.__tablename__
            for table in (ReleaseRow, ObjectRow, ReleaseObjectRow)
            if session.exec(select(table)).first()
        ]
    return files + [str(row) for row in rows]


def edit(bundle: Bundle, at: int, change: bytes) -> None:
    data = bytearray(bundle.path.read_bytes())
    data[at : at + len(change)] = change
    bundle.path.write_bytes(data)


def test_a_good_bundle_is_stored_with_its_objects(world: World) -> None:
    built = world.build(size=10_000)
    row, created = world.push(built)
    assert created
    assert (row.name, row.version, row.digest) == ("digits", "1.0.0", built.digest.hex())
    assert left_behind(world)[0] == f"{row.digest}.dnb"
    assert (world.ctx.config.bundles_dir / f"{row.digest}.dnb").read_bytes() == built.path.read_bytes()
    with world.ctx.db.read() as session:
        stored = {entry.sha: entry.kind for entry in session.exec(select(ObjectRow))}
        for chunk in built.chunks:
            name = merkle.leaf(chunk).hex()
            assert objects.read(session, world.ctx.config, name) == chunk
            assert stored.pop(name) == "chunk"
        for sha, kind in stored.items():
            body = objects.read(session, world.ctx.config, sha)
            assert body is not None
            assert hashlib.sha256(body).hexdigest() == sha
            assert kind in {"manifest", "index"}
        assert [audit.action for audit in session.exec(select(AuditRow)) if audit.actor == ACTOR][-1] == "release.add"
    assert sorted(stored.values()) == ["index", "manifest"]


def test_the_same_bundle_again_is_no_news(world: World) -> None:
    built = world.build()
    world.push(built)
    row, created = world.push(built)
    assert not created
    assert row.digest == built.digest.hex()


def test_a_version_means_one_content(world: World) -> None:
    world.push(world.build())
    before = left_behind(world)
    error = refusal(world.push, world.build())
    assert isinstance(error, ConflictError)
    assert "higher version" in error.detail
    assert left_behind(world) == before


def test_two_uploads_of_one_version_at_once_store_one(world: World) -> None:
    built = [world.build(), world.build()]
    outcomes: list[str] = []
    start = threading.Barrier(2)

    def push(one: Bundle) -> None:
        start.wait()
        try:
            outcomes.append(str(world.push(one)[1]))
        except ServerError as error:
            outcomes.append(type(error).__name__)

    threads = [threading.Thread(target=push, args=(one,)) for one in built]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["ConflictError", "True"]
    assert len(list(world.ctx.config.bundles_dir.iterdir())) == 1


def test_releases_may_share_chunks(sqlite_world: World) -> None:
    """Two manifests over the same payloads: their chunks are stored once, and both releases have them."""
    world = sqlite_world
    first = world.build(version="1.0.0")
    world.push(first)
    second = world.build(version="1.0.1", cek=first.cek)
    world.push(second)
    with world.ctx.db.read() as session:
        assert len(session.exec(select(ReleaseObjectRow)).all()) == 2 * (len(first.chunks) + 2)


@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        (lambda b: b.path.write_bytes(b.path.read_bytes()[:-1]), "lengths"),
        (lambda b: b.path.write_bytes(b.path.read_bytes() + b"x"), "trailing"),
        (lambda b: b.path.write_bytes(b"PK\x03\x04" + bytes(5000)), "magic"),
        (lambda b: b.path.write_bytes(b""), "magic"),
        (lambda b: edit(b, b.path.stat().st_size - 1, b"\x00\x00"[:1]), "leaf"),
        (lambda b: edit(b, b.path.stat().st_size - 9000, os.urandom(8)), "leaf"),
    ],
)
def test_a_damaged_bundle_leaves_nothing(sqlite_world: World, damage: object, rule: str) -> None:
    built = sqlite_world.build()
    damage(built)  # type: ignore[operator]
    with pytest.raises(ContractError) as caught:
        sqlite_world.push(built)
    assert caught.value.rule == rule
    assert left_behind(sqlite_world) == []


def test_an_unknown_release_key_is_refused(sqlite_world: World) -> None:
    with pytest.raises(ContractError) as caught:
        sqlite_world.push(sqlite_world.build(signer=keys.generate()))
    assert caught.value.rule == "signer-unknown"
    assert left_behind(sqlite_world) == []


def test_the_cek_must_be_sealed_to_our_vault_and_open_the_chunks(sqlite_world: World) -> None:
    built = sqlite_world.build()
    other = hpke.seal_cek(built.cek, keys.spki(keys.generate()), built.digest, hpke.VAULT)
    with pytest.raises(ContractError) as caught:
        sqlite_world.push(built, other)
    assert caught.value.rule == "grant-open"
    wrong = hpke.seal_cek(bytes(32), sqlite_world.ctx.keys.vault_spki, built.digest, hpke.VAULT)
    with pytest.raises(ContractError) as caught:
        sqlite_world.push(built, wrong)
    assert caught.value.rule == "chunk-open"
    assert left_behind(sqlite_world) == []


def test_a_release_past_its_time_is_refused(sqlite_world: World) -> None:
    built = sqlite_world.build(not_after=int(NOW) - 1)
    assert isinstance(refusal(sqlite_world.push, built), InvalidError)
    assert left_behind(sqlite_world) == []


def test_an_upload_over_the_limit_stops_at_the_limit(sqlite_world: World) -> None:
    object.__setattr__(sqlite_world.ctx.config, "upload_bytes", 5000)
    assert isinstance(refusal(sqlite_world.push, sqlite_world.build()), TooLargeError)
    assert left_behind(sqlite_world) == []


def test_an_upload_that_breaks_off_leaves_nothing(sqlite_world: World) -> None:
    def break_off() -> None:
        with releases.Upload(sqlite_world.ctx) as upload:
            upload.write(b"half")
            raise ConnectionError

    with pytest.raises(ConnectionError):
        break_off()
    assert left_behind(sqlite_world) == []


def test_a_full_disk_is_one_clear_line(sqlite_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    built = sqlite_world.build()
    monkeypatch.setattr(Path, "replace", full)
    error = refusal(sqlite_world.push, built)
    assert "No space left" in error.detail
    assert left_behind(sqlite_world) == []


def test_what_a_crash_left_is_swept(sqlite_world: World) -> None:
    world = sqlite_world
    kept, _ = world.push(world.build())
    (world.ctx.config.temp_dir / "x.upload").write_bytes(b"half")
    orphan = world.ctx.config.bundles_dir / f"{'0' * 64}.dnb"
    orphan.write_bytes(b"whole, but its row was never committed")
    assert releases.sweep(world.ctx) == 1  # the orphan is young: its upload may be about to commit
    os.utime(orphan, (0, 0))
    assert releases.sweep(world.ctx) == 1
    assert [path.name for path in world.ctx.config.bundles_dir.iterdir()] == [f"{kept.digest}.dnb"]


def test_an_unknown_release_is_not_found(sqlite_world: World) -> None:
    with sqlite_world.ctx.db.read() as session, pytest.raises(NotFoundError):
        releases.get(session, "00" * 32)
