"""The C implementation as a process: one line asks, one line answers (firmware_tflm/tests/vectors/fields.h)."""

import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Self

Value = bytes | str | int
Fields = Mapping[str, Value | list[Any] | None]
"""Of a question. A list gives its field several times, None gives none."""

# Mbed TLS takes memory in thousands of small pieces, of which a sanitizer would each remember the way there.
_SANITIZER = "malloc_context_size=2:abort_on_error=0"


def octets(value: Value) -> bytes:
    """How a value is passed: numbers and truth as decimal text."""
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else str(int(value)).encode()


@dataclass(frozen=True)
class Answer:
    """``ok`` or the rule that refuses; what came out, by name."""

    verdict: str
    values: dict[str, list[bytes]] = field(default_factory=dict)

    def number(self, name: str) -> int:
        """A value that is one number."""
        return int(self.values[name][0])


class Runner:
    """A running vector runner. A sanitizer's finding ends it, and shows as an AssertionError with its report."""

    def __init__(self, executable: Path) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        environment = {**os.environ, "ASAN_OPTIONS": _SANITIZER}
        self._process = subprocess.Popen(
            [executable], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, env=environment
        )

    def ask(self, kind: str, fields: Fields) -> Answer:
        """What the C implementation makes of one question."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        question = " ".join([kind, *(f"{name}={octets(one).hex()}" for name, one in _pairs(fields))])
        try:
            self._process.stdin.write(question.encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self._fail(question)
        line = self._process.stdout.readline().decode()
        if not line.endswith("\n"):
            self._fail(question)
        verdict, *words = line.split()
        values: dict[str, list[bytes]] = {}
        for word in words:
            name, _, value = word.partition("=")
            values.setdefault(name, []).append(bytes.fromhex(value))
        return Answer(verdict, values)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if self._process.returncode is None:
            self._process.stdin.close()
            if self._process.wait():
                self._fail("(its end)")
        self._process.stdout.close()
        self._errors.close()

    def _fail(self, question: str) -> NoReturn:
        code = self._process.wait()
        self._errors.seek(0)
        report = self._errors.read().decode(errors="replace")
        raise AssertionError(f"the vector runner ended with {code} on:\n{question[:4000]}\n{report[-8000:]}")


def _pairs(fields: Fields) -> list[tuple[str, Value]]:
    pairs: list[tuple[str, Value]] = []
    for name, value in fields.items():
        several = value if isinstance(value, list) else [] if value is None else [value]
        pairs += [(name, one) for one in several]
    return pairs
