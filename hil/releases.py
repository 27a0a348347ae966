"""The releases that scenarios roll out, built by the packager from recipes that are written here."""

import copy
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from demo.fleet import DIGITS
from dunlin_contract.golden import Golden
from model_packager import boards, cli, micro
from model_packager.trial import parent

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
"""Models of other people; a fresh machine does not have this folder."""
BOARD_KIB = 1024
"""Arena and slot that recipes promise of a board; what a board really has is found out on the board."""
P95_MS = 60_000
"""QEMU is no microcontroller: how long something takes there says nothing."""


@dataclass(frozen=True, slots=True)
class Release:
    """What to build. ``hardware``: classes of boards; ``also``: kinds of variants besides that for microcontrollers."""

    name: str
    version: str
    model: Path
    samples: Path
    hardware: Sequence[str]
    labels: Path | None = None
    counter: int = 1
    arena_kib: int = 0
    stores: Sequence[str] = ()
    also: Mapping[str, Path] | None = None


def digits(version: str, network: int, hardware: Sequence[str], **other: Any) -> Release:
    """One of the example's three networks under any version."""
    models = DIGITS / "models"
    made = Release(
        name="digits",
        version=version,
        model=models / f"v{network}-int8.tflite",
        samples=models / "samples.npz",
        hardware=hardware,
        labels=models / "labels.txt",
    )
    return replace(made, **other)


def recipe(release: Release, directory: Path) -> Path:
    """Write the recipe of a release; its path."""
    lines = [
        f"name = {json.dumps(release.name)}",
        f"version = {json.dumps(release.version)}",
        f"counter = {release.counter}",
        f"samples = {json.dumps(str(release.samples))}",
    ]
    lines += [f"labels = {json.dumps(str(release.labels))}"] if release.labels is not None else []
    lines += [f"stores = {json.dumps(release.stores)}"] if release.stores else []
    for kind, model in (release.also or {}).items():
        lines += _variant(kind, model)
    boards = ", ".join(
        f'{{ hardware = "{name}", arena_kib = {BOARD_KIB}, slot_kib = {BOARD_KIB} }}'
        for name in sorted(release.hardware)
    )
    lines += [*_variant("tflm-int8", release.model)[:-1], f"boards = [{boards}]"]
    lines += [f"arena_kib = {release.arena_kib}"] if release.arena_kib else []
    lines += [f"budget.p95_ms = {P95_MS}"]
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{release.name}-{release.version}.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def _variant(kind: str, model: Path) -> list[str]:
    return ["[[variant]]", f'kind = "{kind}"', f"model = {json.dumps(str(model))}", f"budget.p95_ms = {P95_MS}"]


def build_with_wrong_answers(recipe_file: Path, keys: Path, out: Path) -> None:
    """Build a bundle that is right in everything but its golden outputs: a model that is not what was trained."""
    real = parent.run

    def run(*arguments: Any) -> parent.Trial:
        trial = real(*arguments)
        return replace(trial, golden=_opposite(Golden.from_bytes(trial.golden)).to_bytes())

    with mock.patch.object(parent, "run", run):
        _build(recipe_file, keys, out)


def build_unchecked(recipe_file: Path, keys: Path, out: Path) -> None:
    """Build a bundle though no board can take it: the packager's own checks of that are left out."""

    def stores(_check: object, words: Sequence[str], _kinds: object) -> tuple[str, ...]:
        return tuple(sorted(words))

    with mock.patch.object(boards, "stores", stores), mock.patch.object(micro, "check_runs"):
        _build(recipe_file, keys, out)


def _build(recipe_file: Path, keys: Path, out: Path) -> None:
    arguments = ["build", str(recipe_file), "--keys", str(keys), "--out", str(out), "--json"]
    if code := cli.main(arguments):
        raise RuntimeError(f"packager {' '.join(arguments)} failed with status {code}")


def _opposite(golden: Golden) -> Golden:
    """The same samples, with the top bit of every byte of the outputs turned over."""
    samples = []
    for sample in golden.samples:
        outputs = [replace(one, data=bytes(byte ^ 0x80 for byte in one.data)) for one in sample.outputs]
        samples.append(replace(sample, outputs=tuple(outputs)))
    return replace(golden, samples=tuple(samples))


def sample_inputs(path: Path, shape: Iterable[int], seed: int = 1) -> Path:
    """Four random int8 inputs of a shape, as the packager takes them."""
    data = np.random.default_rng(seed).integers(-128, 128, (4, *shape), dtype=np.int8)
    np.save(path, data)
    return path


def with_relu(model: Path, out: Path) -> Path:
    """The same model with one more operator, RELU, before its last one."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    graph = schema.ModelT.InitFromPackedBuf(model.read_bytes(), 0)
    (network,) = graph.subgraphs
    last = network.operators[-1]
    source = last.inputs[0]
    network.tensors.append(copy.deepcopy(network.tensors[source]))
    network.tensors[-1].name = b"relu"
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.RELU
    code.version = 1
    graph.operatorCodes.append(code)
    relu = schema.OperatorT()
    relu.opcodeIndex = len(graph.operatorCodes) - 1
    relu.inputs, relu.outputs = [source], [len(network.tensors) - 1]
    last.inputs = [relu.outputs[0], *last.inputs[1:]]
    network.operators.insert(len(network.operators) - 1, relu)
    builder = flatbuffers.Builder(0)
    builder.Finish(graph.Pack(builder), file_identifier=b"TFL3")
    out.write_bytes(bytes(builder.Output()))
    return out
