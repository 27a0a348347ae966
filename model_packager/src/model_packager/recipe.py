"""The recipe, ``model.toml``: read, checked, and turned into what ``build`` works from."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from dunlin_contract import ids
from dunlin_contract.limits import LIMITS
from dunlin_contract.manifest import MICRO_RUNTIME, Postprocess, Preprocess
from dunlin_contract.vocabulary import Checks, suggestion
from model_packager import boards
from model_packager.boards import Board
from model_packager.errors import RecipeError
from model_packager.words import VOCABULARY

RUNTIME_OF_FORMAT = {"tflite": "litert", "onnx": "onnxruntime", "tflm": MICRO_RUNTIME}
KINDS = (
    *(f"{form}-{number}" for form in ("tflite", "onnx") for number in ("int8", "uint8", "float16", "float32")),
    "tflm-int8",
)
DEFAULT_VALID_DAYS = 730
DEFAULT_GOLDEN_SAMPLES = 16
MICRO_GOLDEN_SAMPLES = 4
DEFAULT_BINS = 10
"""Tenths, as is usual for the population stability index."""
MICRO_GOLDEN_BYTES = 65536
"""Unless a microcontroller's variant asks for more: golden samples lie in the flash that the model needs."""
_LEAST_STD, _MOST_MEAN = 1e-9, 1e30


@dataclass(frozen=True, slots=True)
class Golden:
    """How many samples to record, and what may differ on a device; None: measured.

    ``most_bytes``: of the samples' tensors; fewer are recorded where they would be more, but always one.
    """

    samples: int
    tolerance: float | None
    top1_permille: int | None
    most_bytes: int = LIMITS.golden_bytes


@dataclass(frozen=True, slots=True)
class BaselineRecipe:
    """What devices are to compare their requests with. ``classes``: the first output is one score a class.

    ``softmax``: the scores become confidences by softmax.
    """

    samples: Path
    bins: int
    classes: bool
    softmax: bool


@dataclass(frozen=True, slots=True)
class VariantRecipe:
    """One variant to build. Paths are absolute; ``p95_us`` in microseconds; ``min_version`` None: derived.

    ``boards`` and ``arena_bytes`` (at least so many; 0: as measured) are for microcontrollers only.
    """

    kind: str
    runtime: str
    model: Path
    samples: Path
    p95_us: int
    memory_bytes: int
    golden: Golden
    baseline: BaselineRecipe | None
    hardware: tuple[str, ...]
    min_version: tuple[int, int, int] | None
    boards: tuple[Board, ...] = ()
    arena_bytes: int = 0

    @property
    def micro(self) -> bool:
        """Whether it is for microcontrollers."""
        return self.runtime == MICRO_RUNTIME


@dataclass(frozen=True, slots=True)
class Recipe:
    """A whole recipe, checked. ``labels`` is absolute; ``postprocess`` has no labels index yet.

    ``stores``: the model stores that the release accepts, ascending; empty: any.
    """

    name: str
    version: str
    counter: int
    valid_days: int
    stores: tuple[str, ...]
    labels: Path | None
    preprocess: Preprocess | None
    postprocess: Postprocess | None
    variants: tuple[VariantRecipe, ...]


def load(path: Path, overrides: Mapping[str, object]) -> Recipe:
    """Read a recipe; ``overrides`` (top-level keys, and ``p95_ms``) win over the file, None means: not given.

    Raises:
        RecipeError: naming the file, the key and, where it can be found, the line.
    """
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise RecipeError(f"{path}: {reason}; name a recipe file (model.toml)") from None
    try:
        table = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{path}: not TOML: {error}") from None
    return _Reader(path, source).recipe(table, {key: value for key, value in overrides.items() if value is not None})


