"""What every entry point (listeners, ingest, ticker, CLI) is handed: one value, made once in `serve`."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fleet_server.config import Config
from fleet_server.db.engine import Database
from fleet_server.keys.store import Keys
from fleet_server.notify import Notifier


@dataclass(slots=True)
class LinkStatus:
    """Whether the server reaches its broker; written by the bridge, shown on the pages."""

    connected: bool = False
    since: float = 0.0  # when `connected` last changed
    detail: str = "not started"


@dataclass(frozen=True, slots=True)
class Context:
    """The parts of a running server."""

    config: Config
    db: Database
    keys: Keys
    clock: Callable[[], float] = time.time
    link: LinkStatus = field(default_factory=LinkStatus)

    @property
    def notifier(self) -> Notifier:
        """Where subscribers hear of changes."""
        return self.db.notifier
