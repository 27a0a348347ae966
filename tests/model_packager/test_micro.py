"""The microcontroller's variant: tried by TFLM's own kernels, measured, packed for flash, refused for its boards."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dunlin_contract.bundle import BundleFile
from dunlin_contract.fit import Fit, Op
from dunlin_contract.golden import Golden
from dunlin_contract.limits import LIMITS, MCU_LIMITS
from dunlin_contract.manifest import STORED, Io, Manifest, Tensor
from dunlin_contract.slot import slot_bytes
from model_packager import keyfolder, micro
from model_packager import recipe as recipes
from model_packager.errors import ModelRefusedError, PackagerError, RecipeError, SampleError
from model_packager.trial import parent
from model_packager.trial.parent import Trial
from tests.model_packager import tflite_models
from tests.model_packager.conftest import DIGITS, Fleet, Recipe
from tests.model_packager.parts import payload_bytes, run

BOARD = '{ hardware = "m4", arena_kib = 256, slot_kib = 1024 }'
SMALL = '{ hardware = "m0", arena_kib = 16, slot_kib = 40 }'


@pytest.fixture
def micro_recipe(recipe: Recipe, tmp_path: Path) -> Recipe:
    """A recipe with one variant for microcontrollers; ``x`` int8 [1, 4] samples unless the test brings its own."""
    usual = tmp_path / "usual.npy"
    np.save(usual, np.arange(-8, 8, dtype=np.int8).reshape(4, 4))

    def write(model: Path, samples: Path = usual, boards: str = BOARD, variant: str = "", top: str = "") -> Path:
        return recipe("tflm-int8", model, samples, top=top, variant=f"boards = [{boards}]\n{variant}")

    return write


def attempt(path: Path) -> Trial:
    return parent.run(recipes.load(path, {}).variants[0], 120)


def opened(path: Path, fleet: Fleet) -> Manifest:
    with BundleFile.open(path, keyfolder.read_root(fleet.folder / "root.cose").root) as bundle:
        return bundle.manifest


def test_the_digits_bundle_serves_linux_and_microcontrollers(fleet: Fleet, digits_v1: Path) -> None:
    manifest = opened(digits_v1, fleet)
    linux, small = manifest.variants[0], manifest.variants[2]
    assert (small.kind, small.fit.runtime, small.fit.min_version) == ("tflm-int8", "tflm", (0, 0, 0))
    assert small.fit.hardware_classes == ("cortex-m4", "cortex-m55", "host")
    assert (small.fit.memory_bytes, small.budget.memory_bytes, small.budget.measured_on) == (0, 0, "")
    assert small.budget.p95_us == 1_000_000
    assert (small.io.inputs, small.io.outputs) == (linux.io.inputs, linux.io.outputs)
    assert small.fit.ops == linux.fit.ops
    assert not set(small.payloads) & set(linux.payloads)
    mine = [manifest.payloads[index] for index in small.payloads]
    assert [(one.role, one.format) for one in mine] == [("labels", "text"), ("model", "tflm"), ("golden", "cbor")]
    assert {(one.compression, one.chunk_log2, one.delta_base) for one in mine} == {(STORED, 12, None)}
    assert manifest.payloads[manifest.model_payload(linux)].chunk_log2 == 17
    assert small.io.postprocess is not None
    assert small.io.postprocess.labels == small.payloads[0]
    lengths = [one.installed_length for one in mine]
    assert small.fit.flash_bytes == slot_bytes(lengths, sum(one.chunk_count for one in mine))
    assert payload_bytes(digits_v1, fleet, small.payloads[1]) == (DIGITS / "models" / "v1-int8.tflite").read_bytes()
    assert manifest.for_microcontrollers


def test_golden_outputs_are_those_of_tflm_near_those_of_litert(fleet: Fleet, digits_v1: Path) -> None:
    manifest = opened(digits_v1, fleet)

    def outputs(at: int) -> np.ndarray:
        golden = Golden.from_bytes(payload_bytes(digits_v1, fleet, manifest.variants[at].golden.payload))
        return np.array([np.frombuffer(sample.outputs[0].data, "<f4") for sample in golden.samples])

    litert, tflm = outputs(0), outputs(2)
    assert tflm.shape == (4, 10)
    assert np.max(np.abs(tflm - litert)) <= manifest.variants[2].golden.tolerance
    assert np.array_equal(tflm.argmax(axis=1), litert.argmax(axis=1))


def test_the_arena_is_the_least_that_loads(micro_recipe: Recipe, tmp_path: Path) -> None:
    """Found anew from outside: 64 bytes less, and TFLM does not take the model."""
    import subprocess
    import sys

    model = DIGITS / "models" / "v1-int8.tflite"
    needed = attempt(micro_recipe(model, DIGITS / "models" / "samples.npz")).arena_bytes
    assert needed % 64 == 0

    def loads(size: int) -> bool:
        code = f"from tflite_micro import runtime; runtime.Interpreter.from_file({str(model)!r}, arena_size={size})"
        return subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0

    assert loads(needed)
    assert not loads(needed - 64)


def test_a_model_needs_more_arena_for_more_data(micro_recipe: Recipe, tmp_path: Path) -> None:
    found = []
    for length in (4, 20_000):
        samples = tmp_path / "s.npy"
        np.save(samples, np.ones((4, length), np.int8))
        found.append(attempt(micro_recipe(tflite_models.one_op(tmp_path / "m.tflite", length=length), samples)))
    assert found[1].arena_bytes - found[0].arena_bytes >= 2 * 20_000 - 128
    assert found[0].io.inputs[0].quantization is not None
    assert found[0].tolerance == 2.0
    assert [(op.opcode, op.version) for op in found[0].ops] == [("RELU", 1)]


@pytest.mark.parametrize(
    ("count", "length", "golden", "recorded"),
    [(16, 4, "", 4), (2, 4, "", 2), (16, 20_000, "", 1), (16, 4, "samples = 6", 6), (16, 20_000, "samples = 3", 3)],
)
def test_golden_samples_do_not_waste_flash(
    micro_recipe: Recipe, tmp_path: Path, count: int, length: int, golden: str, recorded: int
) -> None:
    samples = tmp_path / "s.npy"
    np.save(samples, np.ones((count, length), np.int8))
    model = tflite_models.one_op(tmp_path / "m.tflite", length=length)
    trial = attempt(micro_recipe(model, samples, variant=f"[variant.golden]\n{golden}"))
    assert trial.samples == len(Golden.from_bytes(trial.golden).samples) == recorded
    assert len(trial.golden) <= 65536 + 1024 or golden


def test_samples_of_the_whole_recipe_are_no_order_to_a_microcontroller(micro_recipe: Recipe, tmp_path: Path) -> None:
    samples = tmp_path / "s.npy"
    np.save(samples, np.ones((16, 4), np.int8))
    path = micro_recipe(tflite_models.one_op(tmp_path / "m.tflite"), samples, top="[golden]\nsamples = 16")
    assert attempt(path).samples == 4


def test_boards_that_cannot_run_it_are_named_and_the_bundle_is_refused(
    fleet: Fleet, micro_recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = tmp_path / "s.npy"
    np.save(samples, np.ones((4, 20_000), np.int8))
    model = tflite_models.one_op(tmp_path / "m.tflite", length=20_000)
    path = micro_recipe(model, samples, boards=f"{BOARD}, {SMALL}")
    out = tmp_path / "out"
    out.mkdir()
    assert run("build", path, "--keys", fleet.folder, "--out", out) == 1
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("packager: tflm-int8: m.tflite cannot run on m0: flash: ")
    assert "bytes are needed, the device has 40960; arena: 4" in said
    assert said.endswith("use a smaller model or fewer golden samples, or leave such boards out")
    assert "m4" not in said
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("arena", "says"),
    [
        (0.5, "arena_kib must be 1 to"),
        (4, "arena_kib allows 4096 bytes, but v1-int8.tflite needs 6144: raise it to 6, or leave it out"),
    ],
)
def test_too_little_arena_asked_for_is_refused(
    fleet: Fleet, micro_recipe: Recipe, tmp_path: Path, arena: float, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = DIGITS / "models" / "v1-int8.tflite"
    path = micro_recipe(model, DIGITS / "models" / "samples.npz", variant=f"arena_kib = {arena}")
    assert run("build", path, "--keys", fleet.folder, "--out", tmp_path) == 2
    assert says in capsys.readouterr().err


def test_more_arena_may_be_asked_for_and_everything_is_shown(
    fleet: Fleet, micro_recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = DIGITS / "models" / "v1-int8.tflite"
    top = "stores = ['plain-flash', 'locked']"
    path = micro_recipe(model, DIGITS / "models" / "samples.npz", variant="arena_kib = 20", top=top)
    bundle = tmp_path / "x.dnb"
    assert run("build", path, "--keys", fleet.folder, "--out", bundle, "--json") == 0
    built = json.loads(capsys.readouterr().out)
    assert run("inspect", bundle, "--keys", fleet.folder, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    fit = shown["variants"][0]["fit"]
    assert (fit["arena_bytes"], fit["stores"]) == (20480, ["locked", "plain-flash"])
    assert built["variants"][0]["arena_bytes"] == fit["arena_bytes"]
    assert built["variants"][0]["flash_bytes"] == fit["flash_bytes"]
    assert ["CONV_2D", 1] in fit["ops"]
    assert {payload["chunk_bytes"] for payload in shown["payloads"]} == {4096}
    assert run("inspect", bundle) == 0
    text = capsys.readouterr().out
    assert "tflm-int8   tflm of any version, m4" in text
    assert "needs    arena 20480 bytes, slot 45056 bytes, a model only in locked or plain-flash" in text
    assert run("verify", bundle, "--keys", fleet.folder, "--json") == 0
    assert json.loads(capsys.readouterr().out)["opened"] is True


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: tflite_models.one_op(path, "ATAN2"), "operators that TFLM has: Didn't find op .* 'ATAN2'"),
        (
            lambda path: tflite_models.unknown_custom(path, DIGITS / "models" / "v1-int8.tflite"),
            "the firmware has neither custom operators nor variables, so not frobnicate: use a model without them",
        ),
        (
            lambda path: tflite_models.one_op(path, "VAR_HANDLE"),
            "nor variables, so not VAR_HANDLE: use a model without",
        ),
        (lambda path: tflite_models.one_op(path, buffers=False), "it crashed tflm .SIGSEGV."),
        (lambda path: _written(path, b"\x1c\x00\x00\x00TFL3" + b"\xff" * 40), "is refused: "),
        (lambda path: _written(path, (DIGITS / "models" / "v1-int8.tflite").read_bytes()[:9000]), "is refused: "),
        (lambda path: DIGITS / "models" / "v1-int8.onnx", "is not a TFLite file"),
    ],
)
def test_a_bad_model_is_refused(micro_recipe: Recipe, tmp_path: Path, make: object, says: str) -> None:
    assert callable(make)
    model = make(tmp_path / "bad.tflite")
    with pytest.raises(ModelRefusedError, match=says) as caught:
        attempt(micro_recipe(model))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"tflm-int8: {model.name} is refused: ")


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_a_float_model_that_tflm_runs_is_packed_with_a_warning(
    fleet: Fleet, micro_recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = tmp_path / "s.npy"
    np.save(samples, np.ones((4, 4), np.float32))
    model = tflite_models.one_op(tmp_path / "m.tflite", dtype=tflite_models.FLOAT32)
    assert run("build", micro_recipe(model, samples), "--keys", fleet.folder, "--out", tmp_path) == 0
    assert "warning: tflm-int8: no tensor of the model is int8: is this the quantized" in capsys.readouterr().err


def test_samples_of_another_type_are_refused(micro_recipe: Recipe, tmp_path: Path) -> None:
    samples = tmp_path / "s.npy"
    np.save(samples, np.ones((4, 4), np.float32))
    with pytest.raises(SampleError, match="'x' is float32, but the model takes int8"):
        attempt(micro_recipe(tflite_models.one_op(tmp_path / "m.tflite"), samples))


def test_without_the_kernels_nothing_is_tried(
    micro_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "tflite_micro" else find_spec(name, *rest)
    )
    with pytest.raises(
        PackagerError, match=r"not installed: use x86-64 Linux, and pip install 'dunlin-packager.tflm.'"
    ):
        attempt(micro_recipe(tflite_models.one_op(tmp_path / "m.tflite")))


def test_a_manifest_too_large_for_a_microcontroller_says_what_to_shorten(
    fleet: Fleet, micro_recipe: Recipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    boards = ", ".join(
        f'{{ hardware = "{"a-board-of-a-long-name-" * 2}{at:02}", arena_kib = 64, slot_kib = 512 }}' for at in range(32)
    )
    model = tflite_models.renamed(tmp_path / "m.tflite", DIGITS / "models" / "v1-int8.tflite", 250)
    names = np.load(DIGITS / "models" / "samples.npz")
    samples = tmp_path / "s.npz"
    np.savez(samples, **{name.ljust(250, "_"): names[name] for name in names.files})
    top = f"labels = '{DIGITS / 'models' / 'labels.txt'}'"
    several = micro_recipe(model, samples, boards=boards, top=top)
    text = several.read_text() + "[variant.budget]\np95_ms = 1000\n"
    for kind in ("tflite-int8", "tflite-uint8", "tflite-float16", "tflite-float32"):
        text += f"[[variant]]\nkind = '{kind}'\nmodel = '{model}'\n"
    several.write_text(text)
    assert run("build", several, "--keys", fleet.folder, "--out", tmp_path) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert "bytes, 4096 are allowed: build the microcontroller's variant in a bundle of its own" in said
    assert not list(tmp_path.glob("*.dnb*"))


def test_the_bounds_of_a_manifest_for_microcontrollers(digits_v1: Path, fleet: Fleet) -> None:
    manifest = opened(digits_v1, fleet)
    micro.check_manifest(manifest, LIMITS.manifest_tflm_bytes)
    with pytest.raises(
        RecipeError, match=r"4097 bytes, 4096 are allowed: build the microcontroller's variant in a bund"
    ):
        micro.check_manifest(manifest, LIMITS.manifest_tflm_bytes + 1)
    linux = replace(manifest, variants=manifest.variants[:2], payloads=manifest.payloads[:5])
    micro.check_manifest(linux, LIMITS.manifest_bytes)
    with pytest.raises(RecipeError, match="8193 bytes, 8192 are allowed: build fewer variants in one bundle"):
        micro.check_manifest(linux, LIMITS.manifest_bytes + 1)


def test_a_large_model_beside_a_microcontrollers_has_too_many_chunks(digits_v1: Path, fleet: Fleet) -> None:
    manifest = opened(digits_v1, fleet)
    most = MCU_LIMITS.index_pages * LIMITS.page_leaves
    others = sum(payload.chunk_count for payload in manifest.payloads) - manifest.payloads[1].chunk_count

    def with_chunks(count: int) -> Manifest:
        length = count << 17
        model = replace(
            manifest.payloads[1],
            plaintext_length=length,
            ciphertext_length=length + 16 * count,
            chunk_count=count,
        )
        return replace(manifest, payloads=(manifest.payloads[0], model, *manifest.payloads[2:]))

    micro.check_manifest(with_chunks(most - others), 1000)
    with pytest.raises(RecipeError, match=f"has {most + 1} chunks, and one with a microcontroller's variant {most} at"):
        micro.check_manifest(with_chunks(most - others + 1), 1000)


@pytest.mark.parametrize(
    ("ops", "inputs", "outputs", "says"),
    [
        (64, 4, 4, None),
        (65, 1, 1, "m.tflite has 65 different operators, and a microcontroller takes 64: use a simpler model"),
        (1, 5, 1, "m.tflite has 5 inputs, and a microcontroller takes 4"),
        (1, 1, 5, "m.tflite has 5 outputs, and a microcontroller takes 4"),
    ],
)
def test_too_much_of_something_for_a_microcontroller(
    micro_recipe: Recipe, tmp_path: Path, ops: int, inputs: int, outputs: int, says: str | None
) -> None:
    variant = recipes.load(micro_recipe(tflite_models.one_op(tmp_path / "m.tflite")), {}).variants[0]
    tensor = Tensor(name="x", dtype="int8", shape=(1,))
    io = Io(inputs=(tensor,) * inputs, outputs=(tensor,) * outputs)
    listed = tuple(Op(opcode=f"OP_{at:03}", version=1) for at in range(ops))
    needs = Fit(runtime="tflm", min_version=(0, 0, 0), ops=listed, arena_bytes=1024)
    if says is None:
        micro.check_runs(variant, io, needs)
        return
    with pytest.raises(ModelRefusedError, match=says):
        micro.check_runs(variant, io, needs)


REAL = {
    # file: (shape of one sample, bytes of arena on a Cortex-M4 with the same kernels, found by halving in QEMU)
    "hello_world_int8.tflite": ((1,), 1068),
    "micro_speech_quantized.tflite": ((1960,), 6800),
    "kws_int8.tflite": ((49, 10, 1), 22_772),
    "vww_96_int8.tflite": ((96, 96, 3), 100_660),
}


@pytest.mark.parametrize("file", REAL)
def test_real_models_need_a_little_more_arena_here_than_on_a_cortex_m4(
    micro_recipe: Recipe, tmp_path: Path, shared_data: Path, file: str
) -> None:
    shape, on_cortex_m4 = REAL[file]
    samples = tmp_path / "random.npy"
    np.save(samples, np.random.default_rng(7).integers(-128, 127, (4, *shape), dtype=np.int8))
    trial = attempt(micro_recipe(shared_data / file, samples))
    assert on_cortex_m4 <= trial.arena_bytes <= on_cortex_m4 * 1.03 + 1600
    assert trial.io.inputs[0].dtype == trial.io.outputs[0].dtype == "int8"
    assert trial.tolerance >= 2.0
    assert trial.notes == ()


@pytest.mark.parametrize(
    ("file", "says"),
    [
        (
            "bad_model_invoking_error.tflite",
            "neither custom operators nor variables, so not fake-op-double: use a model without",
        ),
        ("kws_float32.tflite", "needs int8 weights and activations, .*Hybrid models are not supported"),
        ("mobilenet_v1_0.25_128_quant.tflite", "needs int8 weights and activations, "),
    ],
)
def test_real_models_that_tflm_does_not_run_are_refused(
    micro_recipe: Recipe, shared_data: Path, file: str, says: str
) -> None:
    with pytest.raises(ModelRefusedError, match=says) as caught:
        attempt(micro_recipe(shared_data / file))
    assert "\n" not in str(caught.value)
