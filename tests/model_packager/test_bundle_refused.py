"""Builds that are refused or cannot be written: nothing half-written is left."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.model_packager.conftest import DIGITS, Fleet, Recipe, make_fleet
from tests.model_packager.parts import run


def test_the_same_version_is_not_built_over(
    fleet: Fleet, recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["build", recipe(), "--keys", fleet.folder, "--out", tmp_path]
    assert run(*command) == 0
    bundle = tmp_path / "digits-1.0.0.dnb"
    before = bundle.read_bytes(), Path(f"{bundle}.cek").read_bytes()
    assert run(*command) == 1
    assert "exists: give another --version or --out" in capsys.readouterr().err
    assert (bundle.read_bytes(), Path(f"{bundle}.cek").read_bytes()) == before
    assert run(*command, "--force") == 0
    assert bundle.read_bytes() != before[0]
    assert run("verify", bundle, "--keys", fleet.folder) == 0


@pytest.mark.parametrize(
    ("labels", "says"), [("a\nb\n", "2 labels, but tflite-int8's 'scores' has 10 values"), (None, "there is no file")]
)
def test_labels_that_do_not_match_are_refused(
    fleet: Fleet, recipe: Recipe, tmp_path: Path, labels: str | None, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "labels.txt"
    if labels is not None:
        path.write_text(labels)
    command = ["build", recipe(), "--keys", fleet.folder, "--out", tmp_path, "--labels", path]
    assert run(*command) == 2
    assert says in capsys.readouterr().err
    assert not list(tmp_path.glob("*.dnb*"))


def test_a_refused_model_or_sample_leaves_nothing(
    fleet: Fleet, recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = tmp_path / "s.npz"
    np.savez(samples, image=np.zeros((4, 9, 8, 1), np.float32))
    out = tmp_path / "out"
    out.mkdir()
    for path in (recipe(model=DIGITS / "README.md"), recipe(samples=samples)):
        assert run("build", path, "--keys", fleet.folder, "--out", out) == 1
        errors = capsys.readouterr().err.strip().splitlines()
        assert errors[-1].startswith("packager: ")
    assert list(out.iterdir()) == []


def test_a_release_key_that_the_root_does_not_name_signs_nothing(
    fleet: Fleet, recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make_fleet(tmp_path)
    (other.folder / "root.cose").write_bytes((fleet.folder / "root.cose").read_bytes())
    assert run("build", recipe(), "--keys", other.folder, "--out", tmp_path) == 1
    assert "is not among the release keys of root 1" in capsys.readouterr().err


def test_a_clock_of_1970_builds_nothing(
    fleet: Fleet, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("time.time", lambda: 3600.0)
    assert run("build", recipe(), "--keys", fleet.folder, "--out", tmp_path) == 1
    assert "this machine's clock says 1970-01-01 01:00 UTC, before the root was made" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.dnb*"))


class _Disk:
    """A file system of 64 KiB, or a skip where it cannot be mounted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
            pytest.skip("a small file system can be mounted by root only")

    def close(self) -> None:
        subprocess.run(["umount", str(self.folder)], check=True)


def test_a_full_disk_leaves_nothing(fleet: Fleet, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    disk = _Disk(tmp_path / "disk")
    try:
        assert run("build", DIGITS / "v1.toml", "--keys", fleet.folder, "--out", disk.folder) == 1
        assert "the disk is full: free some space" in capsys.readouterr().err
        assert list(disk.folder.iterdir()) == []
    finally:
        disk.close()


def test_a_file_size_limit_leaves_nothing(fleet: Fleet, tmp_path: Path) -> None:
    """As a full disk, for those who cannot mount one: the system refuses to let files grow."""
    out = tmp_path / "out"
    out.mkdir()
    command = [sys.executable, "-m", "model_packager", "build", str(DIGITS / "v1.toml")]
    done = subprocess.run(
        [*command, "--keys", str(fleet.folder), "--out", str(out)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "cannot be written: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(out.iterdir()) == []


def test_a_folder_that_is_not_there(
    fleet: Fleet, recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("build", recipe(), "--keys", fleet.folder, "--out", tmp_path / "no" / "x.dnb") == 1
    assert "cannot be written: No such file or directory" in capsys.readouterr().err
