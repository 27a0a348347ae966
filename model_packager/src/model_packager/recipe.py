"""The recipe, ``model.toml``: a closed vocabulary. A word it does not know is a typo; the right one is suggested."""

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, cast

from dunlin_contract import ids
from dunlin_contract.limits import LIMITS
from dunlin_contract.manifest import Postprocess, Preprocess
from model_packager.errors import RecipeError

RUNTIME_OF_FORMAT = {"tflite": "litert", "onnx": "onnxruntime"}
KINDS = tuple(f"{form}-{number}" for form in RUNTIME_OF_FORMAT for number in ("int8", "uint8", "float16", "float32"))
DEFAULT_VALID_DAYS = 730
DEFAULT_GOLDEN_SAMPLES = 16
_LEAST_STD, _MOST_MEAN = 1e-9, 1e30

_NUMBER = (int, float)
_VOCABULARY: dict[str, dict[str, Any]] = {
    "": {
        "name": str,
        "version": str,
        "counter": int,
        "valid_days": int,
        "labels": str,
        "samples": str,
        "budget": dict,
        "golden": dict,
        "preprocess": dict,
        "postprocess": dict,
        "variant": list,
    },
    "budget": {"p95_ms": _NUMBER, "memory_mb": _NUMBER},
    "golden": {"samples": int, "tolerance": _NUMBER, "top1_permille": int},
    "preprocess": {"height": int, "width": int, "layout": str, "color": str, "mean": list, "std": list},
    "postprocess": {"softmax": bool, "top_k": int},
    "variant": {
        "kind": str,
        "model": str,
        "samples": str,
        "hardware": list,
        "min_version": str,
        "budget": dict,
        "golden": dict,
    },
}
_TYPE_WORDS = {
    str: "text",
    int: "a whole number",
    _NUMBER: "a number",
    dict: "a table",
    list: "a list",
    bool: "true/false",
}


@dataclass(frozen=True, slots=True)
class Golden:
    """How many samples to record, and what may differ on a device; None: measured."""

    samples: int
    tolerance: float | None
    top1_permille: int | None


