"""Recipes of the digits' releases, as this machine can build them."""

import re
from pathlib import Path

from demo import firmware
from demo.fleet import DIGITS

_VARIANT = re.compile(r"^\[\[variant\]\]\n(?:(?!^\[\[).*\n?)*", re.MULTILINE)


def digits(version: str, directory: Path) -> Path:
    """The recipe of a release, or a copy in `directory` without the variant for microcontrollers.

    The packager tries every variant, and TensorFlow Lite Micro does not run on all machines.
    """
    recipe = DIGITS / f"v{version[0]}.toml"
    return without_microcontrollers(recipe, directory) if firmware.no_tflm() else recipe


def without_microcontrollers(recipe: Path, directory: Path) -> Path:
    """Copy a recipe of the example without its variant for microcontrollers; the copy's path."""
    directory.mkdir(parents=True, exist_ok=True)
    models = directory / "models"
    if not models.exists():
        models.symlink_to(DIGITS / "models")
    copy = directory / recipe.name
    copy.write_text(_VARIANT.sub(lambda one: "" if 'kind = "tflm' in one[0] else one[0], recipe.read_text()))
    return copy


def only(text: str, kind: str) -> str:
    """A recipe's text without the variants of other kinds than ``kind`` (``tflite``, ``onnx``)."""
    return _VARIANT.sub(lambda one: one[0] if f'kind = "{kind}' in one[0] else "", text)
