"""``[[sink]]``: where results of sources go, besides the local API's own stream."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet_agent.config.file import File
from fleet_agent.results.policy import PRIORITIES

KINDS = ("stream", "file", "mqtt", "fleet")
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_MOST = 16
_LEAST_BYTES, _MOST_BYTES = 4096, 1 << 40


@dataclass(frozen=True, slots=True)
class Sink:
    """One sink. ``stream``: the local API's stream, which has every result anyway. ``file``: JSON lines in ``path``,
    of at most ``most_bytes``, and as much again in ``path``.1. ``mqtt``: JSON on ``topic`` of the broker at ``url``.
    ``fleet``: kept until the fleet's server has it; ``priority`` 0 to 9, higher is kept longer.
    """

    name: str
    kind: str
    path: Path | None = None
    url: str = ""
    topic: str = ""
    priority: int = 3
    most_bytes: int = 16 << 20


def read(file: File) -> dict[str, Sink]:
    """The sinks by name.

    Raises:
        ConfigError: a word is missing, does not belong to the kind, or is out of bounds.
    """
    sinks: dict[str, Sink] = {}
    for table in file.tables_of("sink"):
        sink = _sink(file, table)
        if sink.name in sinks:
            file.check.fail(f"sink {sink.name!r} is there twice", sink.name)
        if len(sinks) == _MOST:
            file.check.fail(f"more than {_MOST} sinks", sink.name)
        sinks[sink.name] = sink
    return sinks


_WORDS = {
    "stream": set[str](),
    "file": {"path", "most_bytes"},
    "mqtt": {"url", "topic"},
    "fleet": {"priority"},
}
_NEEDED = {"file": {"path"}, "mqtt": {"url", "topic"}}


def _sink(file: File, table: Mapping[str, Any]) -> Sink:
    name, kind = named(file, "sink", table, KINDS)
    belong(file, f"sink {name!r} of kind {kind}", table, _WORDS[kind], _NEEDED.get(kind, set()))
    values = {key: table[key] for key in ("url", "topic") if key in table}
    if "url" in values:
        mqtt_url(file, values["url"])
    if "topic" in values and ("+" in values["topic"] or "#" in values["topic"] or not values["topic"]):
        file.check.fail("topic must be one topic, without + and #", "topic")
    if "path" in table:
        values["path"] = Path(table["path"])
        if not values["path"].is_absolute():
            file.check.fail("path must be absolute, such as /var/log/results.jsonl", "path")
    if "priority" in table:
        values["priority"] = file.check.number(table, "priority", 0, PRIORITIES)
    if "most_bytes" in table:
        values["most_bytes"] = file.check.number(table, "most_bytes", _LEAST_BYTES, _MOST_BYTES)
    return Sink(name=name, kind=kind, **values)


def named(file: File, what: str, table: Mapping[str, Any], kinds: tuple[str, ...]) -> tuple[str, str]:
    """Name and kind of a table. Raises ConfigError."""
    name, kind = table.get("name", ""), table.get("kind", "")
    if not NAME.fullmatch(name):
        file.check.fail(f"a [[{what}]] needs a name of up to 32 of a-z 0-9 _ -", name or what)
    if kind not in kinds:
        file.check.fail(f"{what} {name!r} needs a kind: one of {', '.join(kinds)}", kind or name)
    return name, kind


def belong(file: File, what: str, table: Mapping[str, Any], may: set[str], must: set[str]) -> None:
    """Whether a table has the words that its kind needs, and none without effect. Raises ConfigError."""
    for key in table:
        if key not in may | {"name", "kind"}:
            file.check.fail(f"{what} has no use for {key!r}", key)
    for key in sorted(must):
        if key not in table:
            file.check.fail(f"{what} needs {key!r}", table["name"])


def mqtt_url(file: File, url: str) -> None:
    """Whether it is a broker's address. Raises ConfigError."""
    if not re.fullmatch(r"mqtts?://[A-Za-z0-9._-]+(:[0-9]{1,5})?", url):
        file.check.fail("url must be mqtt://HOST:PORT or mqtts://HOST:PORT", "url")