@dataclass(frozen=True, slots=True)
class VariantRecipe:
    """One variant to build. Paths are absolute; ``p95_us`` in microseconds; ``min_version`` None: derived."""

    kind: str
    runtime: str
    model: Path
    samples: Path
    p95_us: int
    memory_bytes: int
    golden: Golden
    hardware: tuple[str, ...]
    min_version: tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class Recipe:
    """A whole recipe, checked. ``labels`` is absolute; ``postprocess`` has no labels index yet."""

    name: str
    version: str
    counter: int
    valid_days: int
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
    """Checks a parsed recipe. Holds the source only to name lines."""

    def __init__(self, path: Path, source: str) -> None:
        self._path = path
        self._lines = source.splitlines()

    def recipe(self, table: dict[str, Any], overrides: dict[str, object]) -> Recipe:
        p95_ms = overrides.pop("p95_ms", None)
        relative_to_shell: set[str] = {"labels", "samples"} & overrides.keys()
        table = {**table, **overrides}
        self._words("", table)
        if p95_ms is not None:
            table["budget"] = {**table.get("budget", {}), "p95_ms": p95_ms}
        for key in relative_to_shell:  # paths given as flags start where the user stands, not where the recipe lies
            table[key] = str(Path(cast("str", table[key])).absolute())
        for key in ("name", "version", "counter", "variant"):
            if key not in table:
                self._fail(f"{key} is missing", None)
        name, version = table["name"], table["version"]
        if not ids.is_model(name):
            self._fail(f"name {name!r}: use lower-case letters, digits and '-', at most 32", "name")
        if not ids.is_version(version):
            self._fail(f"version {version!r} is not a semantic version such as 1.4.0", "version")
        counter = self._number(table, "counter", 0, LIMITS.counter)
        valid_days = self._number(table, "valid_days", 1, 36500) if "valid_days" in table else DEFAULT_VALID_DAYS
        variants = tuple(self._variant(table, one) for one in table["variant"])
        kinds = [variant.kind for variant in variants]
        if not 1 <= len(kinds) <= LIMITS.variants or len(set(kinds)) != len(kinds):
            self._fail(
                f"one to {LIMITS.variants} [[variant]] tables are expected, each of a kind of its own", "variant"
            )
        return Recipe(
            name=name,
            version=version,
            counter=counter,
            valid_days=valid_days,
            labels=self._file(table["labels"], "labels") if "labels" in table else None,
            preprocess=self._preprocess(table.get("preprocess")),
            postprocess=self._postprocess(table.get("postprocess"), "labels" in table),
            variants=variants,
        )

    def _variant(self, table: dict[str, Any], one: Any) -> VariantRecipe:
        if not isinstance(one, dict):
            self._fail("variant must be [[variant]] tables", "variant")
        self._words("variant", one)
        for key in ("kind", "model"):
            if key not in one:
                self._fail(f"a [[variant]] lacks {key}", "variant")
        kind = one["kind"]
        if kind not in KINDS:
            self._fail(f"kind {kind!r} is not known{_suggestion(kind, KINDS)}", kind)
        samples = one.get("samples", table.get("samples"))
        if samples is None:
            self._fail(f"samples is missing: {kind} needs inputs (.npz or .npy) to record golden outputs from", None)
        budget = {**table.get("budget", {}), **one.get("budget", {})}
        if "p95_ms" not in budget:
            self._fail("budget.p95_ms is missing: promise a latency that devices may hold the model to", "budget")
        hardware = one.get("hardware", [])
        if not all(isinstance(word, str) and 0 < len(word.encode()) <= 64 for word in hardware):
            self._fail("hardware must be a list of hardware classes, as devices report them", "hardware")
        return VariantRecipe(
            kind=kind,
            runtime=RUNTIME_OF_FORMAT[kind.partition("-")[0]],
            model=self._file(one["model"], "model"),
            samples=self._file(samples, "samples"),
            p95_us=round(self._real(budget, "p95_ms", 0.001, 4e6) * 1000),
            memory_bytes=round(self._real(budget, "memory_mb", 0, 1e8) * 1e6) if "memory_mb" in budget else 0,
            golden=self._golden({**table.get("golden", {}), **one.get("golden", {})}),
            hardware=tuple(sorted(set(hardware))),
            min_version=self._min_version(one.get("min_version")),
        )

    def _golden(self, table: dict[str, Any]) -> Golden:
        count = (
            self._number(table, "samples", 1, LIMITS.golden_samples) if "samples" in table else DEFAULT_GOLDEN_SAMPLES
        )
        tolerance = self._real(table, "tolerance", 0, 1e30) if "tolerance" in table else None
        top1 = self._number(table, "top1_permille", 0, 1000) if "top1_permille" in table else None
        return Golden(count, tolerance, top1)

    def _preprocess(self, table: dict[str, Any] | None) -> Preprocess | None:
        if table is None:
            return None
        for key in ("height", "width", "layout", "color"):
            if key not in table:
                self._fail(f"preprocess.{key} is missing", "preprocess")
        if table["layout"] not in ("NHWC", "NCHW") or table["color"] not in ("rgb", "grey"):
            self._fail("preprocess: layout is NHWC or NCHW, color is rgb or grey", "preprocess")
        channels = 3 if table["color"] == "rgb" else 1
        numbers = {}
        for key, usual in (("mean", 0.0), ("std", 1.0)):
            values = table.get(key, [usual] * channels)
            least = _LEAST_STD if key == "std" else -_MOST_MEAN
            fits = len(values) == channels and all(
                type(value) in _NUMBER and least <= value <= _MOST_MEAN for value in values
            )
            if not fits:
                self._fail(f"preprocess.{key} must be {channels} number(s) from {least:g} to {_MOST_MEAN:g}", key)
            numbers[key] = tuple(float(value) for value in values)
        return Preprocess(
            height=self._number(table, "height", 1, 65535),
            width=self._number(table, "width", 1, 65535),
            layout=table["layout"],
            color=table["color"],
            mean=numbers["mean"],
            std=numbers["std"],
        )

    def _postprocess(self, table: dict[str, Any] | None, labels: bool) -> Postprocess | None:
        if table is None and not labels:
            return None
        table = table or {}
        top_k = self._number(table, "top_k", 1, 1000) if "top_k" in table else 1
        return Postprocess(softmax=table.get("softmax", False), top_k=top_k)

    def _min_version(self, text: str | None) -> tuple[int, int, int] | None:
        if text is None:
            return None
        match = re.fullmatch(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})", text, re.ASCII)
        if match is None:
            self._fail(f"min_version {text!r} is not three numbers such as 1.20.0", "min_version")
        major, minor, patch = (int(number) for number in match.groups())
        return major, minor, patch

    def _words(self, where: str, table: dict[str, Any]) -> None:
        known = _VOCABULARY[where]
        for key, value in table.items():
            shown = f"{where}.{key}" if where else key
            if key not in known:
                self._fail(f"unknown key {shown!r}{_suggestion(key, known)}", key)
            expected = known[key]
            fits = isinstance(value, expected) and (expected is bool or not isinstance(value, bool))
            if not fits:
                self._fail(f"{shown} must be {_TYPE_WORDS[expected]}", key)
            if expected is dict:
                self._words(key, value)

    def _number(self, table: dict[str, Any], key: str, least: int, most: int) -> int:
        value = table[key]
        if not least <= value <= most:
            self._fail(f"{key} must be {least} to {most}", key)
        return int(value)

    def _real(self, table: dict[str, Any], key: str, least: float, most: float) -> float:
        value = table[key]
        if not least <= value <= most:  # also false for NaN
            self._fail(f"{key} must be {least:g} to {most:g}", key)
        return float(value)

    def _file(self, name: str, key: str) -> Path:
        path = self._path.parent.absolute() / name
        try:
            there = path.is_file()
        except OSError:  # a name longer than any file system takes
            there = False
        if not there:
            self._fail(f"{key}: there is no file {path}", name)
        return path

    def _fail(self, text: str, word: str | None) -> NoReturn:
        raise RecipeError(f"{self._path}{self._line_of(word)}: {text}")

    def _line_of(self, word: str | None) -> str:
        if word is not None:
            pattern = re.compile(rf"(?<![\w-]){re.escape(word)}(?![\w-])")
            for number, line in enumerate(self._lines, 1):
                if pattern.search(line.partition("#")[0]):
                    return f":{number}"
        return ""


def _suggestion(word: str, known: Any) -> str:
    close = difflib.get_close_matches(word, list(known), 1, 0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(known)}"
