"""Journal, slots, files and keystore: whole or absent, and remembered exactly."""

import os
import secrets
from dataclasses import replace
from pathlib import Path

import pytest

from dunlin_contract.event import Event
from fleet_agent import files, paths
from fleet_agent.errors import SetupError, StorageError, line
from fleet_agent.journal import EVENTS_KEPT, Journal
from fleet_agent.paths import Paths
from fleet_agent.slots import Layout, Plan, Slot
from fleet_agent.unlocker.keystore import FileKeystore, KeystoreError, seal, unseal
from fleet_agent.update.state import Copy, Phase, State
from tests.agent.fleet import Fleet, Release, flipped


def event(kind: str = "note") -> Event:
    return Event(stream=b"\0" * 16, n=1, kind=kind, time_s=0, uptime_s=0)


@pytest.fixture(name="journal")
def _journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.db")


def test_a_state_and_its_event_are_one_transaction(journal: Journal, tmp_path: Path) -> None:
    state = State(phase=Phase.PLANNED, candidate=b"\1" * 32)

    def cut_off() -> None:
        with journal.transaction() as write:
            write.model("m", state)
            write.event(event())
            raise RuntimeError("power")

    with pytest.raises(RuntimeError, match="power"):
        cut_off()
    assert (journal.models(), journal.events(0, 9)) == ({}, [])
    with journal.transaction() as write:
        write.model("m", state)
        write.event(event())
    again = Journal(tmp_path / "journal.db")
    assert again.models() == {"m": state}
    assert again.stream == journal.stream
    assert [n for n, _ in again.events(0, 9)] == [1]


def test_events_are_numbered_for_ever_and_forgotten_only_when_acknowledged(journal: Journal) -> None:
    with journal.transaction() as write:
        for _ in range(3):
            write.event(event())
        write.acknowledged(b"another stream..", 3)
    records = [Event.from_bytes(record) for _, record in journal.events(0, 9)]
    assert [(one.n, one.stream) for one in records] == [(n, journal.stream) for n in (1, 2, 3)]
    with journal.transaction() as write:
        write.acknowledged(journal.stream, 3)
        write.event(event())
    assert [n for n, _ in journal.events(0, 9)] == [4]


def test_events_that_nobody_acknowledges_do_not_fill_the_disk_and_a_receipt_is_never_dropped(journal: Journal) -> None:
    with journal.transaction() as write:
        write.event(event("wiped"))
        for _ in range(EVENTS_KEPT + 10):
            write.event(event())
    assert journal.event_count() == EVENTS_KEPT + 1
    assert journal.events(0, 1)[0][0] == 1


def test_a_full_disk_leaves_the_journal_as_it_was(journal: Journal) -> None:
    with journal.transaction() as write:
        write.fact("x", b"old")
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StorageError, match="takes no more") as raised, journal.transaction() as write:
        write.fact("x", bytes(1_000_000))
    assert raised.value.code == "disk-full"
    assert journal.fact("x") == b"old"


def test_what_is_no_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"not a database" * 100)
    with pytest.raises(SetupError, match="cannot be used"):
        Journal(tmp_path / "journal.db")
    journal = Journal(tmp_path / "other.db")
    journal._db.execute("PRAGMA user_version=99")
    journal.close()
    with pytest.raises(SetupError, match="another version"):
        Journal(tmp_path / "other.db")


def test_a_written_file_is_the_old_one_or_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    files.write_whole(path, b"old")
    assert path.stat().st_mode & 0o777 == 0o600

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StorageError, match="no space left") as raised:
        files.write_whole(path, b"new")
    assert raised.value.code == "disk-full"
    assert (path.read_bytes(), list(tmp_path.iterdir())) == (b"old", [path])


def test_destroyed_bytes_are_overwritten_before_the_name_goes(tmp_path: Path) -> None:
    path, kept = tmp_path / "secret", tmp_path / "kept"
    path.write_bytes(b"secret" * 1000)
    os.link(path, kept)
    assert files.destroy(path) == 6000
    assert not path.exists()
    assert kept.read_bytes() == bytes(6000)
    assert files.destroy(path) == 0


def test_one_agent_a_folder(tmp_path: Path) -> None:
    where = Paths(tmp_path)
    with paths.lock(where), pytest.raises(SetupError, match="another fleet-agent"):
        paths.lock(where)
    paths.lock(where).close()


@pytest.mark.parametrize("name", ["..", "a/b", "", "A", "x" * 40])
def test_no_model_name_leaves_its_folder(name: str) -> None:
    with pytest.raises(ValueError):
        Paths(Path("/state")).model(name)


def test_a_line_is_one_printable_line_that_fits() -> None:
    assert line("a\nb\x00\u202e") == "a b??"
    assert len(line("ü" * 300).encode()) <= 256


@pytest.fixture(name="slot")
def _slot(journal: Journal, tmp_path: Path) -> Slot:
    return Slot(Paths(tmp_path), journal, "adder", "a")


