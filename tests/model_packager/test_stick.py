"""Bundles written to a stick: whole, and nothing secret beside them."""

import json
import resource
from pathlib import Path

import pytest

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
