"""TOML with a closed vocabulary: recipes, boards, an agent's configuration. A word that is not known is a typo."""

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from dunlin_contract.console import UsageError

NUMBER = (int, float)
Vocabulary = Mapping[str, Mapping[str, Any]]
"""Per table ("" is the top): its keys, and the type of each one's value."""

_TYPE_WORDS = {
    str: "text",
    int: "a whole number",
    NUMBER: "a number",
    dict: "a table",
    list: "a list",
    bool: "true/false",
}


class Checks:
    """What every value of a file passes. Holds the source only to name lines.

    Each method raises ``error``, naming the file and, where it can be found, the line.
    """

    def __init__(self, path: Path, source: str, vocabulary: Vocabulary, error: type[UsageError] = UsageError) -> None:
        self._path = path
        self._lines = source.splitlines()
        self._vocabulary = vocabulary
        self._error = error

    def words(self, where: str, table: Mapping[str, Any]) -> None:
        """Whether every key of a table is known there, and its value of the right type."""
        known = self._vocabulary[where]
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

    def number(self, table: Mapping[str, Any], key: str, least: int, most: int) -> int:
        """A whole number within bounds."""
        value = table[key]
        if not least <= value <= most:
            self.fail(f"{key} must be {least} to {most}", key)
        return int(value)

    def real(self, table: Mapping[str, Any], key: str, least: float, most: float) -> float:
        """A number within bounds."""
        value = table[key]
        if not least <= value <= most:  # also false for NaN
            self.fail(f"{key} must be {least:.10g} to {most:.10g}", key)
        return float(value)

    def file(self, name: str, key: str) -> Path:
        """The absolute path of a file that is there; relative to the file that names it."""
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
        raise self._error(f"{self._path}{self._line_of(word)}: {text}")

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
