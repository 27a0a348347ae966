"""Models and samples that must be refused before anything is signed, each with one clear line."""

import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from dunlin_contract.golden import Golden
from model_packager import recipe as recipes
from model_packager.errors import ModelRefusedError, SampleError
from model_packager.trial import measure, parent
from model_packager.trial.parent import Trial
from tests.model_packager import onnx_models, tflite_models
from tests.model_packager.conftest import DIGITS, Recipe


def attempt(path: Path, timeout_s: float = 120) -> Trial:
    return parent.run(recipes.load(path, {}).variants[0], timeout_s)


def write_samples(folder: Path, **arrays: np.ndarray) -> Path:
    path = folder / "samples.npz"
    np.savez(path, **arrays)
    return path


@pytest.fixture
def four(tmp_path: Path) -> Path:
    """Samples for the small ONNX models."""
    return write_samples(tmp_path, x=np.ones((4, 4), np.float32))


@pytest.mark.parametrize(("kind", "suffix"), [("tflite-int8", "tflite"), ("onnx-int8", "onnx")])
def test_the_signature_is_read_and_the_golden_outputs_are_the_runtimes(recipe: Recipe, kind: str, suffix: str) -> None:
    model = DIGITS / "models" / f"v2-int8.{suffix}"
    trial = attempt(recipe(kind=kind, model=model))
    assert [(t.name, t.dtype, t.shape) for t in trial.io.inputs] == [("image", "float32", (1, 8, 8, 1))]
    assert [(t.name, t.dtype, t.shape) for t in trial.io.outputs] == [("scores", "float32", (1, 10))]
    golden = Golden.from_bytes(trial.golden)
    assert len(golden.samples) == 4
    for sample in golden.samples:
        image = np.frombuffer(sample.inputs[0].data, "<f4").reshape(1, 8, 8, 1)
        expected = np.frombuffer(sample.outputs[0].data, "<f4")
        assert np.array_equal(_run_outside(model, image), expected)
    assert trial.tolerance > 0
    assert trial.min_version == ((2, 0, 0) if suffix == "tflite" else (1, 20, 0))
    assert any(op.opcode.upper().startswith("CONV") for op in trial.ops)
    assert 10_000_000 < trial.memory_bytes < 1_000_000_000
    assert trial.p50_us <= trial.p95_us


def _run_outside(model: Path, image: np.ndarray) -> np.ndarray:
    if model.suffix == ".onnx":
        import onnxruntime

        return np.asarray(onnxruntime.InferenceSession(model).run(None, {"image": image})[0])[0]
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(model), num_threads=1)
    return np.asarray(interpreter.get_signature_runner()(image=image)["scores"])[0]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (onnx_models.unknown_op, "ONNX Runtime does not take it: .*Frobnicate"),
        (onnx_models.not_finite, "output 'y' is not finite for sample 1"),
        (onnx_models.text_input, "input 'x' is of type tensor.string., which no device can be sent"),
    ],
)
def test_a_bad_onnx_model_is_refused(recipe: Recipe, tmp_path: Path, four: Path, make: object, says: str) -> None:
    assert callable(make)
    if make is onnx_models.not_finite:
        four = write_samples(tmp_path, x=-np.ones((4, 4), np.float32))
    path = recipe(kind="onnx-float32", model=make(tmp_path / "bad.onnx"), samples=four)
    with pytest.raises(ModelRefusedError, match=says) as caught:
        attempt(path)
    assert str(caught.value).startswith("onnx-float32: bad.onnx is refused: ")
    assert "\n" not in str(caught.value)


def test_weights_in_other_files_are_refused(recipe: Recipe, tmp_path: Path) -> None:
    samples = write_samples(tmp_path, x=np.ones((4, 1024), np.float32))
    path = recipe(kind="onnx-float32", model=onnx_models.external_weights(tmp_path / "m.onnx"), samples=samples)
    with pytest.raises(ModelRefusedError, match="keeps its weights in other files"):
        attempt(path)


