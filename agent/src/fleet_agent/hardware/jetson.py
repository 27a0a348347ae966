"""NVIDIA Jetson: jtop of jetson-stats, a client of that service. Source: its reference, versions 4 to 7."""

import importlib
from collections.abc import Mapping
from typing import Any

from fleet_agent.hardware.reading import LackingError, Reading, tenths, word

_INTERVAL_S = 0.5


def read() -> Reading:
    """Temperature, power of the board, load of the GPU, power mode.

    Raises:
        LackingError: the library is not there; its service does not run, or is not for this user or version.
    """
    try:
        library: Any = importlib.import_module("jtop")
    except ImportError:
        raise LackingError("jetson-stats is not installed: pip install jetson-stats") from None
    try:
        with library.jtop(interval=_INTERVAL_S) as board:
            if not board.ok():
                raise LackingError("jtop's service ended: sudo systemctl restart jtop.service")
            return _reading(board)
    except library.JtopException as error:
        # Its first line is the reason, the second a command.
        raise LackingError(" ".join(str(error).split())[:200]) from None


def _reading(board: Any) -> Reading:
    temperatures = [tenths(one["temp"]) for one in board.temperature.values() if one.get("online", True)]
    mode = board.nvpmodel
    loads = [load for one in board.gpu.values() if (load := _number(one.get("status"), "load")) is not None]
    power = _number(board.power.get("tot"), "power")
    return Reading(
        temperature_dc=max((one for one in temperatures if one is not None), default=None),
        power_mw=None if power is None else max(0, int(power)),
        gpu_permille=min(1000, max(0, round(10 * max(loads)))) if loads else None,
        power_mode=None if mode is None else word(str(mode.name)),
    )


def _number(table: object, name: str) -> float | None:
    value = table.get(name) if isinstance(table, Mapping) else None
    return float(value) if isinstance(value, int | float) else None
