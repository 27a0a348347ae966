"""Keys and roots: made once, never overwritten, private, and rotated under both thresholds."""

import json
from pathlib import Path

import pytest

from dunlin_contract import cose, keys
from dunlin_contract.cose import Role
from dunlin_contract.envelopes import open_first_root, open_next_root
from dunlin_contract.errors import ContractError
from dunlin_contract.root import Root
from model_packager import keyfolder
from model_packager.errors import KeyFileError
from model_packager.keyfolder import Passphrase
from tests.model_packager.conftest import Fleet, make_fleet
from tests.model_packager.parts import run


def run_json(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, object]:
    capsys.readouterr()
    assert run(*words, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def test_init_makes_a_root_that_names_every_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fleet = make_fleet(tmp_path, "--no-passphrase", "--root-keys", "3", "--root-threshold", "2")
    names = sorted(path.name for path in fleet.folder.iterdir())
    private = ["ops-1.pem", "ops-2.pem", "packager.pem", "release.pem", "root-1.pem", "root-2.pem", "root-3.pem"]
    assert names == sorted([*private, "root.cose"])
    assert {path.stat().st_mode & 0o777 for path in fleet.folder.glob("*.pem")} == {0o600}
    assert fleet.folder.stat().st_mode & 0o777 == 0o700
    root = keyfolder.read_root(fleet.folder / "root.cose").root
    assert (root.version, root.epoch) == (1, 0)
    assert {name: role.threshold for name, role in root.roles.items()} == {
        "root": 2, "release": 1, "director": 1, "ops": 2, "ca": 1, "vault": 1,
    }  # fmt: skip
    assert set(root.signers("vault").values()) == {keys.spki(fleet.vault)}
    assert set(root.signers("director").values()) == {keys.spki(fleet.director)}
    ops = {keys.spki(keys.load_pem((fleet.folder / f"ops-{n}.pem").read_bytes())) for n in (1, 2)}
    assert set(root.signers("ops").values()) == ops
    shown = run_json(capsys, "keys", "show", fleet.folder)
    envelope = (fleet.folder / "root.cose").read_bytes()
    assert open_first_root(envelope, bytes.fromhex(str(shown["root_digest"]))) == root


def test_init_never_overwrites_keys(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    before = (fleet.folder / "release.pem").read_bytes()
    assert run("keys", "init", fleet.folder, "--server-keys", fleet.server_keys, "--no-passphrase") == 1
    assert "is not empty: keys are never overwritten" in capsys.readouterr().err
    assert (fleet.folder / "release.pem").read_bytes() == before


def test_init_refuses_what_is_no_server_keys_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = tmp_path / "wrong.cbor"
    wrong.write_bytes(b"hello")
    assert run("keys", "init", tmp_path / "keys", "--server-keys", wrong, "--no-passphrase") == 1
    assert "is not a server-keys file" in capsys.readouterr().err
    assert not (tmp_path / "keys").exists()


def test_init_refuses_an_impossible_threshold(tmp_path: Path, fleet: Fleet) -> None:
    words = ["--server-keys", fleet.server_keys, "--no-passphrase", "--root-keys", 2, "--root-threshold", 3]
    assert run("keys", "init", tmp_path / "keys", *words) == 2


def test_encrypted_keys_open_only_with_their_passphrase(tmp_path: Path) -> None:
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text("correct horse\n")
    wrong.write_text("battery\n")
    fleet = make_fleet(tmp_path, "--passphrase-file", str(right))
    path = fleet.folder / "release.pem"
    assert b"ENCRYPTED" in path.read_bytes()
    assert keys.spki(keyfolder.load_key(path, Passphrase(right)))
    with pytest.raises(KeyFileError, match="passphrase is wrong"):
        keyfolder.load_key(path, Passphrase(wrong))
    wrong.write_text("\n")
    with pytest.raises(KeyFileError, match="is empty: write the passphrase into it"):
        keyfolder.load_key(path, Passphrase(wrong))


def test_without_a_terminal_a_passphrase_file_is_asked_for(
    tmp_path: Path, fleet: Fleet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open("/dev/null") as nobody:
        monkeypatch.setattr("sys.stdin", nobody)
        assert run("keys", "init", tmp_path / "keys", "--server-keys", fleet.server_keys) == 1
    assert "give --passphrase-file FILE" in capsys.readouterr().err


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    fleet = make_fleet(tmp_path)
    path = fleet.folder / "release.pem"
    path.chmod(0o644)
    with pytest.raises(KeyFileError, match="readable by others"):
        keyfolder.load_key(path, Passphrase())


def test_a_key_of_another_role_is_refused(fleet: Fleet) -> None:
    root = keyfolder.read_root(fleet.folder / "root.cose").root
    with pytest.raises(KeyFileError, match="is not among the release keys of root 1"):
        keyfolder.load_for_role(fleet.folder, "ops-1.pem", "release", root, Passphrase())


def test_a_damaged_root_is_refused(fleet: Fleet, tmp_path: Path) -> None:
    data = bytearray((fleet.folder / "root.cose").read_bytes())
    data[-1] ^= 1
    path = tmp_path / "root.cose"
    path.write_bytes(data)
    with pytest.raises(KeyFileError, match="is not a valid root"):
        keyfolder.read_root(path)


def test_the_next_root_is_signed_by_both_thresholds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fleet = make_fleet(tmp_path, "--no-passphrase", "--root-keys", "3", "--root-threshold", "2")
    first = keyfolder.read_root(fleet.folder / "root.cose")
    release = (fleet.folder / "release.pem").read_bytes()
    shown = run_json(capsys, "root", "sign", "--keys", fleet.folder, "--rotate", "root", "--rotate", "release")
    assert shown["root_version"] == 2
    envelope = (fleet.folder / "root.cose").read_bytes()
    second = open_next_root(envelope, first.root)
    assert second.epoch == 0
    assert not set(second.roles["root"].kids) & set(first.root.roles["root"].kids)
    assert not set(second.roles["release"].kids) & set(first.root.roles["release"].kids)
    assert second.roles["ops"] == first.root.roles["ops"]
    assert second.roles["root"].threshold == 2
    assert (fleet.folder / "root-1.cose").read_bytes() == first.envelope
    assert (fleet.folder / "release.root1.pem").read_bytes() == release
    assert keyfolder.load_for_role(fleet.folder, "release.pem", "release", second, Passphrase())
    # Signatures of one side alone are not enough.
    payload = cose.peek(envelope, 16384)
    ours = [keys.load_pem((fleet.folder / f"root-{n}.pem").read_bytes()) for n in (1, 2, 3)]
    with pytest.raises(ContractError):
        open_next_root(cose.sign(payload, ours, Role.ROOT), first.root)


def test_the_new_root_keys_sign_the_root_after_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fleet = make_fleet(tmp_path)
    run_json(capsys, "root", "sign", "--keys", fleet.folder, "--rotate", "root")
    second = keyfolder.read_root(fleet.folder / "root.cose").root
    run_json(capsys, "root", "sign", "--keys", fleet.folder, "--raise-epoch")
    third = open_next_root((fleet.folder / "root.cose").read_bytes(), second)
    assert (third.version, third.epoch) == (3, 1)


def test_new_server_keys_go_into_the_next_root(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fleet = make_fleet(tmp_path)
    (tmp_path / "other").mkdir()
    other = make_fleet(tmp_path / "other")
    run_json(capsys, "root", "sign", "--keys", fleet.folder, "--server-keys", other.server_keys)
    root = keyfolder.read_root(fleet.folder / "root.cose").root
    assert set(root.signers("vault").values()) == {keys.spki(other.vault)}
    assert keys.spki(fleet.vault) not in root.keys.values()


def test_too_few_root_keys_sign_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fleet = make_fleet(tmp_path, "--no-passphrase", "--root-keys", "3", "--root-threshold", "2")
    safe = tmp_path / "safe"
    safe.mkdir()
    for number in (2, 3):
        (fleet.folder / f"root-{number}.pem").rename(safe / f"root-{number}.pem")
    before = sorted(fleet.folder.iterdir())
    assert run("root", "sign", "--keys", fleet.folder, "--rotate", "release") == 1
    assert "1 of 2 root keys are here: name the others by --root-key FILE" in capsys.readouterr().err
    assert sorted(fleet.folder.iterdir()) == before
    words = ["--keys", fleet.folder, "--rotate", "release", "--root-key", safe / "root-2.pem"]
    assert run("root", "sign", *words) == 0
    assert isinstance(keyfolder.read_root(fleet.folder / "root.cose").root, Root)


def test_a_root_that_changes_nothing_is_not_signed(fleet: Fleet) -> None:
    assert run("root", "sign", "--keys", fleet.folder) == 2
