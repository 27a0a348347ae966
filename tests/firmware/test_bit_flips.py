"""One changed bit, wherever it is, and the C implementation refuses: every bit of a message, in one process."""

import pytest

from tests.contract import vectors
from tests.contract.vectors import Vector
from tests.firmware import questions
from tests.firmware.runner import Fields, Runner


def _named(name: str) -> Vector:
    return next(vector for vector in vectors.every() if vector["name"] == name)


MESSAGES = [
    _named(name)
    for name in (
        "manifest-tflm-good",
        "chunk-first",
        "ack-good",
        "grant-device",
        "frame-longest",
    )
]


def _flip(runner: Runner, name: str, kind: str, fields: Fields) -> tuple[int, int]:
    assert runner.ask(kind, fields).verdict == "ok"
    answer = runner.ask("flips", {**fields, "kind": kind})
    flips, taken = answer.number("flips"), answer.number("taken")
    print(f"{name}: {flips} single-bit flips, {taken} taken")
    return flips, taken


@pytest.mark.parametrize("vector", MESSAGES, ids=lambda vector: vector["name"])
def test_every_bit(runner: Runner, vector: Vector) -> None:
    flips = 4 * len(vector["bytes"])
    assert _flip(runner, vector["name"], vector["kind"], questions.fields(vector)) == (flips, 0)


def test_every_bit_of_a_chunk_whose_leaf_is_forged(runner: Runner) -> None:
    """Even if the leaf is made up for the changed chunk, it does not decrypt."""
    vector = _named("chunk-first")
    fields = {**questions.fields(vector), "leaf": None}
    assert _flip(runner, "chunk with a forged leaf", "chunk", fields) == (8 * 4112, 0)
