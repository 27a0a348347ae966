"""Sensors: what they say, which of them say nothing, and whether a policy about heat has anything to go by."""

from collections.abc import Iterator
from typing import Any

from fleet_agent.config import power
from fleet_agent.config.file import ConfigError
from fleet_agent.doctor.check import About, Check, ok, warn
from fleet_agent.doctor.trying import TryError, attempt
from fleet_agent.hardware import kernel, sources
from fleet_agent.hardware.reading import STRAINED, Reading

_ASK = """
import json
from fleet_agent.hardware.__main__ import Asked
asked = Asked()
for name in {names!r}:
    asked.ask(name)
print(json.dumps([asked.reading.to_map(), asked.lacking]))
"""


def look(about: About) -> list[Check]:
    """Files, then vendors' sources, then what is wanted of them."""
    reading = kernel.read(about.root)
    names = sources.present(about.root, reading)
    lacking: dict[str, str] = {}
    if names:
        try:
            found: list[Any] = attempt(_ASK.format(names=names))
        except TryError as error:
            lacking = dict.fromkeys(names, str(error))
        else:
            reading, lacking = reading.over(Reading.from_map(found[0])), found[1]
    checks = [*_said(reading), *(_silent(name, why) for name, why in lacking.items())]
    if (about.root / "dev/nvidiactl").exists() and reading.gpu_permille is None and not lacking:
        why = "its temperature and load are not known"
        checks.append(warn("an NVIDIA GPU that nobody asks", why, "pip install nvidia-ml-py"))
    return [*checks, *_policy(about, reading)]


def _said(reading: Reading) -> Iterator[Check]:
    words = []
    if reading.power_mw is not None:
        words.append(f"{reading.power_mw / 1000:.1f} W")
    if reading.gpu_permille is not None:
        words.append(f"GPU {reading.gpu_permille / 10:.0f} %")
    if reading.power_mode is not None:
        words.append(f"power mode {reading.power_mode}")
    if words:
        yield ok(f"sensors: {', '.join(words)}")
    flags = (reading.throttled or 0) & STRAINED
    if flags & 1:
        why = "the processor is slowed down, and may stop"
        yield warn("the power supply is too weak", why, "use one that gives what the maker asks for, and a short cable")
    elif flags:
        yield warn("the firmware slows the processor down", f"flags 0x{flags:x}", "cool the device")


def _silent(name: str, why: str) -> Check:
    """What to do is in the reason, where it is known."""
    reason, _, fix = why.rpartition(": ")
    return warn(f"{name} says nothing", reason or why, fix if reason else "the rest works without it")


def _policy(about: About, reading: Reading) -> Iterator[Check]:
    try:
        wanted = power.read(about.words) if about.words is not None else None
    except ConfigError:
        return  # told with agent.toml
    if wanted is not None and reading.temperature_dc is None and reading.throttled is None:
        why = "no sensor says how warm this device is"
        yield warn("[power] in agent.toml has no effect", why, "leave it out, or make a sensor work: see above")