class _Reader:
    """Turns a parsed recipe into the checked one."""

    def __init__(self, path: Path, source: str) -> None:
        self._check = Checks(path, source, VOCABULARY, RecipeError)

    def recipe(self, table: dict[str, Any], overrides: dict[str, object]) -> Recipe:
        p95_ms = overrides.pop("p95_ms", None)
        relative_to_shell: set[str] = {"labels", "samples"} & overrides.keys()
        table = {**table, **overrides}
        self._check.words("", table)
        if p95_ms is not None:
            table["budget"] = {**table.get("budget", {}), "p95_ms": p95_ms}
        for key in relative_to_shell:  # paths given as flags start where the user stands, not where the recipe lies
            table[key] = str(Path(cast("str", table[key])).absolute())
        for key in ("name", "version", "counter", "variant"):
            if key not in table:
                self._check.fail(f"{key} is missing", None)
        name, version = table["name"], table["version"]
        if not ids.is_model(name):
            self._check.fail(f"name {name!r}: use lower-case letters, digits and '-', at most 32", "name")
        if not ids.is_version(version):
            self._check.fail(f"version {version!r} is not a semantic version such as 1.4.0", "version")
        counter = self._check.number(table, "counter", 0, LIMITS.counter)
        valid_days = self._check.number(table, "valid_days", 1, 36500) if "valid_days" in table else DEFAULT_VALID_DAYS
        variants = tuple(self._variant(table, one) for one in table["variant"])
        kinds = [variant.kind for variant in variants]
        if not 1 <= len(kinds) <= LIMITS.variants or len(set(kinds)) != len(kinds):
            self._check.fail(
                f"one to {LIMITS.variants} [[variant]] tables are expected, each of a kind of its own", "variant"
            )
        return Recipe(
            name=name,
            version=version,
            counter=counter,
            valid_days=valid_days,
            stores=boards.stores(self._check, table.get("stores", []), [(one.kind, one.micro) for one in variants]),
            labels=self._check.file(table["labels"], "labels") if "labels" in table else None,
            preprocess=self._preprocess(table.get("preprocess")),
            postprocess=self._postprocess(table.get("postprocess"), "labels" in table),
            variants=variants,
        )

    def _variant(self, table: dict[str, Any], one: Any) -> VariantRecipe:
        if not isinstance(one, dict):
            self._check.fail("variant must be [[variant]] tables", "variant")
        self._check.words("variant", one)
        for key in ("kind", "model"):
            if key not in one:
                self._check.fail(f"a [[variant]] lacks {key}", "variant")
        kind = one["kind"]
        if kind not in KINDS:
            self._check.fail(f"kind {kind!r} is not known{suggestion(kind, KINDS)}", kind)
        samples = one.get("samples", table.get("samples"))
        if samples is None:
            self._check.fail(
                f"samples is missing: {kind} needs inputs (.npz or .npy) to record golden outputs from", None
            )
        budget = {**table.get("budget", {}), **one.get("budget", {})}
        if "p95_ms" not in budget:
            self._check.fail("budget.p95_ms is missing: promise a latency that devices may hold the model to", "budget")
        runtime = RUNTIME_OF_FORMAT[kind.partition("-")[0]]
        golden = self._golden({**table.get("golden", {}), **one.get("golden", {})})
        found: tuple[Board, ...] = ()
        if runtime == MICRO_RUNTIME:
            boards.own_words(self._check, one, alone=len(table["variant"]) == 1)
            found = boards.boards(self._check, one)
            budget.pop("memory_mb", None)  # the others' promise
            if "samples" not in one.get("golden", {}):
                count = min(golden.samples, MICRO_GOLDEN_SAMPLES)
                golden = replace(golden, samples=count, most_bytes=MICRO_GOLDEN_BYTES)
        for key in ("boards", "arena_kib"):
            if key in one and runtime != MICRO_RUNTIME:
                self._check.fail(f"{key} is for microcontrollers: {kind} has hardware and budget.memory_mb", key)
        hardware = [board.hardware for board in found] or one.get("hardware", [])
        return VariantRecipe(
            kind=kind,
            runtime=runtime,
            model=self._check.file(one["model"], "model"),
            samples=self._check.file(samples, "samples"),
            p95_us=round(self._check.real(budget, "p95_ms", 0.001, 4e6) * 1000),
            memory_bytes=round(self._check.real(budget, "memory_mb", 0, 1e8) * 1e6) if "memory_mb" in budget else 0,
            golden=golden,
            baseline=self._baseline(table, one, runtime),
            hardware=boards.hardware(self._check, hardware),
            min_version=self._min_version(one.get("min_version")),
            boards=found,
            arena_bytes=boards.kib(self._check, one, "arena_kib") if "arena_kib" in one else 0,
        )

    def _golden(self, table: dict[str, Any]) -> Golden:
        count = (
            self._check.number(table, "samples", 1, LIMITS.golden_samples)
            if "samples" in table
            else DEFAULT_GOLDEN_SAMPLES
        )
        tolerance = self._check.real(table, "tolerance", 0, 1e30) if "tolerance" in table else None
        top1 = self._check.number(table, "top1_permille", 0, 1000) if "top1_permille" in table else None
        return Golden(count, tolerance, top1)

    def _baseline(self, table: dict[str, Any], one: dict[str, Any], runtime: str) -> BaselineRecipe | None:
        wanted = {**table.get("baseline", {}), **one.get("baseline", {})}
        if runtime == MICRO_RUNTIME:
            if "baseline" in one:
                self._check.fail(
                    "baseline is not for microcontrollers: they count nothing of their requests", "baseline"
                )
            return None
        if not wanted:
            return None
        if "samples" not in wanted:
            self._check.fail("baseline.samples is missing: name inputs (.npz or .npy) as they should be", "baseline")
        post = self._postprocess(table.get("postprocess"), "labels" in table)
        return BaselineRecipe(
            samples=self._check.file(wanted["samples"], "samples"),
            bins=self._check.number(wanted, "bins", 2, LIMITS.bins) if "bins" in wanted else DEFAULT_BINS,
            classes=post is not None,
            softmax=post is not None and post.softmax,
        )

    def _preprocess(self, table: dict[str, Any] | None) -> Preprocess | None:
        if table is None:
            return None
        for key in ("height", "width", "layout", "color"):
            if key not in table:
                self._check.fail(f"preprocess.{key} is missing", "preprocess")
        if table["layout"] not in ("NHWC", "NCHW") or table["color"] not in ("rgb", "grey"):
            self._check.fail("preprocess: layout is NHWC or NCHW, color is rgb or grey", "preprocess")
        channels = 3 if table["color"] == "rgb" else 1
        numbers = {}
        for key, usual in (("mean", 0.0), ("std", 1.0)):
            values = table.get(key, [usual] * channels)
            least = _LEAST_STD if key == "std" else -_MOST_MEAN
            fits = len(values) == channels and all(
                type(value) in (int, float) and least <= value <= _MOST_MEAN for value in values
            )
            if not fits:
                self._check.fail(f"preprocess.{key} must be {channels} number(s) from {least:g} to {_MOST_MEAN:g}", key)
            numbers[key] = tuple(float(value) for value in values)
        return Preprocess(
            height=self._check.number(table, "height", 1, 65535),
            width=self._check.number(table, "width", 1, 65535),
            layout=table["layout"],
            color=table["color"],
            mean=numbers["mean"],
            std=numbers["std"],
        )

    def _postprocess(self, table: dict[str, Any] | None, labels: bool) -> Postprocess | None:
        if table is None and not labels:
            return None
        table = table or {}
        top_k = self._check.number(table, "top_k", 1, 1000) if "top_k" in table else 1
        return Postprocess(softmax=table.get("softmax", False), top_k=top_k)

    def _min_version(self, text: str | None) -> tuple[int, int, int] | None:
        if text is None:
            return None
        match = re.fullmatch(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})", text, re.ASCII)
        if match is None:
            self._check.fail(f"min_version {text!r} is not three numbers such as 1.20.0", "min_version")
        major, minor, patch = (int(number) for number in match.groups())
        return major, minor, patch