@pytest.fixture(name="release", scope="module")
def _release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return Fleet(tmp_path_factory.mktemp("release")).release(1.0, ballast=20_000)


def plan(release: Release) -> Plan:
    layout = Layout(release.manifest, release.manifest.variants[0], release.leaves)
    return Plan(release.digest, release.envelope, b"".join(release.leaves), b"sealed", layout)


def fill(slot: Slot, release: Release, places: range) -> None:
    layout = plan(release).layout
    for place in places:
        slot.put(layout, place, release.chunks[layout.leaves[place]])


def test_a_slot_holds_chunks_in_any_order_and_knows_which(slot: Slot, release: Release) -> None:
    slot.prepare(plan(release))
    layout = plan(release).layout
    fill(slot, release, range(len(layout.leaves) - 1, -1, -1))
    assert slot.have() == set(range(len(layout.leaves)))
    assert (slot.folder / "chunks").read_bytes() == b"".join(release.chunks[leaf] for leaf in layout.leaves)
    slot.prepare(plan(release))
    assert slot.have() == set(range(len(layout.leaves))), "the same release keeps what it has"
    slot.prepare(replace(plan(release), release=b"\2" * 32))
    assert slot.have() == set(), "another release begins anew"


def test_recheck_forgets_exactly_what_is_damaged(slot: Slot, release: Release) -> None:
    slot.prepare(plan(release))
    fill(slot, release, range(4))
    offset, _ = plan(release).layout.place(2)
    path = slot.folder / "chunks"
    path.write_bytes(flipped(path.read_bytes(), offset + 5))
    for _ in slot.recheck(plan(release).layout):
        pass
    assert slot.have() == {0, 1, 3}


def test_a_slot_that_does_not_fit_is_refused_and_left_empty(
    slot: Slot, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(StorageError) as raised:
        slot.prepare(plan(release))
    assert raised.value.code == "disk-full"
    assert not (slot.folder / "chunks").exists()
    assert slot.release is None


def test_erasing_a_slot_withdraws_its_receipts(slot: Slot, release: Release) -> None:
    slot.prepare(plan(release))
    fill(slot, release, range(2))
    count, size = slot.erase()
    assert count == 5
    assert size > plan(release).layout.size
    assert (slot.have(), slot.release, slot.folder.exists()) == (set(), None, False)


def test_a_storage_key_seals_for_one_purpose_and_dies_with_its_file(tmp_path: Path) -> None:
    keystore = FileKeystore(Paths(tmp_path))
    keystore.create()
    assert keystore.storage_key("m", make=False) is None
    key = keystore.storage_key("m", make=True)
    assert key is not None
    assert keystore.storage_key("m", make=True) == key
    secret = secrets.token_bytes(32)
    sealed = seal(key, secret, b"release")
    assert unseal(key, sealed, b"release") == secret
    assert unseal(key, sealed, b"another") is None
    assert unseal(key, flipped(sealed), b"release") is None
    assert keystore.canary_opens("m")
    stored = Paths(tmp_path).keystore / "m.storage"
    assert secret not in stored.read_bytes()
    assert key.secret not in stored.read_bytes(), "it lies there wrapped"
    stored.rename(stored.with_name("other.storage"))
    with pytest.raises(KeystoreError):
        keystore.storage_key("other", make=False)
    keystore.destroy_storage_key("m")
    assert not keystore.canary_opens("m")


def test_a_rotated_kem_key_is_another(tmp_path: Path) -> None:
    keystore = FileKeystore(Paths(tmp_path))
    keystore.create()
    before = keystore.kem().private_numbers()
    assert keystore.rotate_kem().private_numbers() == keystore.kem().private_numbers() != before


def test_state_holds_what_the_machine_needs_and_its_copy() -> None:
    copy = Copy(release=b"\1" * 32, version="1.0.0", variant="onnx", counter=1)
    state = State(a=copy, active="a", phase=Phase.COMMITTED)
    assert State.from_bytes(state.to_bytes()) == state
    assert (state.spare, state.serving, state.copy("b")) == ("b", "a", None)


def test_a_removed_models_floor_is_kept_until_a_new_epoch(journal: Journal) -> None:
    def put(name: str, state: State | None) -> None:
        with journal.transaction() as write:
            write.model(name, state)

    for name, floor in (("a", 3), ("b", 0), ("a", 5)):
        put(name, State(floor=floor))
        put(name, None)
    assert [journal.floor(name) for name in ("a", "b", "c")] == [5, 0, 0]
    put("a", None)
    assert journal.floor("a") == 5
    with journal.transaction() as write:
        write.no_floors()
    assert journal.floor("a") == 0


def test_strangers_names_push_no_floor_out(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet_agent.journal.FLOORS_KEPT", 1)
    for name, floor in (("a", 3), ("b", 9), ("a", 4)):
        with journal.transaction() as write:
            write.model(name, State(floor=floor))
            write.model(name, None)
    assert [journal.floor(name) for name in ("a", "b")] == [4, 0]
