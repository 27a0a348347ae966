"""The recipe's closed vocabulary: what is refused, in which words, with which exit code."""

from pathlib import Path

import pytest

from model_packager import cli, recipe
from model_packager.errors import RecipeError
from tests.model_packager.conftest import DIGITS, Fleet, Recipe


def load(path: Path, **overrides: object) -> recipe.Recipe:
    return recipe.load(path, overrides)


@pytest.mark.parametrize(("name", "micro"), [("v1", ["tflm-int8"]), ("v2", ["tflm-int8"]), ("v3", [])])
def test_the_digits_recipes_are_valid(name: str, micro: list[str]) -> None:
    found = load(DIGITS / f"{name}.toml")
    assert found.version == f"{name[1]}.0.0"
    assert [variant.kind for variant in found.variants] == ["tflite-int8", "onnx-int8", *micro]
    assert all(variant.model.is_file() for variant in found.variants)


@pytest.mark.parametrize(
    ("parts", "line", "says"),
    [
        ({"top": "lables = 'x'"}, 5, "unknown key 'lables'; did you mean 'labels'?"),
        ({"budget": "p95ms = 3"}, 7, "unknown key 'budget.p95ms'; did you mean 'p95_ms'?"),
        ({"variant": "hardwares = []"}, 11, "unknown key 'variant.hardwares'; did you mean 'hardware'?"),
        ({"top": "zzz = 1"}, 5, "unknown key 'zzz'; known are name, version"),
        ({"kind": "tflite-in8"}, 9, "kind 'tflite-in8' is not known; did you mean 'tflite-int8'?"),
        ({"budget": "p95_ms = 'fast'"}, 7, "budget.p95_ms must be a number"),
        ({"budget": "p95_ms = true"}, 7, "budget.p95_ms must be a number"),
        ({"budget": "p95_ms = nan"}, 7, "p95_ms must be"),
        ({"budget": "memory_mb = 3"}, 6, "budget.p95_ms is missing"),
        ({"variant": "min_version = '2.x'"}, 11, "min_version '2.x' is not three numbers"),
        ({"top": "labels = 'nowhere.txt'"}, 5, "labels: there is no file"),
        ({"variant": "hardware = [3]"}, 11, "hardware must be a list of hardware classes"),
        ({"variant": "[variant.golden]\nsamples = 0"}, 4, "samples must be 1 to 256"),
    ],
)
def test_a_mistake_is_named_with_its_line(recipe: Recipe, parts: dict[str, str], line: int, says: str) -> None:
    path = recipe(**parts)
    with pytest.raises(RecipeError) as caught:
        load(path)
    assert says in str(caught.value)
    assert str(caught.value).startswith(f"{path}:{line}: ")


BOARD = "{ hardware = 'm4', arena_kib = 64, slot_kib = 512 }"
MICRO = {"kind": "tflm-int8", "variant": f"boards = [{BOARD}]"}


@pytest.mark.parametrize(
    ("parts", "line", "says"),
    [
        ({"variant": ""}, 9, "tflm-int8 needs boards, 1 to 32 tables such as { hardware = "),
        ({"variant": "boards = []"}, 11, "tflm-int8 needs boards, 1 to 32 tables"),
        ({"variant": "boards = ['m4']"}, 11, "tflm-int8 needs boards, 1 to 32 tables"),
        ({"variant": "boards = [{ hardware = 'm4', arena_kib = 64 }]"}, 11, "a board lacks slot_kib: write it as {"),
        ({"variant": "boards = [{ class = 'm4' }]"}, 11, "unknown key 'board.class'; known are hardware, arena_kib"),
        ({"variant": "boards = [{ hardware = 'm4', arena_kb = 64 }]"}, 11, "did you mean 'arena_kib'?"),
        (
            {"variant": "boards = [{ hardware = 'm4', arena_kib = '64 KB', slot_kib = 512 }]"},
            11,
            "board.arena_kib must be a number",
        ),
        ({"variant": "boards = [{ hardware = 'm4', arena_kib = 64, slot_kib = 0 }]"}, 11, "slot_kib must be 1 to"),
        ({"variant": "boards = [{ hardware = '', arena_kib = 64, slot_kib = 64 }]"}, 11, "as devices report them"),
        (
            {"variant": f"boards = [{BOARD}, {BOARD}]"},
            11,
            "two are of one hardware class; keep the smaller",
        ),
        ({"variant": "hardware = ['m4']"}, 11, "tflm-int8 takes boards instead of hardware"),
        ({"variant": f"{MICRO['variant']}\n[variant.budget]\nmemory_mb = 1"}, 13, "tflm-int8 promises no memory_mb"),
        ({"kind": "tflite-int8"}, 11, "boards is for microcontrollers: tflite-int8 has hardware and budget.memory_mb"),
        ({"kind": "tflite-int8", "variant": "arena_kib = 3"}, 11, "arena_kib is for microcontrollers"),
        ({"kind": "tflm-float32"}, 9, "kind 'tflm-float32' is not known; did you mean "),
        ({"top": "stores = ['encrypted']"}, 5, "stores: 'encrypted' is not known; known are locked, no-swap"),
        (
            {"top": "stores = ['locked', 'no-swap']"},
            5,
            "stores refuses every device that tflm-int8 is for: accept plain-flash, or leave the variant out",
        ),
        (
            {"kind": "onnx-int8", "variant": "", "top": "stores = ['plain-flash']"},
            5,
            "stores refuses every device that onnx-int8 is for: accept locked or no-swap or swappable, or leave",
        ),
    ],
)
def test_a_mistake_about_microcontrollers_is_named_with_its_line(
    recipe: Recipe, parts: dict[str, str], line: int, says: str
) -> None:
    path = recipe(**{**MICRO, **parts})
    with pytest.raises(RecipeError) as caught:
        load(path)
    assert says in str(caught.value)
    assert str(caught.value).startswith(f"{path}:{line}: ")


