"""``[[source]]``: what this device asks its own models about, without an app."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dunlin_contract import ids
from fleet_agent.config.file import File
from fleet_agent.config.sinks import Sink, belong, mqtt_url, named

KINDS = ("camera", "folder", "http", "mqtt", "schedule")
DONE = ("keep", "delete", "move")
_MOST = 16
_LEAST_PER_S, _MOST_PER_S = 1 / 86_400, 1000.0


@dataclass(frozen=True, slots=True)
class Source:
    """One source. ``camera``: pictures of ``device`` (V4L2) or of an RTSP ``url``. ``folder``: files as they come.
    ``http``: what is at ``url``, ``per_s``. ``mqtt``: messages on ``topic`` of the broker at ``url``. ``schedule``: all
    files of a folder, daily ``at`` local time. ``per_s``: at most so many inputs a second, 0: as many as there are.
    ``done``: what becomes of a file, ``move`` to ``done_folder``.

    Each input is a JPEG, a PNG, or the JSON body of an Open Inference request.
    """

    name: str
    kind: str
    model: str
    sinks: tuple[Sink, ...] = ()
    per_s: float = 0.0
    device: str = ""
    url: str = ""
    topic: str = ""
    folder: Path | None = None
    at: str = ""
    done: str = "keep"
    done_folder: Path | None = None


_WORDS = {
    "camera": {"device", "url"},
    "folder": {"folder", "done"},
    "http": {"url"},
    "mqtt": {"url", "topic"},
    "schedule": {"folder", "at", "done"},
}
_NEEDED = {
    "camera": set[str](),
    "folder": {"folder"},
    "http": {"url"},
    "mqtt": {"url", "topic"},
    "schedule": {"folder", "at"},
}
_COMMON = {"model", "sinks", "per_s"}


def read(file: File, sinks: Mapping[str, Sink]) -> tuple[Source, ...]:
    """The sources.

    Raises:
        ConfigError: a word is missing, does not belong to the kind, or is out of bounds, or a sink is not there.
    """
    sources: list[Source] = []
    for table in file.tables_of("source"):
        source = _source(file, table, sinks)
        if any(source.name == other.name for other in sources):
            file.check.fail(f"source {source.name!r} is there twice", source.name)
        if len(sources) == _MOST:
            file.check.fail(f"more than {_MOST} sources", source.name)
        sources.append(source)
    return tuple(sources)


def to_body(source: Source) -> dict[str, Any]:
    """A source as it goes to the process that feeds it."""
    body = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(source).items()}
    sinks = [asdict(sink) for sink in source.sinks]
    body["sinks"] = [sink | {"path": str(sink["path"]) if sink["path"] else None} for sink in sinks]
    return body


def from_body(body: Mapping[str, Any]) -> Source:
    """The source that :func:`to_body` wrote."""
    paths = {key: Path(body[key]) if body[key] else None for key in ("folder", "done_folder")}
    sinks = [Sink(**{**sink, "path": Path(sink["path"]) if sink["path"] else None}) for sink in body["sinks"]]
    return Source(**{**body, **paths, "sinks": tuple(sinks)})


def _source(file: File, table: Mapping[str, Any], sinks: Mapping[str, Sink]) -> Source:
    name, kind = named(file, "source", table, KINDS)
    belong(file, f"source {name!r} of kind {kind}", table, _WORDS[kind] | _COMMON, _NEEDED[kind] | {"model"})
    model = table["model"]
    if not ids.is_model(model):
        file.check.fail(f"source {name!r}: {model!r} cannot be the name of a model", "model")
    values: dict[str, Any] = {key: table[key] for key in ("device", "url", "topic", "at") if key in table}
    values["sinks"] = tuple(_sink(file, name, one, sinks) for one in table.get("sinks", []))
    if kind in {"camera", "http"}:
        values["per_s"] = 1.0
    if "per_s" in table:
        values["per_s"] = file.check.real(table, "per_s", _LEAST_PER_S, _MOST_PER_S)
    if "folder" in table:
        values["folder"] = _folder(file, "folder", table["folder"])
    if "done" in table:
        values["done"], _, to = table["done"].partition(":")
        if values["done"] not in DONE or bool(to) != (values["done"] == "move"):
            file.check.fail('done must be "keep", "delete" or "move:/FOLDER"', "done")
        if to:
            values["done_folder"] = _folder(file, "done", to)
    _check_kind(file, name, kind, values)
    return Source(name=name, kind=kind, model=model, **values)


def _check_kind(file: File, name: str, kind: str, values: Mapping[str, Any]) -> None:
    url = values.get("url", "")
    if kind == "camera" and ("device" in values) == ("url" in values):
        file.check.fail(f"camera {name!r} needs a device, such as /dev/video0, or the url of an RTSP stream", name)
    if kind == "camera" and url and not url.startswith(("rtsp://", "rtsps://")):
        file.check.fail("url of a camera must be rtsp://HOST/PATH", "url")
    if kind == "http" and not re.fullmatch(r"https?://[^\s]{1,500}", url):
        file.check.fail("url must be http://HOST/PATH or https://HOST/PATH", "url")
    if kind == "mqtt":
        mqtt_url(file, url)
        if not values["topic"]:
            file.check.fail("topic must not be empty", "topic")
    if kind == "schedule" and not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", values["at"]):
        file.check.fail('at must be a time of the day, such as "02:30"', "at")


def _sink(file: File, source: str, name: object, sinks: Mapping[str, Sink]) -> Sink:
    if not isinstance(name, str) or name not in sinks:
        known = ", ".join(sinks) or "none: write a [[sink]]"
        file.check.fail(f"source {source!r}: there is no sink {name!r}; there are {known}", str(name))
    return sinks[name]


def _folder(file: File, key: str, name: str) -> Path:
    path = Path(name)
    if not path.is_absolute():
        file.check.fail(f"{key} must be an absolute folder, such as /var/spool/pictures", key)
    return path
