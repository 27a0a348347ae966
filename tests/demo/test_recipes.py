"""The releases of the demo on a machine on which TensorFlow Lite Micro does not run."""

import tomllib
from pathlib import Path

import pytest

from demo import firmware, recipes
from demo.fleet import DIGITS


@pytest.mark.parametrize("version", ["1.0.0", "2.0.0", "3.0.0"])
def test_without_the_variant_for_microcontrollers_the_rest_stays(
    tmp_path: Path, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firmware, "no_tflm", lambda: "there is no wheel")
    copy = recipes.digits(version, tmp_path)
    whole, left = (tomllib.loads(path.read_text()) for path in (DIGITS / copy.name, copy))
    assert copy.parent == tmp_path
    assert left.pop("variant") == [one for one in whole.pop("variant") if one["kind"] != "tflm-int8"]
    assert left == whole
    assert (tmp_path / left["samples"]).read_bytes() == (DIGITS / left["samples"]).read_bytes()


def test_where_it_runs_the_recipe_is_the_example_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firmware, "no_tflm", lambda: "")
    assert recipes.digits("1.0.0", tmp_path) == DIGITS / "v1.toml"
