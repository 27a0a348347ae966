"""Releases of any size: the second digits release with a large tensor in it that nothing reads."""

from pathlib import Path

import numpy as np
import onnx

from demo import reference
from demo.fleet import DIGITS, MODEL


def bulky_recipe(directory: Path, version: str, size_bytes: int) -> Path:
    """Write an ONNX model with `size_bytes` of noise, which no compression takes away, and its recipe.

    It predicts as 2.0.0 does.
    """
    directory.mkdir(parents=True, exist_ok=True)
    model = onnx.load(reference.model_file("2.0.0", "onnxruntime"))
    noise = np.random.default_rng(7).integers(0, 256, size_bytes, dtype=np.uint8)
    model.graph.initializer.append(onnx.numpy_helper.from_array(noise, "bulk"))
    onnx.save(model, directory / f"bulky-{version}.onnx")
    recipe = directory / f"bulky-{version}.toml"
    recipe.write_text(
        f'name = "{MODEL}"\nversion = "{version}"\ncounter = 1\nsamples = "{DIGITS / "models" / "samples.npz"}"\n'
        "[budget]\np95_ms = 50\nmemory_mb = 512\n"
        f'[[variant]]\nkind = "onnx-int8"\nmodel = "bulky-{version}.onnx"\n'
    )
    return recipe