def test_an_unknown_tflite_operator_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    bad = tflite_models.unknown_custom(tmp_path / "bad.tflite", DIGITS / "models" / "v1-int8.tflite")
    with pytest.raises(ModelRefusedError, match="unresolved custom op: frobnicate") as caught:
        attempt(recipe(model=bad))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "model", "says"),
    [
        ("onnx-int8", DIGITS / "models" / "v1-int8.tflite", "is a TFLite file: name an .onnx file"),
        ("tflite-int8", DIGITS / "models" / "v1-int8.onnx", "is not a TFLite file"),
        ("tflite-int8", DIGITS / "README.md", "is not a TFLite file"),
        ("onnx-int8", DIGITS / "README.md", "ONNX Runtime does not take it"),
    ],
)
def test_a_file_of_another_format_is_refused(recipe: Recipe, kind: str, model: Path, says: str) -> None:
    with pytest.raises(ModelRefusedError, match=says):
        attempt(recipe(kind=kind, model=model))


@pytest.mark.parametrize("suffix", ["tflite", "onnx"])
def test_a_model_cut_short_is_refused(recipe: Recipe, tmp_path: Path, suffix: str) -> None:
    whole = (DIGITS / "models" / f"v1-int8.{suffix}").read_bytes()
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelRefusedError, match="is refused: "):
        attempt(recipe(kind=f"{suffix}-int8", model=cut))


def test_a_model_that_hangs_is_refused(recipe: Recipe, tmp_path: Path, four: Path) -> None:
    path = recipe(kind="onnx-float32", model=onnx_models.endless(tmp_path / "endless.onnx"), samples=four)
    with pytest.raises(ModelRefusedError, match="did not finish within 3 s"):
        attempt(path, timeout_s=3)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import os; os.abort()", "crashed litert .SIGABRT."),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed, perhaps for want of memory"),
        ("import sys; sys.exit('kernel panic')", "exit code 1.: kernel panic"),
        ("pass", "its trial said nonsense"),
        ("import os, sys; os.write(int(sys.argv[1]), b'\\xa0')", "ended in disorder"),
    ],
)
def test_whatever_happens_to_the_child_the_model_is_refused(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch, code: str, says: str
) -> None:
    monkeypatch.setattr(parent, "_CHILD", (sys.executable, "-c", f"import sys; sys.stdin.read(); {code}"))
    with pytest.raises(ModelRefusedError, match=says):
        attempt(recipe())


def test_the_childs_runtime_reports_to_nobody(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import os, sys; sys.stdin.read(); sys.exit('telemetry ' + os.environ.get('ORT_DISABLE_TELEMETRY', '?'))"
    monkeypatch.setattr(parent, "_CHILD", (sys.executable, "-c", code))
    with pytest.raises(ModelRefusedError, match=r"telemetry 1$"):
        attempt(recipe())


def test_the_child_is_told_no_token(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import os, sys; sys.stdin.read(); sys.exit(','.join(n for n in os.environ if 'DUNLIN' in n) or 'none')"
    monkeypatch.setattr(parent, "_CHILD", (sys.executable, "-c", code))
    monkeypatch.setenv("DUNLIN_TOKEN", "secret")
    with pytest.raises(ModelRefusedError, match=r"exit code 1.: none$"):
        attempt(recipe())


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((4, 8, 9, 1), np.float32), r"'image' is \[4, 8, 9, 1\], but the model takes float32 \[1, 8, 8, 1\]"),
        (np.zeros((4, 64), np.float32), r"'image' is \[4, 64\], but the model takes float32 \[1, 8, 8, 1\]"),
        (np.zeros((4, 8, 8, 1)), "'image' is float64, but the model takes float32"),
        (np.zeros((4, 8, 8, 1), np.int8), "'image' is int8, but the model takes float32"),
        (np.zeros((0, 8, 8, 1), np.float32), "holds no samples"),
        (np.full((4, 8, 8, 1), np.nan, np.float32), "holds values that are not finite"),
    ],
)
def test_samples_that_do_not_match_are_refused(recipe: Recipe, tmp_path: Path, array: np.ndarray, says: str) -> None:
    with pytest.raises(SampleError, match=says) as caught:
        attempt(recipe(samples=write_samples(tmp_path, image=array)))
    assert str(tmp_path) in str(caught.value)


