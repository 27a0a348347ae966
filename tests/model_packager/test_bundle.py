"""Build, inspect, verify: what stands in a bundle, what can be read of it, and what a build says."""

import json
from pathlib import Path

import pytest

from dunlin_contract import cose
from dunlin_contract.bundle import BundleFile
from dunlin_contract.cose import Role
from dunlin_contract.golden import Golden
from dunlin_contract.manifest import STORED, ZLIB
from model_packager import keyfolder
from tests.model_packager.conftest import DIGITS, Fleet, Recipe
from tests.model_packager.parts import payload_bytes, run


def test_a_bundle_holds_models_labels_golden_and_the_promise(fleet: Fleet, digits_v1: Path) -> None:
    root = keyfolder.read_root(fleet.folder / "root.cose").root
    with BundleFile.open(digits_v1, root) as opened:
        manifest = opened.manifest
    assert (manifest.name, manifest.version, manifest.counter) == ("digits", "1.0.0", 1)
    assert manifest.not_after - manifest.created == 730 * 86400
    linux, micro = ["model", "golden", "baseline"], ["labels", "model", "golden"]
    roles = ["labels", *linux, *linux, *micro]
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


def test_what_is_signed_is_the_release_role(fleet: Fleet, digits_v1: Path) -> None:
    root = keyfolder.read_root(fleet.folder / "root.cose").root
    with BundleFile.open(digits_v1, root) as opened:
        assert cose.verify(opened.envelope, Role.RELEASE, root.signers("release"), 1, 8192)
