"""The baseline: what it holds, who may be without one, and that a device counts as it was made."""

from pathlib import Path

import numpy as np
import pytest

from dunlin_contract.bundle import BundleFile
from dunlin_contract.drift import SHARES, Baseline, Feature, ks, psi
from dunlin_contract.manifest import Io, Quantization, Tensor
from fleet_agent import frames
from fleet_agent.worker.quality import Quality
from model_packager import cli, keyfolder
from model_packager import recipe as recipes
from model_packager.errors import RecipeError, SampleError
from model_packager.trial import parent
from model_packager.trial.baseline import Measuring, edges_of, shares
from model_packager.trial.parent import Trial
from tests.model_packager import onnx_models
from tests.model_packager.conftest import DIGITS, Fleet, Recipe

CALIBRATION = DIGITS / "models" / "calibration.npz"
ONNX = DIGITS / "models" / "v2-int8.onnx"


def attempt(path: Path) -> Trial:
    return parent.run(recipes.load(path, {}).variants[0], 120)


def table(samples: Path, more: str = "") -> str:
    return f"[baseline]\nsamples = '{samples}'\n{more}"


def measured(path: Path) -> Baseline:
    found = attempt(path).baseline
    assert found is not None
    return Baseline.from_bytes(found)


def counted(io: Io, baseline: Baseline, sets: list[tuple[list[np.ndarray], list[np.ndarray]]]) -> list[list[int]]:
    """What a device's worker counts of the same requests."""
    quality = Quality(io, baseline.to_bytes())
    for inputs, outputs in sets:
        tensors = [
            [
                frames.Tensor(spec.name, frames.BY_NAME[spec.dtype], array.shape, array.tobytes())
                for spec, array in zip(specs, arrays, strict=True)
            ]
            for specs, arrays in ((io.inputs, inputs), (io.outputs, outputs))
        ]
        quality.count(1, *tensors)
    drift = quality.counts()["drift"]
    assert isinstance(drift, list)
    return drift


@pytest.mark.parametrize(("kind", "suffix"), [("tflite-int8", "tflite"), ("onnx-int8", "onnx")])
def test_the_digits_baseline_is_about_their_classes_and_their_pictures(recipe: Recipe, kind: str, suffix: str) -> None:
    model = DIGITS / "models" / f"v2-int8.{suffix}"
    post = "[postprocess]\nsoftmax = true"
    made = measured(recipe(kind=kind, model=model, top=table(CALIBRATION) + post))
    found = {(one.side, one.tensor, one.what): one for one in made.features}
    assert list(found) == [
        ("output", "scores", "class"),
        ("output", "scores", "confidence"),
        ("input", "image", "mean"),
        ("input", "image", "deviation"),
    ]
    assert found["output", "scores", "class"].edges == tuple(index + 0.5 for index in range(9))
    # Ten digits about equally often, tenths of everything else.
    for one in made.features:
        assert sum(one.expected) == SHARES
        if one.what != "confidence":
            assert all(0.05 < share / SHARES < 0.15 for share in one.expected)
    confident = found["output", "scores", "confidence"]
    assert 0 < confident.edges[0] < confident.edges[-1] < 1


def test_without_postprocess_the_answer_is_no_classification(recipe: Recipe) -> None:
    made = measured(recipe(kind="onnx-int8", model=ONNX, top=table(CALIBRATION, "bins = 4\n")))
    assert [(one.side, one.what) for one in made.features] == [
        ("output", "mean"), ("output", "deviation"), ("input", "mean"), ("input", "deviation"),
    ]  # fmt: skip
    assert all(len(one.expected) == 4 for one in made.features)