def test_a_microcontroller_beside_other_devices_promises_a_latency_of_its_own(recipe: Recipe) -> None:
    path = recipe(**MICRO)
    model = DIGITS / "models" / "v1-int8.tflite"
    alone = path.read_text()
    assert load(path).variants[0].p95_us == 1_000_000
    path.write_text(f"{alone}[[variant]]\nkind = 'tflite-int8'\nmodel = '{model}'\n")
    with pytest.raises(RecipeError, match=r":9: tflm-int8 needs a p95_ms of its own in .variant.budget.: a microcontr"):
        load(path)


def test_every_key_of_a_microcontroller_is_read(recipe: Recipe) -> None:
    top = "stores = ['plain-flash', 'locked', 'locked']\n[golden]\nsamples = 9\ntolerance = 3"
    boards = f"boards = [{BOARD}, {{ hardware = 'm0', arena_kib = 1.5, slot_kib = 96 }}]"
    found = load(
        recipe(kind="tflm-int8", top=top, budget="p95_ms = 9\nmemory_mb = 3", variant=f"{boards}\narena_kib = 9")
    )
    one = found.variants[0]
    assert (found.stores, one.runtime, one.hardware) == (("locked", "plain-flash"), "tflm", ("m0", "m4"))
    assert [(board.arena_bytes, board.slot_bytes) for board in one.boards] == [(65536, 524_288), (1536, 98_304)]
    assert (one.p95_us, one.memory_bytes, one.arena_bytes, one.micro) == (9000, 0, 9216, True)
    assert (one.golden.samples, one.golden.most_bytes, one.golden.tolerance) == (4, 65536, 3.0)


def test_every_known_key_is_read(recipe: Recipe) -> None:
    top = (
        f"valid_days = 3\nlabels = '{DIGITS / 'models' / 'labels.txt'}'\n"
        "[golden]\nsamples = 2\ntolerance = 0.5\ntop1_permille = 900\n"
        "[preprocess]\nheight = 8\nwidth = 9\nlayout = 'NHWC'\ncolor = 'grey'\nmean = [1]\nstd = [2.5]\n"
        "[postprocess]\nsoftmax = true\ntop_k = 3\n"
    )
    variant = "hardware = ['b', 'a']\nmin_version = '2.1.0'\n[variant.budget]\np95_ms = 2.5\nmemory_mb = 7"
    found = load(recipe(top=top, variant=variant))
    one = found.variants[0]
    assert (found.valid_days, found.labels) == (3, DIGITS / "models" / "labels.txt")
    assert found.preprocess is not None
    assert (found.preprocess.width, found.preprocess.mean, found.preprocess.std) == (9, (1.0,), (2.5,))
    assert found.postprocess is not None
    assert (found.postprocess.softmax, found.postprocess.top_k) == (True, 3)
    assert (one.golden.samples, one.golden.tolerance, one.golden.top1_permille) == (2, 0.5, 900)
    assert (one.p95_us, one.memory_bytes, one.hardware, one.min_version) == (2500, 7_000_000, ("a", "b"), (2, 1, 0))


def test_flags_override_the_file(recipe: Recipe) -> None:
    found = load(recipe(), version="1.2.3", counter=9, p95_ms=0.5, name=None)
    assert (found.name, found.version, found.counter, found.variants[0].p95_us) == ("digits", "1.2.3", 9, 500)


@pytest.mark.parametrize("version", ["1.0", "v1.0.0", "01.0.0", "1.0.0+build"])
def test_a_version_that_is_not_semantic_is_refused(recipe: Recipe, version: str) -> None:
    with pytest.raises(RecipeError, match="not a semantic version"):
        load(recipe(), version=version)


@pytest.mark.parametrize("name", ["Digits", "a_b", "../x", "", "a" * 33])
def test_a_name_that_cannot_be_a_model_is_refused(recipe: Recipe, name: str) -> None:
    with pytest.raises(RecipeError, match="lower-case letters"):
        load(recipe(), name=name)


def test_samples_are_needed(recipe: Recipe) -> None:
    with pytest.raises(RecipeError, match="samples is missing: tflite-int8 needs inputs"):
        load(recipe(samples=None))


def test_not_toml_and_not_there(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("name = \n")
    with pytest.raises(RecipeError, match="not TOML"):
        load(path)
    with pytest.raises(RecipeError, match="No such file"):
        load(tmp_path / "none.toml")


def test_a_typo_ends_the_command_with_2(
    recipe: Recipe, fleet: Fleet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recipe(top="conter = 3")
    assert cli.main(["build", str(path), "--keys", str(fleet.folder), "--out", str(tmp_path)]) == 2
    errors = capsys.readouterr().err
    assert errors == f"packager: {path}:5: unknown key 'conter'; did you mean 'counter'?\n"
