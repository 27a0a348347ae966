"""Runtime adapters: the real runtimes, loaded from sealed memory, and what they refuse."""

import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from dunlin_contract.manifest import Io
from fleet_agent.runtimes import installed
from fleet_agent.runtimes.errors import (
    IoMismatchError,
    ModelLoadError,
    ModelRunError,
    RuntimeMissingError,
    runtime_call,
    scrub,
)
from fleet_agent.runtimes.protocol import Session, load
from tests.agent import local_api_models as models
from tests.agent.local_api_models import io
from tests.agent.local_api_parts import memfd

MAKERS = {"onnxruntime": (models.add, models.ADD_IO), "litert": (models.litert_add, models.LITERT_IO)}


@pytest.fixture(params=MAKERS)
def runtime(request: pytest.FixtureRequest) -> str:
    return request.param


def session(runtime: str, folder: Path, wanted: Io | None = None, data: bytes | None = None) -> Session:
    make, usual = MAKERS[runtime]
    fd = memfd(make(folder / "model", 2.5).read_bytes() if data is None else data)
    try:
        return load(runtime, f"/proc/self/fd/{fd}", wanted or usual, 1)
    finally:
        os.close(fd)


def test_runs_from_sealed_memory_after_the_descriptor_is_closed(runtime: str, tmp_path: Path) -> None:
    x = np.arange(4, dtype="float32").reshape(1, 4)
    (y,) = session(runtime, tmp_path).run([x])
    np.testing.assert_array_equal(y, x + 2.5)


def test_outputs_of_one_run_survive_the_next(runtime: str, tmp_path: Path) -> None:
    model = session(runtime, tmp_path)
    (first,) = model.run([np.zeros((1, 4), "float32")])
    model.run([np.ones((1, 4), "float32")])
    assert first.tolist() == [[2.5] * 4]


def test_litert_follows_a_free_size(tmp_path: Path) -> None:
    wanted = io(("x", "float32", (-1, 4)), ("y", "float32", (-1, 4)))
    model = session("litert", tmp_path, wanted, models.litert_add(tmp_path / "free", 1, rows=-1).read_bytes())
    for rows in (1, 3, 2, 2):
        (y,) = model.run([np.full((rows, 4), rows, "float32")])
        assert y.tolist() == [[rows + 1.0] * 4] * rows


def test_tensors_come_in_the_manifests_order(tmp_path: Path) -> None:
    wanted = io(
        ("b", "float64", (2, 2)), ("a", "int32", (2,)), ("b2", "float64", (2, 2)), ("a2", "int32", (2,)), outputs=2
    )
    model = load("onnxruntime", str(models.pair(tmp_path / "pair")), wanted, 1)
    b2, a2 = model.run([np.full((2, 2), 3.0), np.array([1, 2], "int32")])
    assert (a2.tolist(), b2.tolist()) == ([2, 4], [[9.0, 9.0], [9.0, 9.0]])


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (io(("z", "float32", (1, 4)), ("y", "float32", (1, 4))), "no input 'z'"),
        (io(("x", "int8", (1, 4)), ("y", "float32", (1, 4))), "'x' is float32 in the model, int8"),
        (io(("x", "float32", (1, 5)), ("y", "float32", (1, 4))), "4 in the model, 1x5 in the manifest"),
        (io(("x", "float32", (4,)), ("y", "float32", (1, 4))), "'x' is"),
        (io(("x", "float32", (1, -1)), ("y", "float32", (1, 4))), "4 in the model, 1x? in the manifest"),
        (io(("x", "float32", (1, 4)), ("y", "float64", (1, 4))), "output 'y' is float32"),
        (io(("x", "float32", (1, 4)), ("y", "float32", (1, 4)), ("y2", "float32", (1, 4)), outputs=2), "2 outputs"),
    ],
)
def test_other_tensors_than_the_manifests_are_refused(runtime: str, tmp_path: Path, wanted: Io, says: str) -> None:
    with pytest.raises(IoMismatchError, match=re.escape(says)):
        session(runtime, tmp_path, wanted)


@pytest.mark.parametrize("data", [b"", b"no model at all", bytes(4096)])
def test_garbage_is_refused(runtime: str, tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ModelLoadError) as caught:
        session(runtime, tmp_path, data=data)
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


def test_a_failing_run_is_reported_and_the_model_lives_on(tmp_path: Path) -> None:
    model = session("onnxruntime", tmp_path)
    with pytest.raises(ModelRunError, match="ONNX Runtime failed"):
        model.run([np.zeros((1, 5), "float32")])
    assert model.run([np.zeros((1, 4), "float32")])[0].tolist() == [[2.5] * 4]


def test_an_exception_that_holds_the_model_is_scrubbed() -> None:
    weights = bytes(range(256)) * 4000
    for text in (repr(weights), "bad argument: " + weights.hex(), "x" * 10_000, "a\x00\x1b[31mb\nsecond line"):
        line = scrub(TypeError(text))
        assert len(line) <= 240
        assert line.isprintable()
        assert "\\x" not in line
        assert weights.hex()[:80] not in line
        assert "second line" not in line


def test_the_chain_behind_a_scrubbed_exception_is_cut() -> None:
    with pytest.raises(ModelLoadError) as caught, runtime_call(ModelLoadError, "it broke"):
        raise TypeError("secret weights")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_installed_runtimes_are_told_from_the_folders_of_their_distributions() -> None:
    import ai_edge_litert
    import onnxruntime

    versions = {info.name: ".".join(map(str, info.version)) for info in installed.installed()}
    assert versions["onnxruntime"] == onnxruntime.__version__
    assert versions["litert"] == ai_edge_litert.__version__
    assert installed.missing() == {}


def test_a_missing_runtime_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "numpy-2.0.dist-info").mkdir()
    (tmp_path / "onnxruntime_gpu-1.20.1+cu12.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path), "/nowhere"])
    installed._distributions.cache_clear()
    try:
        assert [(info.name, info.version) for info in installed.installed()] == [("onnxruntime", (1, 20, 1))]
        with pytest.raises(RuntimeMissingError, match=r"ai-edge-litert .* 'dunlin-agent\[litert\]'"):
            installed.find("litert")
        with pytest.raises(RuntimeMissingError, match="knows no runtime 'tensorrt'"):
            installed.find("tensorrt")
        (tmp_path / "numpy-2.0.dist-info").rmdir()
        installed._distributions.cache_clear()
        with pytest.raises(RuntimeMissingError, match="numpy is not on this device"):
            installed.find("onnxruntime")
    finally:
        installed._distributions.cache_clear()
