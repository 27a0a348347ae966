"""Build, inspect, verify: what stands in a bundle, what is refused, and that nothing half-written is left."""

import json
import os
import resource
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dunlin_contract import cose, hpke, keys
from dunlin_contract.bundle import BundleFile
from dunlin_contract.cose import Role
from dunlin_contract.golden import Golden
from dunlin_contract.manifest import STORED, ZLIB
from dunlin_contract.stream import ChunkCipher
from model_packager import cli, keyfolder, pack, verify
from model_packager.errors import ModelRefusedError
from tests.model_packager.conftest import DIGITS, Fleet, Recipe, make_fleet

CHUNK = 1 << pack.CHUNK_LOG2


def run(*words: object) -> int:
    return cli.main([str(word) for word in words])


def payload_bytes(path: Path, fleet: Fleet, index: int) -> bytes:
    """A stored or compressed payload, opened with nothing but the contract and zlib."""
    import zlib

    root = keyfolder.read_root(fleet.folder / "root.cose").root
    packager = keys.load_pem((fleet.folder / "packager.pem").read_bytes())
    with BundleFile.open(path, root) as opened:
        cek = hpke.open_cek(Path(f"{path}.cek").read_bytes(), packager, opened.release.digest, hpke.PACKAGER)
        payload = opened.manifest.payloads[index]
        cipher = ChunkCipher(cek, payload.id, payload.chunk_log2)
        last = payload.chunk_count - 1
        plain = b"".join(cipher.open(i, i == last, chunk) for i, chunk in enumerate(opened.chunks(index)))
    return zlib.decompress(plain) if payload.compression == ZLIB else plain


def test_a_bundle_holds_models_labels_golden_and_the_promise(fleet: Fleet, digits_v1: Path) -> None:
    root = keyfolder.read_root(fleet.folder / "root.cose").root
    with BundleFile.open(digits_v1, root) as opened:
        manifest = opened.manifest
    assert (manifest.name, manifest.version, manifest.counter) == ("digits", "1.0.0", 1)
    assert manifest.not_after - manifest.created == 730 * 86400
    roles = ["labels", "model", "golden", "model", "golden", "labels", "model", "golden"]
    assert [payload.role for payload in manifest.payloads] == roles
    for variant, suffix in zip(manifest.variants[:2], ("tflite", "onnx"), strict=True):
        model = DIGITS / "models" / f"v1-int8.{suffix}"
        assert payload_bytes(digits_v1, fleet, manifest.model_payload(variant)) == model.read_bytes()
        assert variant.budget.p95_us == 20_000
        assert variant.fit.flash_bytes == sum(manifest.payloads[i].installed_length for i in variant.payloads)
        assert variant.io.postprocess is not None
        assert variant.io.postprocess.labels == 0
        golden = Golden.from_bytes(payload_bytes(digits_v1, fleet, variant.golden.payload))
        assert len(golden.samples) == 4
    assert payload_bytes(digits_v1, fleet, 0) == b"".join(b"%d\n" % digit for digit in range(10))
    assert {payload.compression for payload in manifest.payloads} == {STORED, ZLIB}


def test_neither_model_nor_content_key_is_readable_in_the_files(digits_v1: Path) -> None:
    bundle = digits_v1.read_bytes()
    for suffix in ("tflite", "onnx"):
        model = (DIGITS / "models" / f"v1-int8.{suffix}").read_bytes()
        pieces = [model[at : at + 24] for at in range(0, len(model) - 24, 512)]
        assert not [piece for piece in pieces if any(piece) and piece in bundle]
    cek = Path(f"{digits_v1}.cek")
    assert cek.stat().st_mode & 0o777 == 0o600
    assert len(cek.read_bytes()) < 256


