"""Is this device hot? Pure: from what sensors said, and when, to one verdict that does not flap.

Heat must last before it counts, and coolness longer; a device that is hot again soon after it was cool has to be cool
twice as long the next time. Sensors that say nothing change nothing.
"""

from dataclasses import dataclass, replace

from fleet_agent.config.power import Power
from fleet_agent.hardware.reading import STRAINED, Reading

HOT_S = 5.0
CALM_S = 60.0
MOST_CALM_S = 960.0
SOON_S = 600.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """``other_since``: since when sensors have said the opposite. ``cooled``: when it was hot last. All in seconds.

    ``calm_s``: how long sensors must say that it is cool.
    """

    hot: bool = False
    why: str = ""
    other_since: float | None = None
    cooled: float | None = None
    calm_s: float = CALM_S


def judge(before: Verdict, reading: Reading, power: Power, now: float) -> Verdict:
    """The verdict after one more reading."""
    why, cool = _strain(reading, power), _is_cool(reading, power)
    turns = cool if before.hot else bool(why)
    if not turns:
        return replace(before, other_since=None)
    since = now if before.other_since is None else before.other_since
    if now - since < (before.calm_s if before.hot else HOT_S):
        return replace(before, other_since=since)
    if before.hot:
        return Verdict(cooled=now, calm_s=before.calm_s)
    soon = before.cooled is not None and now - before.cooled < SOON_S
    calm_s = min(MOST_CALM_S, before.calm_s * 2) if soon else CALM_S
    return Verdict(hot=True, why=why, calm_s=calm_s)


def _strain(reading: Reading, power: Power) -> str:
    """Why the device is too hot or lacks power, empty when sensors do not say so."""
    if reading.temperature_dc is not None and reading.temperature_dc >= power.hot_dc:
        return f"{reading.temperature_dc / 10:.0f} °C, hot from {power.hot_dc / 10:g} on"
    flags = (reading.throttled or 0) & STRAINED
    if flags & 1:
        return f"the power supply is too weak (throttled 0x{flags:x})"
    return f"its firmware slows it down (throttled 0x{flags:x})" if flags else ""


def _is_cool(reading: Reading, power: Power) -> bool:
    if reading.temperature_dc is None and reading.throttled is None:
        return False
    below = reading.temperature_dc is None or reading.temperature_dc <= power.cool_dc
    return below and not (reading.throttled or 0) & STRAINED
