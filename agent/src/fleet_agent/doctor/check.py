"""What a look at the device finds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from fleet_agent.config.file import File
from fleet_agent.identity import Enrolment
from fleet_agent.paths import Paths

Verdict = Literal["ok", "warn", "fail"]


class Check(NamedTuple):
    """``fail``: the agent cannot do its work; ``warn``: it can, with less than it could. ``fix``: what to do."""

    verdict: Verdict
    what: str
    why: str = ""
    fix: str = ""


def ok(what: str) -> Check:
    """As it should be."""
    return Check("ok", what)


def warn(what: str, why: str, fix: str) -> Check:
    """Works, with less than it could."""
    return Check("warn", what, why, fix)


def fail(what: str, why: str, fix: str) -> Check:
    """The agent cannot do its work so."""
    return Check("fail", what, why, fix)


@dataclass(frozen=True, slots=True)
class About:
    """What the looks share. ``words``: agent.toml, None where it cannot be read. ``running``: what the running agent
    says of itself, None where none runs. ``root``: where the machine's own folders are found.
    """

    paths: Paths
    enrolment: Enrolment | None = None
    words: File | None = None
    running: dict[str, Any] | None = None
    root: Path = field(default=Path("/"))


Look = Callable[[About], Sequence[Check]]
