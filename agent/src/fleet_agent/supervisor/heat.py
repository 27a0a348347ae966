"""What the owner wants done about heat, done."""

from collections.abc import Callable
from dataclasses import dataclass

from fleet_agent.config.power import Power


@dataclass(slots=True)
class Heat:
    """``limit``: caps requests a second, None: not. ``defer``: lets no trial begin. ``look``: who may run otherwise."""

    power: Power | None
    limit: Callable[[float | None], None]
    defer: Callable[[bool], None]
    look: Callable[[], None]
    hot: bool = False

    def wants(self, action: str) -> bool:
        """Whether that is to be done when the device is hot."""
        return self.power is not None and action in self.power.actions

    @property
    def cooling(self) -> bool:
        """Cheaper variants are to run now."""
        return self.hot and self.wants("variant")

    @property
    def waiting(self) -> bool:
        """Work that can wait is to wait now."""
        return self.hot and self.wants("defer")

    def turned(self, hot: bool) -> None:
        """The device is hot, or cool again."""
        self.hot = hot
        if self.power is not None and self.wants("rate"):
            self.limit(self.power.per_s if hot else None)
        if self.wants("defer"):
            self.defer(hot)
        self.look()
