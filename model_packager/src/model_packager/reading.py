"""The recipe's closed vocabulary, and the checks that every value of it passes. A word it does not know is a typo."""

import difflib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from model_packager.errors import RecipeError

_NUMBER = (int, float)
VOCABULARY: dict[str, dict[str, Any]] = {
    "": {
        "name": str,
        "version": str,
        "counter": int,
        "valid_days": int,
        "stores": list,
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
        "boards": list,
        "arena_kib": _NUMBER,
        "min_version": str,
        "budget": dict,
        "golden": dict,
    },
    "board": {"hardware": str, "arena_kib": _NUMBER, "slot_kib": _NUMBER},
}
_TYPE_WORDS = {
    str: "text",
    int: "a whole number",
    _NUMBER: "a number",
    dict: "a table",
    list: "a list",
    bool: "true/false",
}


class Checks:
    """What every value of a recipe passes. Holds the source only to name lines.

    Each method raises RecipeError, naming the file and, where it can be found, the line.
    """

    def __init__(self, path: Path, source: str) -> None:
        self._path = path
        self._lines = source.splitlines()

    def words(self, where: str, table: dict[str, Any]) -> None:
        """Whether every key of a table is known there, and its value of the right type."""
        known = VOCABULARY[where]
        for key, value in table.items():
            shown = f"{where}.{key}" if where else key
            if key not in known:
                self.fail(f"unknown key {shown!r}{suggestion(key, known)}", key)
            expected = known[key]
            fits = isinstance(value, expected) and (expected is bool or not isinstance(value, bool))
            if not fits:
                self.fail(f"{shown} must be {_TYPE_WORDS[expected]}", key)
            if expected is dict:
                self.words(key, value)

    def number(self, table: dict[str, Any], key: str, least: int, most: int) -> int:
        """A whole number within bounds."""
        value = table[key]
        if not least <= value <= most:
            self.fail(f"{key} must be {least} to {most}", key)
        return int(value)

    def real(self, table: dict[str, Any], key: str, least: float, most: float) -> float:
        """A number within bounds."""
        value = table[key]
        if not least <= value <= most:  # also false for NaN
            self.fail(f"{key} must be {least:.10g} to {most:.10g}", key)
        return float(value)

    def file(self, name: str, key: str) -> Path:
        """The absolute path of a file that is there; relative to the recipe."""
        path = self._path.parent.absolute() / name
        try:
            there = path.is_file()
        except OSError:  # a name longer than any file system takes
            there = False
        if not there:
            self.fail(f"{key}: there is no file {path}", name)
        return path

    def fail(self, text: str, word: str | None) -> NoReturn:
        """Refuse, naming the line where ``word`` stands first."""
        raise RecipeError(f"{self._path}{self._line_of(word)}: {text}")

    def _line_of(self, word: str | None) -> str:
        if word is not None:
            pattern = re.compile(rf"(?<![\w-]){re.escape(word)}(?![\w-])")
            for number, line in enumerate(self._lines, 1):
                if pattern.search(line.partition("#")[0]):
                    return f":{number}"
        return ""


def suggestion(word: str, known: Iterable[str]) -> str:
    """Words that end an error: what was probably meant, or all there is."""
    close = difflib.get_close_matches(word, list(known), 1, 0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(known)}"
