"""agent.toml: whether it says what can be, and whether what it names is there."""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

from fleet_agent.config import api, capture, carriers, power, results, sinks, sources, workers
from fleet_agent.config.file import ConfigError, File
from fleet_agent.config.sources import Source
from fleet_agent.doctor.check import About, Check, fail, ok, warn

_READERS: tuple[Callable[[File], object], ...] = (
    api.read, workers.read, results.read, capture.read, carriers.read, power.read
)  # fmt: skip


def look(about: About) -> list[Check]:
    """The whole file; then cameras and folders."""
    if about.words is None:
        return []  # the reason came while it was read: see doctor.examine
    try:
        for read in _READERS:
            read(about.words)
        every = sources.read(about.words, sinks.read(about.words))
    except ConfigError as error:
        return [unreadable(error)]
    what = "agent.toml" if about.words.tables else "no agent.toml: everything is as usual"
    return [ok(what), *(check for source in every for check in _source(about, source))]


def unreadable(error: ConfigError) -> Check:
    """agent.toml cannot be used."""
    return fail("agent.toml cannot be used", str(error), "correct it: the agent does not start with it")


def _source(about: About, source: Source) -> list[Check]:
    if source.kind == "camera":
        return [*_library(source), *(_camera(about, source) if source.device else [])]
    if source.folder is not None and not os.access(source.folder, os.R_OK | os.X_OK):
        why = "it is not there, or not readable for the agent's user"
        return [
            warn(f"source {source.name} gets nothing from {source.folder}", why, "make it, or let the user read it")
        ]
    return []


def _library(source: Source) -> list[Check]:
    if importlib.util.find_spec("av") is not None:
        return []
    why = "PyAV is not installed"
    return [warn(f"camera {source.name} cannot be read", why, "pip install 'dunlin-agent[camera]'")]


def _camera(about: About, source: Source) -> list[Check]:
    path = about.root / source.device.lstrip("/")
    if not path.exists():
        why = f"there is no {source.device}"
        there = ", ".join(sorted(f"/dev/{one.name}" for one in Path(about.root / "dev").glob("video*")))
        return [warn(f"camera {source.name} is not there", why, f"plug it in; there are: {there or 'none'}")]
    if not os.access(path, os.R_OK | os.W_OK):
        why = f"this user may not open {source.device}"
        fix = f"add SupplementaryGroups={path.group()} to the unit: sudo systemctl edit fleet-agent"
        return [warn(f"camera {source.name} cannot be opened", why, fix)]
    return [ok(f"camera {source.name} at {source.device}")]
