"""Bundles written to a stick: whole, and nothing secret beside them."""

import json
import resource
from pathlib import Path

import pytest

from model_packager.progress import Progress
from tests.model_packager.conftest import Fleet
from tests.model_packager.parts import run


def test_a_stick_gets_the_bundle_and_nothing_secret(
    fleet: Fleet, digits_v1: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    copy = tmp_path / "renamed.dnb"
    copy.write_bytes(digits_v1.read_bytes())
    assert run("usb", copy, stick, "--keys", fleet.folder, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert [path.name for path in stick.iterdir()] == ["digits-1.0.0.dnb"]
    assert (stick / "digits-1.0.0.dnb").read_bytes() == digits_v1.read_bytes()
    assert [one["file"] for one in said["bundles"]] == [str(stick / "digits-1.0.0.dnb")]


def test_a_bundle_that_changes_while_it_is_copied_is_not_carried(
    fleet: Fleet, digits_v1: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands on the stick is what was verified, whatever takes the bundle's place meanwhile."""
    stick = tmp_path / "stick"
    stick.mkdir()
    bundle = tmp_path / "x.dnb"
    bundle.write_bytes(digits_v1.read_bytes())

    def advance(*_: object) -> None:
        other = tmp_path / "other"
        other.write_bytes(b"another")
        other.replace(bundle)

    monkeypatch.setattr(Progress, "advance", advance)
    assert run("usb", bundle, stick, "--keys", fleet.folder) == 0
    assert bundle.read_bytes() == b"another"
    assert (stick / "digits-1.0.0.dnb").read_bytes() == digits_v1.read_bytes()


def test_a_stick_that_cannot_be_written_is_told_without_options_that_are_not_there(
    fleet: Fleet, digits_v1: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stick = tmp_path / "stick"
    (stick / "digits-1.0.0.dnb").mkdir(parents=True)
    assert run("usb", digits_v1, stick, "--keys", fleet.folder) == 1
    said = capsys.readouterr().err
    assert "choose another place" in said
    assert "--out" not in said
    assert [path.name for path in stick.iterdir()] == ["digits-1.0.0.dnb"]


def test_a_stick_takes_no_damaged_bundle_and_no_half_one(fleet: Fleet, digits_v1: Path, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    data = bytearray(digits_v1.read_bytes())
    data[-1] ^= 1
    bad = tmp_path / "bad.dnb"
    bad.write_bytes(data)
    assert run("usb", bad, stick, "--keys", fleet.folder) == 1
    assert run("usb", digits_v1, tmp_path / "none", "--keys", fleet.folder) == 1
    assert run("usb", digits_v1, stick) == 2
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limit[1]))
    try:
        assert run("usb", digits_v1, stick, "--root", fleet.folder / "root.cose") == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert not list(stick.iterdir())
