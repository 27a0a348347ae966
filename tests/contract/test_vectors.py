"""The test vectors: each verdict, and that they cover every rule and every place where one is enforced."""

import ast
import importlib
import pkgutil
import subprocess
import sys
import traceback
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, TypeGuard

import pytest

import dunlin_contract
from dunlin_contract import errors, rules
from dunlin_contract.errors import ContractError
from dunlin_contract.rules import Rule
from tests.contract import vectors
from tests.contract.vectors import Vector

VECTORS = vectors.every()
Place = tuple[str, int]
"""File and line."""

SOURCE = Path(dunlin_contract.__file__).parent

SHADOWED = {
    ("hpke.py", "the grant is for key"): "a grant for another key would not open either; this check says why",
}
"""Places whose removal no verdict can show, by file and message, and why they stand there all the same."""


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_verdict(vector: Vector) -> None:
    assert vectors.verdict(vector) == vector["expect"]
    if vector["expect"] == "ok":
        result = vectors.outcome(vector)
        for field, value in result.items() if isinstance(result, dict) else ():
            assert vector.get(field, value) == value, field


def test_names_and_kinds() -> None:
    names = [vector["name"] for vector in VECTORS]
    assert len(names) == len(set(names))
    assert {vector["kind"] for vector in VECTORS} == vectors.KINDS
    assert {vector["expect"] for vector in VECTORS} - {"ok"} <= set(Rule)
    assert len(names) >= 90
    assert sum(vector["expect"] != "ok" for vector in VECTORS) >= 50


def test_every_kind_has_a_vector_that_is_accepted() -> None:
    assert {vector["kind"] for vector in VECTORS if vector["expect"] == "ok"} == vectors.KINDS


@pytest.mark.parametrize("rule", Rule)
def test_rule_has_a_hostile_vector(rule: Rule) -> None:
    assert any(vector["expect"] == rule for vector in VECTORS)


def test_generator_makes_the_committed_files() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "contract.vectors.generate", "--check"],
        cwd=vectors.FOLDER.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


# ---- disabling what is enforced, one at a time


def _modules() -> Iterator[ModuleType]:
    for found in pkgutil.iter_modules(dunlin_contract.__path__):
        yield importlib.import_module(f"dunlin_contract.{found.name}")


class Switch:
    """Stands in for ``require`` and ``refuse`` in every module, and lets pass what one rule, or one place, refuses."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rule: Rule | None = None
        self.place: Place | None = None
        for module in _modules():
            if module is not rules:
                for name, stand_in in (("require", self.require), ("refuse", self.refuse)):
                    if hasattr(module, name):
                        monkeypatch.setattr(module, name, stand_in)

    def require(self, rule: Rule, holds: bool, detail: str) -> None:
        if not holds:
            self._refuse(rule, detail)

    def refuse(self, rule: Rule, detail: str) -> None:
        # Where the caller cannot go on, it fails in its own way, which is another verdict too.
        self._refuse(rule, detail)

    def _refuse(self, rule: Rule, detail: str) -> None:
        caller = sys._getframe(2)
        if rule != self.rule and _place(caller.f_code.co_filename, caller.f_lineno) != self.place:
            rules.refuse(rule, detail)


@pytest.fixture
def switch(monkeypatch: pytest.MonkeyPatch) -> Switch:
    vectors.root_named.cache_clear()
    return Switch(monkeypatch)


def _verdict(vector: Vector) -> str:
    try:
        return vectors.verdict(vector)
    except Exception as error:
        return type(error).__name__


@pytest.mark.parametrize("rule", Rule)
def test_disabling_a_rule_changes_a_verdict(switch: Switch, rule: Rule) -> None:
    hostile = [vector for vector in VECTORS if vector["expect"] == rule]
    assert all(_verdict(vector) == rule for vector in hostile)
    switch.rule = rule
    assert any(_verdict(vector) != rule for vector in hostile)


def _is_check(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"require", "refuse"}


@cache
def _checks() -> dict[Place, str]:
    """Every ``require`` and ``refuse`` in the codec: where it begins, and its source."""
    found: dict[Place, str] = {}
    for path in sorted(SOURCE.glob("*.py")):
        text = path.read_text()
        calls = [node for node in ast.walk(ast.parse(text)) if _is_check(node) and path.name != "rules.py"]
        found |= {(path.name, call.lineno): ast.get_source_segment(text, call) or "" for call in calls}
    return found


def _place(file: str, line: int) -> Place:
    """The check that holds a line: of a call on several lines, any may be the one that a frame names."""
    name = Path(file).name
    return next(
        (
            (name, start)
            for (where, start), source in _checks().items()
            if where == name and start <= line <= start + source.count("\n")
        ),
        (name, line),
    )


def _places() -> list[Place]:
    return [
        place
        for place, source in _checks().items()
        if not any(place[0] == name and part in source for name, part in SHADOWED)
    ]


@cache
def _refused_at() -> dict[Place, list[Vector]]:
    """Vectors by the place that refuses them."""
    by_place: dict[Place, list[Vector]] = {}
    for vector in VECTORS:
        try:
            vectors.outcome(vector)
        except ContractError as refusal:
            frames = traceback.extract_tb(refusal.__traceback__)
            frame = [one for one in frames if Path(one.filename).parent == SOURCE and not one.name.startswith("re")][-1]
            by_place.setdefault(_place(frame.filename, frame.lineno or 0), []).append(vector)
    return by_place


@pytest.mark.parametrize("place", _places(), ids=lambda place: f"{place[0]}-{place[1]}")
def test_disabling_one_place_changes_a_verdict(switch: Switch, place: Place) -> None:
    """Stronger than by rule: no single check may be taken out of the codec unnoticed."""
    refused = _refused_at().get(place, [])
    assert refused, f"no vector is refused at {place[0]}:{place[1]}"
    switch.place = place
    changed: list[Any] = [vector["name"] for vector in refused if _verdict(vector) != vector["expect"]]
    assert changed, f"without {place[0]}:{place[1]} every vector is refused all the same"


def test_rules_belong_to_the_right_errors() -> None:
    for rule in Rule:
        with pytest.raises(errors.ContractError) as refused:
            rules.refuse(rule, "why")
        assert refused.value.rule == rule
        assert str(refused.value) == f"why [{rule}]"
        assert type(refused.value) is not errors.ContractError