def test_samples_of_other_names_and_other_files_are_refused(recipe: Recipe, tmp_path: Path) -> None:
    zeros = np.zeros((4, 8, 8, 1), np.float32)
    with pytest.raises(SampleError, match="has no array 'image'; it holds 'pictures', 'more'"):
        attempt(recipe(samples=write_samples(tmp_path, pictures=zeros, more=zeros)))
    with pytest.raises(SampleError, match=r"not a .npy or .npz file"):
        attempt(recipe(samples=DIGITS / "README.md"))
    pickled = tmp_path / "pickled.npy"
    np.save(pickled, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(SampleError, match=r"not a .npy or .npz file of plain arrays"):
        attempt(recipe(samples=pickled))


@pytest.mark.parametrize("shape", [(3, 8, 8, 1), (3, 1, 8, 8, 1)])
def test_samples_may_be_stacked_either_way(recipe: Recipe, tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "one.npy"
    np.save(path, np.linspace(0, 1, 192, dtype=np.float32).reshape(shape))
    golden = Golden.from_bytes(attempt(recipe(samples=path)).golden)
    assert [sample.inputs[0].shape for sample in golden.samples] == [(1, 8, 8, 1)] * 3


def test_free_dimensions_and_several_tensors(recipe: Recipe, tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    x = helper.make_tensor_value_info("x", TensorProto.INT64, ["batch", 4])
    y = helper.make_tensor_value_info("y", TensorProto.INT64, ["batch", 4])
    model = onnx_models.identity(tmp_path / "free.onnx", x=x, y=y)
    samples = write_samples(tmp_path, x=np.arange(8, dtype=np.int64).reshape(2, 4))
    trial = attempt(recipe(kind="onnx-float32", model=model, samples=samples))
    assert trial.io.inputs[0].shape == (-1, 4)
    assert [sample.outputs[0].shape for sample in Golden.from_bytes(trial.golden).samples] == [(1, 4), (1, 4)]
    assert trial.tolerance == 2.0


def test_tolerance_is_twice_the_spread_with_a_floor() -> None:
    outputs = [[np.array([0.0, 10.0], np.float32)], [np.array([3.0, 2.0], np.float32)]]
    others = [[np.array([0.0, 10.0], np.float32)], [np.array([3.5, 2.0], np.float32)]]
    assert measure.spread(outputs, others) == 0.5
    assert measure.tolerance(outputs, 0.5, quantized=True) == 1.0
    assert measure.tolerance(outputs, 0.0, quantized=True) == pytest.approx(0.2)
    assert measure.tolerance(outputs, 0.0, quantized=False) == pytest.approx(0.01)
    assert measure.tolerance([[np.array([1, 2], np.int8)]], 0.0, quantized=True) == 2.0
    assert measure.tolerance([[np.array([1, 2], np.int8)]], 37.0, quantized=True) == 74.0


def test_top1_counts_only_samples_that_the_tolerance_cannot_flip() -> None:
    outputs = [[np.array([[0.0, 10.0]])], [np.array([[3.0, 2.0]])], [np.array([5.0])]]
    assert measure.top1_permille(outputs, 0.4) == 1000
    assert measure.top1_permille(outputs, 0.5) == 666


@pytest.mark.parametrize(
    ("file", "kind", "dtype", "shape", "quantized"),
    [
        ("kws_int8.tflite", "tflite-int8", "int8", (49, 10, 1), True),
        ("mobilenet_v1_0.25_128_quant.tflite", "tflite-uint8", "uint8", (128, 128, 3), True),
        ("vww_96_float32.tflite", "tflite-float32", "float32", (96, 96, 3), False),
    ],
)
def test_real_models_run(
    recipe: Recipe,
    tmp_path: Path,
    shared_data: Path,
    file: str,
    kind: str,
    dtype: str,
    shape: tuple[int, ...],
    quantized: bool,
) -> None:
    random = np.random.default_rng(7).integers(0, 127, (4, *shape)).astype(dtype)
    samples = tmp_path / "random.npy"
    np.save(samples, random)
    trial = attempt(recipe(kind=kind, model=shared_data / file, samples=samples))
    assert trial.io.inputs[0].dtype == dtype
    assert (trial.io.inputs[0].quantization is not None) == quantized
    assert trial.samples == 4


def test_a_real_model_that_fails_at_invoke_is_refused(recipe: Recipe, tmp_path: Path, shared_data: Path) -> None:
    samples = tmp_path / "samples.npy"
    np.save(samples, np.zeros((4, 3), np.uint8))
    with pytest.raises(ModelRefusedError, match="unresolved custom op: fake-op-double"):
        attempt(recipe(model=shared_data / "bad_model_invoking_error.tflite", samples=samples))


def test_nothing_of_a_trial_is_left_in_the_temporary_folder(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    attempt(recipe())
    assert list(folder.iterdir()) == []
