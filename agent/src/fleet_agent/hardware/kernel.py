"""Sensors that the kernel shows as files, and names of what the machine runs on. ``root`` is where ``/`` is found.

Sources: the kernel's ``Documentation/ABI/testing/sysfs-class-thermal`` and ``sysfs-class-hwmon``; NVIDIA's Jetson Linux
guide for ``ina3221``, the GPU's ``load`` and ``nvpmodel``; the Raspberry Pi firmware driver for ``get_throttled``.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from fleet_agent.hardware.reading import Reading, tenths, word

ROOT = Path("/")

_FILE_BYTES = 65_536
_THROTTLED = "sys/devices/platform/soc*/soc*firmware/get_throttled"
_GPU_LOADS = (
    "sys/devices/gpu.0/load",
    "sys/devices/platform/gpu.0/load",
    "sys/devices/platform/*.gpu/load",
    "sys/devices/platform/bus@0/*.gpu/load",
)
# Rails that measure all of a board's power; where there is none of them, rails are added up.
_WHOLE_BOARD = ("VDD_IN", "POM_5V_IN")
_SUM_OF_SHUNTS = "sum of shunt voltages"
_UNDER_VOLTAGE = 1


def read(root: Path = ROOT) -> Reading:
    """All that files say."""
    return Reading(
        temperature_dc=temperature_dc(root),
        throttled=_throttled(root),
        power_mw=_power_mw(root),
        gpu_permille=_gpu_permille(root),
        power_mode=_power_mode(root),
    )


def temperature_dc(root: Path = ROOT) -> int | None:
    """Temperature of the hottest sensor in tenths of a degree Celsius, None where there is none."""
    readings = [tenths(value / 1000) for value in _numbers(root, "sys/class/thermal/thermal_zone*/temp")]
    return max((one for one in readings if one is not None), default=None)


def drivers(root: Path = ROOT) -> str:
    """Release of Jetson Linux (L4T), such as ``36.4.3``; elsewhere NVIDIA's driver's, or empty."""
    found = re.search(r"# R(\d+) \(release\), REVISION: ([\d.]+)", _text(root / "etc/nv_tegra_release"))
    if found is not None:
        return f"{found[1]}.{found[2]}"
    found = re.search(r"Kernel Module.*?\s(\d+\.[\d.]+)\s", _text(root / "proc/driver/nvidia/version"))
    return found[1] if found is not None else ""


def _throttled(root: Path) -> int | None:
    """The firmware's flags; from the voltage sensor's driver at least whether the supply is too weak."""
    for path in root.glob(_THROTTLED):
        try:
            return int(_text(path), 16) & 0xFFFFFFFF
        except ValueError:
            continue
    for folder in _sensors(root, "rpi_volt"):
        alarm = _number(folder / "in0_lcrit_alarm")
        if alarm is not None:
            return _UNDER_VOLTAGE if alarm else 0
    return None


def _power_mw(root: Path) -> int | None:
    rails: dict[str, int] = {}
    for folder in _sensors(root, "ina3221"):
        for label in folder.glob("in*_label"):
            number, name = label.name[2:-6], _text(label).strip()
            millivolts, milliamperes = _number(folder / f"in{number}_input"), _number(folder / f"curr{number}_input")
            if name not in {"", "NC", _SUM_OF_SHUNTS} and millivolts is not None and milliamperes is not None:
                rails[name] = max(0, millivolts * milliamperes // 1000)
    if not rails:
        return None
    return next((rails[name] for name in _WHOLE_BOARD if name in rails), sum(rails.values()))


def _gpu_permille(root: Path) -> int | None:
    loads = (load for pattern in _GPU_LOADS for load in _numbers(root, pattern))
    return next((load for load in loads if 0 <= load <= 1000), None)


def _power_mode(root: Path) -> str | None:
    """The mode that ``nvpmodel`` set: it remembers the number in one file and has the names in another."""
    found = re.search(r"pmode:(\d+)", _text(root / "var/lib/nvpmodel/status"))
    if found is None:
        return None
    number = int(found[1])
    names = re.findall(r"<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)", _text(root / "etc/nvpmodel.conf"))
    return word(next((name for one, name in names if int(one) == number), str(number)))


def _sensors(root: Path, kind: str) -> Iterator[Path]:
    for name in sorted(root.glob("sys/class/hwmon/hwmon*/name")):
        if _text(name).strip() == kind:
            yield name.parent


def _numbers(root: Path, pattern: str) -> Iterator[int]:
    for path in sorted(root.glob(pattern)):
        value = _number(path)
        if value is not None:
            yield value


def _number(path: Path) -> int | None:
    try:
        return int(_text(path))
    except ValueError:
        return None


def _text(path: Path) -> str:
    """A small file's text; empty where it cannot be read: sensors come and go, and some answer with an error."""
    try:
        with path.open("rb") as file:
            return file.read(_FILE_BYTES).decode("ascii", "replace")
    except OSError:
        return ""