def test_inspect_and_verify_say_what_is_there(
    fleet: Fleet, digits_v1: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert run("inspect", digits_v1, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["signature_verified"] is False
    assert [variant["kind"] for variant in shown["variants"]] == ["tflite-int8", "onnx-int8", "tflm-int8"]
    assert shown["variants"][0]["inputs"] == [{"name": "image", "dtype": "float32", "shape": [1, 8, 8, 1]}]
    assert run("inspect", digits_v1, "--keys", fleet.folder) == 0
    text = capsys.readouterr().out
    assert "signature  verified" in text
    assert "image  float32 [1, 8, 8, 1]" in text
    assert run("verify", digits_v1, "--keys", fleet.folder, "--json") == 0
    assert json.loads(capsys.readouterr().out)["opened"] is True
    assert run("verify", digits_v1, "--root", fleet.folder / "root.cose", "--json") == 0
    assert json.loads(capsys.readouterr().out)["opened"] is False
    assert run("verify", digits_v1) == 2


def test_build_json_and_progress_go_to_different_streams(
    fleet: Fleet, recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    out = tmp_path / "x.dnb"
    command = ["build", recipe(), "--keys", fleet.folder, "--out", out, "--version", "7.1.2", "--counter", 5, "--json"]
    assert run(*command) == 0
    streams = capsys.readouterr()
    shown = json.loads(streams.out)
    assert (shown["version"], shown["counter"], shown["bundle"]) == ("7.1.2", 5, str(out))
    assert shown["warnings"] == []
    assert "tflite-int8: running v1-int8.tflite in litert" in streams.err
    assert "\r" not in streams.err


def test_a_budget_that_is_not_kept_only_warns(
    fleet: Fleet, recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recipe(budget="p95_ms = 0.001\nmemory_mb = 1")
    assert run("build", path, "--keys", fleet.folder, "--out", tmp_path) == 0
    errors = capsys.readouterr().err
    assert "warning: tflite-int8: p95 " in errors
    assert "warning: tflite-int8: peak memory " in errors
    assert (tmp_path / "digits-1.0.0.dnb").exists()


def test_v3_breaks_its_promise_at_least_fivefold_and_v1_keeps_it_fivefold() -> None:
    from model_packager import recipe as recipes
    from model_packager.trial import parent

    for name, keeps in (("v1", True), ("v3", False)):
        variant = recipes.load(DIGITS / f"{name}.toml", {}).variants[0]
        measured = parent.run(variant, 300).p50_us
        assert (measured * 5 < variant.p95_us) if keeps else (measured > variant.p95_us * 5)


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


def test_a_clock_of_1970_builds_nothing(
    fleet: Fleet, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("time.time", lambda: 3600.0)
    assert run("build", recipe(), "--keys", fleet.folder, "--out", tmp_path) == 1
    assert "this machine's clock says 1970-01-01 01:00 UTC, before the root was made" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.dnb*"))


def test_another_packagers_key_does_not_open_it(digits_v1: Path, fleet: Fleet, tmp_path: Path) -> None:
    other = make_fleet(tmp_path)
    (other.folder / "root.cose").write_bytes((fleet.folder / "root.cose").read_bytes())
    assert run("verify", digits_v1, "--keys", other.folder) == 1


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


def roundtrip(content: bytes, folder: Path) -> pack.Packed:
    """Pack bytes and open them again with the contract's own checks."""
    cek = os.urandom(32)
    with (folder / "spool").open("w+b") as spool:
        packed = pack.pack(pack.from_bytes("golden", "cbor", content), cek, spool, lambda done, total: None)
        spool.seek(0)
        chunks = [spool.read(packed.payload.chunk_length(index)) for index in range(packed.payload.chunk_count)]
        assert spool.read() == b""
    verify.check_installed(packed.payload, cek, chunks)
    return packed


@pytest.mark.parametrize("length", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_sizes_around_a_chunk(tmp_path: Path, length: int) -> None:
    packed = roundtrip(os.urandom(length), tmp_path)
    assert packed.payload.compression == STORED
    assert packed.payload.chunk_count == max(1, -(-length // CHUNK))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(st.binary(max_size=2000), st.integers(1, 400))
def test_whatever_is_packed_comes_out_again(tmp_path: Path, part: bytes, times: int) -> None:
    packed = roundtrip(part * times, tmp_path)
    saved = packed.payload.plaintext_length <= 0.95 * packed.payload.installed_length
    assert (packed.payload.compression == ZLIB) == saved or packed.payload.installed_length == 0


def test_a_file_that_changes_while_it_is_packed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"a" * 1000)
    source = pack.from_file("model", "tflite", path)
    path.write_bytes(b"b" * 1000)
    with (tmp_path / "spool").open("w+b") as spool, pytest.raises(ModelRefusedError, match="changed while"):
        pack.pack(source, os.urandom(32), spool, lambda done, total: None)


def test_memory_stays_flat_with_size(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(os.urandom(1 << 20) * 24)
    source = pack.from_file("model", "onnx", path)
    with (tmp_path / "spool").open("w+b") as spool:
        tracemalloc.start()
        try:
            pack.pack(source, os.urandom(32), spool, lambda done, total: None)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 4 << 20


def test_what_is_signed_is_the_release_role(fleet: Fleet, digits_v1: Path) -> None:
    root = keyfolder.read_root(fleet.folder / "root.cose").root
    with BundleFile.open(digits_v1, root) as opened:
        assert cose.verify(opened.envelope, Role.RELEASE, root.signers("release"), 1, 8192)


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
