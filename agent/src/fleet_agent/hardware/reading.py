"""What sensors said at one moment."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

_TEMPERATURES_DC = (-1000, 3000)
_MODE_CHARS = 64
_MOST = {"throttled": 2**32 - 1, "power_mw": 2**32 - 1, "gpu_permille": 1000}

STRAINED = 0b1111
"""Bits of ``throttled`` that tell of now: under-voltage, frequency capped, throttled, soft temperature limit."""


class LackingError(Exception):
    """A source says nothing here; the text is one line that says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Reading:
    """None: no sensor told. ``temperature_dc``: the hottest, in tenths of a degree Celsius. ``throttled``: bits as the
    Raspberry Pi's ``get_throttled`` has them; those above the fourth tell what was so since the device started.
    """

    temperature_dc: int | None = None
    throttled: int | None = None
    power_mw: int | None = None
    gpu_permille: int | None = None
    power_mode: str | None = None

    def over(self, other: "Reading") -> "Reading":
        """This one, and what only ``other`` knows; of two temperatures the higher."""
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        both = replace(other, **{name: value for name, value in said.items() if value is not None})
        if self.temperature_dc is not None and other.temperature_dc is not None:
            both = replace(both, temperature_dc=max(self.temperature_dc, other.temperature_dc))
        return both

    def to_map(self) -> dict[str, object]:
        """As it goes from one process to another."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_map(cls, body: object) -> "Reading":
        """What another process said, as far as it can be."""
        if not isinstance(body, Mapping):
            return cls()
        numbers = {name: _number(body.get(name), 0, most) for name, most in _MOST.items()}
        mode = body.get("power_mode")
        return cls(
            temperature_dc=_number(body.get("temperature_dc"), *_TEMPERATURES_DC),
            power_mode=word(mode) if isinstance(mode, str) else None,
            **numbers,
        )


def _number(value: Any, least: int, most: int) -> int | None:
    return value if type(value) is int and least <= value <= most else None


def tenths(celsius: float) -> int | None:
    """A temperature in tenths of a degree; None for what no sensor of a device that works says."""
    return _number(round(celsius * 10), *_TEMPERATURES_DC)


def word(text: str) -> str | None:
    """A name as it may be shown, None for an empty one."""
    return " ".join("".join(char if " " <= char <= "~" else " " for char in text).split())[:_MODE_CHARS] or None