def test_variants_may_have_samples_of_their_own_and_microcontrollers_have_none(recipe: Recipe, tmp_path: Path) -> None:
    other = tmp_path / "other.npz"
    np.savez(other, image=np.zeros((50, 8, 8, 1), "float32"))
    own = recipes.load(recipe(top=table(CALIBRATION), variant=f"[variant.baseline]\nsamples = '{other}'"), {})
    assert own.variants[0].baseline is not None
    assert own.variants[0].baseline.samples == other
    micro = 'boards = [{ hardware = "host", arena_kib = 128, slot_kib = 1024 }]'
    small = recipes.load(recipe(kind="tflm-int8", top=table(CALIBRATION), variant=micro), {})
    assert small.variants[0].baseline is None
    with pytest.raises(RecipeError, match="baseline is not for microcontrollers"):
        recipes.load(recipe(kind="tflm-int8", variant=f"{micro}\n[variant.baseline]\nsamples = '{other}'"), {})


@pytest.mark.parametrize(
    ("top", "says"),
    [
        ("[baseline]\nbins = 10", "baseline.samples is missing"),
        ("[baseline]\nsample = 'x'", "unknown key 'baseline.sample'; did you mean 'samples'"),
        ("[baseline]\nsamples = 'nowhere.npz'", "samples: there is no file .*nowhere.npz"),
        (table(CALIBRATION, "bins = 1\n"), "bins must be 2 to 32"),
        (table(CALIBRATION, "bins = 33\n"), "bins must be 2 to 32"),
        (table(CALIBRATION, "bins = true\n"), "baseline.bins must be a whole number"),
        ("baseline = 'x.npz'", "baseline must be a table"),
    ],
)
def test_a_recipe_that_says_it_wrong_is_told_so(recipe: Recipe, top: str, says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        recipes.load(recipe(top=top), {})


def test_samples_that_are_not_the_models_or_too_few_are_refused(recipe: Recipe, tmp_path: Path) -> None:
    few = tmp_path / "few.npz"
    np.savez(few, image=np.zeros((9, 8, 8, 1), "float32"))
    with pytest.raises(SampleError, match="baseline: 9 samples for 10 bins: give more samples, at least 200"):
        attempt(recipe(kind="onnx-int8", model=ONNX, top=table(few)))
    np.savez(few, image=np.zeros((50, 9, 9, 1), "float32"))
    with pytest.raises(SampleError, match=r"'image' is \[50, 9, 9, 1\], but the model takes"):
        attempt(recipe(kind="onnx-int8", model=ONNX, top=table(few)))
    np.savez(few, image=np.zeros((50, 8, 8, 1), "float32"))
    notes = attempt(recipe(kind="onnx-int8", model=ONNX, top=table(few))).notes
    assert any("the baseline has only 50 samples: give at least 200" in note for note in notes)


def test_what_never_changes_has_a_bin_of_its_own(recipe: Recipe, tmp_path: Path) -> None:
    flat = tmp_path / "flat.npz"
    np.savez(flat, x=np.full((40, 4), 7.0, "float32"))
    path = recipe(kind="onnx-float32", model=onnx_models.identity(tmp_path / "m.onnx"), samples=flat, top=table(flat))
    for one in measured(path).features:
        assert one.expected == (0, SHARES, 0)
        assert one.edges[0] < (7.0 if one.what == "mean" else 0.0) < one.edges[1]


def test_edges_lie_between_values_and_split_them_evenly() -> None:
    assert edges_of([1.0, 2.0, 3.0, 4.0], 2) == [2.5]
    assert edges_of([1.0] * 50 + [2.0] * 50, 10) == [1.5]
    assert edges_of([0.0] * 90 + [1.0] * 9 + [5.0], 10) == [0.5]
    many = sorted(np.random.default_rng(1).normal(size=1000).tolist())
    edges = edges_of(many, 10)
    assert len(edges) == 9
    assert not set(edges) & set(many)
    assert set(np.histogram(many, [-99, *edges, 99])[0]) == {100}


def test_shares_are_whole_and_whole_together() -> None:
    assert shares([0, 1, 2], 3) == (21845, 21845, 21845)
    assert shares([0, 0, 0, 0, 0, 0, 1], 2) == (56173, 9362)
    assert sum(shares(list(range(31)) * 7, 32)) == SHARES
    assert shares([1], 2) == (0, SHARES)


ROWS = Io(
    inputs=(Tensor(name="x", dtype="int8", shape=(-1, 5), quantization=Quantization(scale=0.5, zero_point=-3)),),
    outputs=(
        Tensor(name="y", dtype="float32", shape=(-1, 4)),
        Tensor(name="one", dtype="float32", shape=(-1, 1)),
    ),
)
FIXED = Io(
    inputs=(Tensor(name="x", dtype="uint8", shape=(2, 3)), Tensor(name="flag", dtype="bool", shape=(1,))),
    outputs=(Tensor(name="y", dtype="float32", shape=(1, 4)),),
)


@pytest.mark.parametrize("softmax", [False, True])
@pytest.mark.parametrize("io", [ROWS, FIXED], ids=["rows", "fixed"])
def test_a_device_counts_what_the_packager_expects(io: Io, softmax: bool) -> None:
    """Two programs, one definition: what the baseline is made of falls exactly as its shares say."""
    from dataclasses import replace

    from dunlin_contract.manifest import Postprocess

    random = np.random.default_rng(3)

    def arrays(specs: tuple[Tensor, ...]) -> list[np.ndarray]:
        made = []
        for spec in specs:
            shape = tuple(1 if size < 0 else size for size in spec.shape)
            made.append((random.normal(size=shape) * 40).astype(spec.dtype))
        return made

    io = replace(io, postprocess=Postprocess(softmax=softmax, top_k=1))
    sets = [(arrays(io.inputs), arrays(io.outputs)) for _ in range(300)]
    measuring = Measuring(io, classes=True, softmax=softmax)
    for inputs, outputs in sets:
        measuring.add(inputs, outputs)
    made = measuring.result(8)
    assert any(one.what == "value" for one in made.features)
    for one, counts in zip(made.features, counted(io, made, sets), strict=True):
        assert sum(counts) == 300
        assert all(abs(count * SHARES / 300 - share) <= 1 for count, share in zip(counts, one.expected, strict=True))


def test_other_pictures_are_far_from_the_baseline(recipe: Recipe) -> None:
    """Upside down and half as bright: the product's reason to count at all."""
    import onnxruntime

    post = "[postprocess]\nsoftmax = true"
    made = measured(recipe(kind="onnx-int8", model=ONNX, top=table(CALIBRATION) + post))
    io = attempt(recipe(kind="onnx-int8", model=ONNX)).io
    session = onnxruntime.InferenceSession(ONNX)
    pictures = np.load(DIGITS / "models" / "test_images.npz")["images"]

    def index(changed: np.ndarray) -> dict[str, float]:
        sets = [([one[None]], [session.run(None, {"image": one[None]})[0]]) for one in changed]
        drift = counted(io, made, sets)
        return {one.what: psi(counts, one.expected) for one, counts in zip(made.features, drift, strict=True)}

    same, other = index(pictures), index(pictures[:, ::-1] * np.float32(0.5))
    assert max(same["class"], same["mean"], same["deviation"]) < 0.1
    assert min(other["mean"], other["deviation"], other["confidence"]) > 0.25


def test_it_travels_as_a_payload_of_its_own(fleet: Fleet, digits_v1: Path) -> None:
    root = keyfolder.read_root(fleet.folder / "root.cose").root
    with BundleFile.open(digits_v1, root) as opened:
        manifest = opened.manifest
    places = {variant.kind: manifest.baseline_payload(variant) for variant in manifest.variants}
    assert places["tflm-int8"] is None
    found = [manifest.payloads[place] for kind, place in places.items() if kind != "tflm-int8" and place is not None]
    assert len(found) == 2
    assert all((one.role, one.format) == ("baseline", "cbor") and one.installed_length < 2000 for one in found)
    assert cli.main(["verify", str(digits_v1), "--keys", str(fleet.folder)]) == 0


def test_the_distance_of_a_baseline_to_itself_is_nothing() -> None:
    one = Feature(side="input", tensor="x", what="mean", edges=(1.0,), expected=(30000, 35535))
    assert psi(one.expected, one.expected) == ks(one.expected, one.expected) == 0
