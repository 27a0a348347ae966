"""A board infers as this machine's TFLM does, on real models, within the tolerance that the release signs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demo import application
from demo.fleet import DIGITS
from demo.said import Seen
from hil.fleet import Rig, World, same
from hil.releases import DATA, Release, digits, sample_inputs

SHAPES = {
    "hello_world_int8": (1,),
    "micro_speech_quantized": (1960,),
    "kws_int8": (49, 10, 1),
    "vww_96_int8": (96, 96, 3),
}
COUNT = 4
"""Inferences of which a board prints the outputs."""


def release_of(name: str, world: World, folder: Path) -> Release:
    """A release of one of the models, for computers too: one bundle for a whole fleet."""
    if name == "digits":
        model = DIGITS / "models" / "v2-int8.tflite"
        return digits("2.6.0", 2, world.hardware, also={"tflite-int8": model})
    model = DATA / f"{name}.tflite"
    if not model.is_file():
        pytest.skip(f"{model} is not on this machine")
    samples = sample_inputs(folder / f"{name}.npy", SHAPES[name])
    short = name.replace("_", "-")
    return Release(short, "1.0.0", model, samples, world.hardware, also={"tflite-int8": model})


@pytest.mark.parametrize("name", ["digits", *SHAPES])
def test_parity(enrolled: Rig, world: World, tmp_path: Path, name: str) -> None:
    wanted = release_of(name, world, tmp_path)
    enrolled.model = wanted.name
    digest = world.release(wanted)
    enrolled.roll_out(digest)
    enrolled.settles(digest)
    if not enrolled.board.simulated:
        return  # its golden self-test, whose outputs are those of this machine's TFLM, is why it serves

    board = enrolled.simulated
    tests = [one for one in board.seen.self_tests if same(one["release"], digest)]
    assert [one["ok"] for one in tests] == [True]

    def printed(seen: Seen) -> list[Mapping[str, Any]] | None:
        of_it = [one for one in seen.outputs if same(one["release"], digest)]
        return of_it[:COUNT] if len(of_it) >= COUNT else None

    said = board.wait(f"outputs of {COUNT} inferences", printed)
    with world.bundle(world.key(wanted)) as bundle:
        (variant,) = [one for one in bundle.release.manifest.variants if one.kind == "tflm-int8"]
    dtype = np.dtype(variant.io.outputs[0].dtype)
    expected = application.outputs(wanted.model, [one["k"] for one in said])
    for one, right in zip(said, expected, strict=True):
        found = np.frombuffer(bytes.fromhex(one["values"][0]), dtype).astype(float)
        want = np.frombuffer(right[0], dtype).astype(float)
        assert found.size == want.size > 0
        assert np.abs(found - want).max() <= variant.golden.tolerance
