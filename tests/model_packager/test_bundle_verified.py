"""Bundles that are damaged, expired or not one's own: each is refused by its rule."""

import time
from pathlib import Path

import pytest

from dunlin_contract import cose
from tests.model_packager.conftest import Fleet, Recipe, make_fleet
from tests.model_packager.parts import run


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1 :]


@pytest.mark.parametrize(
    ("damage", "rule"),
    [
        (lambda data: data[:-1], "lengths"),
        (lambda data: data[:20], "header"),
        (lambda data: data[:200], "lengths"),
        (lambda data: data + b"x", "trailing"),
        (lambda data: b"PK\x03\x04" + data[4:], "magic"),
        (lambda data: b"", "magic"),
        (lambda data: data.replace(b"\r\n", b"\n"), "magic"),
        (lambda data: _flipped(data, 9), "header"),
        (lambda data: _flipped(data, 12), "size"),
        (lambda data: _flipped(data, len(data) - 1), "leaf"),
        (lambda data: data[:8] + data[8:20] + b"\xff" * 8 + data[28:], "lengths"),
    ],
)
def test_a_damaged_bundle_is_refused_by_its_rule(
    fleet: Fleet, digits_v1: Path, tmp_path: Path, damage: object, rule: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(damage)
    path = tmp_path / "bad.dnb"
    path.write_bytes(damage(digits_v1.read_bytes()))
    assert run("verify", path, "--root", fleet.folder / "root.cose") == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("packager: ")
    assert last.endswith(f"[{rule}]")


def test_every_flipped_byte_is_noticed(fleet: Fleet, digits_v1: Path, tmp_path: Path) -> None:
    data = digits_v1.read_bytes()
    path = tmp_path / "bad.dnb"
    root = fleet.folder / "root.cose"
    everywhere = [*range(28), *range(28, len(data), 499)]
    for at in everywhere:
        path.write_bytes(_flipped(data, at))
        assert run("verify", path, "--root", root) == 1, f"byte {at}"


def test_a_bundle_of_an_unknown_release_key_is_refused(
    digits_v1: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make_fleet(tmp_path)
    assert run("verify", digits_v1, "--keys", other.folder) == 1
    assert "[signer-unknown]" in capsys.readouterr().err


def test_an_unsigned_bundle_is_refused(
    fleet: Fleet, digits_v1: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = digits_v1.read_bytes()
    length = int.from_bytes(data[12:16], "big")
    bare = cose.assemble(cose.peek(data[28 : 28 + length], 8192), [])
    path = tmp_path / "bare.dnb"
    path.write_bytes(data[:12] + len(bare).to_bytes(4, "big") + data[16:28] + bare + data[28 + length :])
    assert run("verify", path, "--root", fleet.folder / "root.cose") == 1
    assert "[cose-shape]" in capsys.readouterr().err


def test_an_expired_release_is_told(
    fleet: Fleet, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("build", recipe(), "--keys", fleet.folder, "--out", tmp_path, "--valid-days", 3) == 0
    later = time.time() + 4 * 86400
    monkeypatch.setattr("time.time", lambda: later)
    assert run("verify", tmp_path / "digits-1.0.0.dnb", "--keys", fleet.folder) == 1
    assert "it has expired: build and push a new release" in capsys.readouterr().err


def test_another_packagers_key_does_not_open_it(digits_v1: Path, fleet: Fleet, tmp_path: Path) -> None:
    other = make_fleet(tmp_path)
    (other.folder / "root.cose").write_bytes((fleet.folder / "root.cose").read_bytes())
    assert run("verify", digits_v1, "--keys", other.folder) == 1
