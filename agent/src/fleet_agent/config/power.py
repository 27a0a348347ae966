"""``[power]``: what this device does about heat and a weak supply. Without the table sensors are only told of."""

from dataclasses import dataclass
from typing import Any

from fleet_agent.config.file import File

ACTIONS = ("rate", "variant", "defer")
_COLDEST_C, _HOTTEST_C = 20.0, 150.0
_LEAST_APART_C = 1.0
_USUALLY_APART_C = 10.0
_LEAST_PER_S, _MOST_PER_S = 0.01, 10_000.0


@dataclass(frozen=True, slots=True)
class Power:
    """From ``hot_dc`` on (tenths of a degree), or when its firmware slows it down, a device is hot, until ``cool_dc``.

    ``rate``: then each model answers ``per_s`` requests a second at most. ``variant``: a release that has a cheaper
    variant runs that. ``defer``: trials and building engines wait.
    """

    hot_dc: int
    cool_dc: int
    actions: frozenset[str]
    per_s: float = 0.0


def read(file: File) -> Power | None:
    """What the file says; None without the table.

    Raises:
        ConfigError: temperatures that cannot be, an action that is not known, or one without what it needs.
    """
    if "power" not in file.tables:
        return None
    table = file.table("power")
    hot = file.check.real(table, "hot_c", _COLDEST_C, _HOTTEST_C) if "hot_c" in table else 80.0
    cool = hot - _USUALLY_APART_C
    if "cool_c" in table:
        cool = file.check.real(table, "cool_c", 0.0, _HOTTEST_C)
        if cool > hot - _LEAST_APART_C:
            file.check.fail(f"cool_c must be {_LEAST_APART_C:g} degree below hot_c, {hot:g}, or more", "cool_c")
    actions = _actions(file, table.get("actions", ["defer"]))
    per_s = file.check.real(table, "per_s", _LEAST_PER_S, _MOST_PER_S) if "per_s" in table else 0.0
    if ("rate" in actions) != ("per_s" in table):
        file.check.fail('the action "rate" and per_s, the most requests a second, go together', "per_s")
    return Power(round(hot * 10), round(cool * 10), actions, per_s)


def _actions(file: File, words: list[Any]) -> frozenset[str]:
    if not words or not all(isinstance(word, str) and word in ACTIONS for word in words):
        file.check.fail(f"actions must be some of {', '.join(ACTIONS)}", "actions")
    return frozenset(words)
