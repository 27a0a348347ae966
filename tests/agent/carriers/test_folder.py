"""The carrier from a folder, such as a USB stick: hostile files, and a stick that is pulled out or does not answer."""

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleet_agent.carriers import folder, usb
from fleet_agent.carriers.folder import FolderReader, Piece
from fleet_agent.carriers.usb import UsbCarrier
from tests.agent.carrier_parts import Material, Taker
from tests.agent.carriers.real import from_folder
from tests.agent.fleet import until


def _put(path: Path, data: bytes, size: int | None = None) -> None:
    path.write_bytes(data)
    if size is not None:
        os.truncate(path, size)


def _bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))


HOSTILE: dict[str, Callable[[Path, Material], object]] = {
    "symlink": lambda path, _: path.symlink_to("/etc/passwd"),
    "symlink-to-good": lambda path, _: path.symlink_to("good.dnb"),
    "fifo": lambda path, _: os.mkfifo(path),
    "folder": lambda path, _: path.mkdir(),
    "socket": lambda path, _: _bind(path),
    "empty": lambda path, _: _put(path, b""),
    "text": lambda path, _: _put(path, b"hello" * 100),
    "header-only": lambda path, material: _put(path, material.bundle()[:28]),
    "no-index": lambda path, material: _put(path, material.bundle()[:340]),
    "cut": lambda path, material: _put(path, material.bundle()[:-1]),
    "huge": lambda path, material: _put(path, material.bundle(), 1 << 42),
    "huge-index": lambda path, material: _put(
        path, material.bundle()[:16] + b"\xff\xff\xff\xff" + material.bundle()[20:]
    ),
    "huge-manifest": lambda path, material: _put(
        path, material.bundle()[:12] + b"\xff\xff\xff\xff" + material.bundle()[16:]
    ),
    "wide": lambda path, material: _put(path, material.bundle()[:20] + b"\xff" * 8 + material.bundle()[28:]),
}


@pytest.mark.parametrize("what", list(HOSTILE))
def test_a_hostile_file_costs_the_good_one_nothing(
    taker: Taker, material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    monkeypatch.chdir(stick)  # a socket's path must be short
    HOSTILE[what](Path("bad.dnb"), material)
    (stick / "good.dnb").write_bytes(material.bundle())
    carrier = from_folder(taker, material, stick)
    chunk = next(iter(material.places.items()))
    until(lambda: taker.do(lambda: carrier.offers(*chunk)), "it offers a chunk")
    assert "bad.dnb" in carrier.why or what == "huge"
    names = [*material.chunks, *material.objects]
    taker.want(names)
    taker.until_has(names)
    assert not taker.corrupt
    carrier.close()


def test_a_file_that_turns_into_another_thing_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.dnb"
    os.mkfifo(path)
    real = Path.lstat

    def lie(self: Path) -> os.stat_result:
        return real(tmp_path / "b") if self == path else real(self)

    (tmp_path / "b").write_bytes(b"")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "lstat", lie)
        with pytest.raises(folder.UnfitError, match="no file"):
            folder.read(tmp_path, Piece("a.dnb", 0, 1))


def test_what_is_no_file_is_not_even_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "a.dnb")
    monkeypatch.setattr(os, "open", None)
    assert folder.look(tmp_path, {}, {}).trouble == "a.dnb: is no file"


def test_an_index_that_is_too_large_is_not_read(material: Material, tmp_path: Path) -> None:
    header = material.bundle()[:16] + (1 << 28).to_bytes(4, "big") + bytes(8)
    _put(tmp_path / "a.dnb", header + material.envelope, 1 << 29)
    found = folder.look(tmp_path, material.desired, {})
    assert (found.bundles, found.trouble) == ({}, "a.dnb: has an index that is too large")


def test_a_new_directive_is_looked_for_at_once(
    taker: Taker, material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usb, "LOOK_S", 1000.0)
    (tmp_path / "a.dnb").write_bytes(material.bundle())
    desired: dict[bytes, bytes] = {}
    carrier = UsbCarrier(
        taker.loop, taker, material.places.get, lambda: dict(desired), lambda told: FolderReader(tmp_path, told)
    )
    taker.carrier = carrier
    taker.do(carrier.start)
    chunk = next(iter(material.places.items()))
    until(lambda: taker.do(lambda: carrier._busy_since is None), "it has looked")
    assert not taker.do(lambda: carrier.offers(*chunk))
    desired.update(material.desired)
    taker.do(carrier.look)
    until(lambda: taker.do(lambda: carrier.offers(*chunk)), "it offers a chunk")
    carrier.close()


def test_only_so_many_files_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(folder.MOST_FILES * 2):
        (tmp_path / f"{number}.dnb").write_bytes(b"x")
    opened = []
    real = os.open

    def count(path: Any, flags: int) -> int:
        opened.append(path)
        return real(path, flags)

    monkeypatch.setattr(os, "open", count)
    found = folder.look(tmp_path, {}, {})
    assert found.trouble
    assert len(opened) == folder.MOST_FILES


def test_what_was_looked_at_is_not_read_again(
    material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.dnb").write_bytes(material.bundle())
    known: dict[Any, Any] = {}
    first = folder.look(tmp_path, material.desired, known)
    monkeypatch.setattr(os, "pread", None)
    assert folder.look(tmp_path, material.desired, known) == first
    assert first.bundles


def test_a_bundle_of_another_release_is_left_alone(material: Material, tmp_path: Path) -> None:
    (tmp_path / "a.dnb").write_bytes(Material.random(3).bundle())
    found = folder.look(tmp_path, material.desired, {})
    assert (found.objects, found.bundles, found.trouble) == ({}, {}, "")


def test_a_stick_that_is_pulled_out_in_the_middle_and_comes_back(
    taker: Taker, material: Material, tmp_path: Path
) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    (stick / "a.dnb").write_bytes(material.bundle())
    carrier = from_folder(taker, material, stick)
    chunk = next(iter(material.places.items()))
    until(lambda: taker.do(lambda: carrier.offers(*chunk)), "it offers a chunk")
    taker.do(lambda: stick.rename(tmp_path / "away"))
    taker.want(list(material.chunks))
    until(lambda: len(taker.silent) == len(material.chunks), "all are given up")
    until(lambda: taker.do(lambda: not carrier.offers(*chunk)), "it offers nothing")
    (tmp_path / "away").rename(stick)
    until(lambda: taker.do(lambda: carrier.offers(*chunk)), "it offers a chunk again")
    taker.want(list(material.chunks))
    taker.until_has(list(material.chunks))
    carrier.close()


def test_a_stick_that_does_not_answer_is_told_and_waited_for_by_nobody(
    taker: Taker, material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usb, "PATIENCE_S", 0.05)
    (tmp_path / "a.dnb").write_bytes(material.bundle())
    carrier = from_folder(taker, material, tmp_path)
    chunk = next(iter(material.places.items()))
    until(lambda: taker.do(lambda: carrier.offers(*chunk)), "it offers a chunk")
    hangs, real = threading.Event(), os.pread

    def hang(fd: int, length: int, at: int) -> bytes:
        hangs.wait(30)
        return real(fd, length, at)

    monkeypatch.setattr(os, "pread", hang)
    taker.want(list(material.chunks))
    until(lambda: taker.do(lambda: not carrier.offers(*chunk)), "it offers nothing")
    assert carrier.why == "the folder does not answer"
    hangs.set()
    taker.until_has(list(material.chunks))
    carrier.close()
