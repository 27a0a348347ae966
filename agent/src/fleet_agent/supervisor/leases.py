"""Leases: what to do with a model when no directive has come for as long as the last one allowed.

Time is counted since the last accepted directive by the clock that runs from boot, and carried over a restart by the
journal; a wall clock set back renews nothing, and one set forward ends nothing.
"""

from collections.abc import Callable, Mapping, Set

from dunlin_contract.directive import Desired
from fleet_agent.clock import Clock
from fleet_agent.errors import StorageError
from fleet_agent.journal import Journal
from fleet_agent.supervisor.log import log
from fleet_agent.supervisor.loop import Loop

_LOOK_S = 15.0
_SAVE_S = 300.0
"""A restart forgets less than this of a lease; more often would wear flash out."""
FACT = "lease-elapsed"
"""Journal's name for the seconds since the last accepted directive, whose own transaction sets them back."""


class Leases:
    """Watches the leases of the last accepted directive. ``ended`` takes a model and its lease's action, once."""

    def __init__(self, loop: Loop, journal: Journal, clock: Clock, ended: Callable[[str, str], None]) -> None:
        self._loop = loop
        self._journal = journal
        self._clock = clock
        self._ended = ended
        self._desired: Mapping[str, Desired] = {}
        self._told: set[str] = set()
        self._before = int.from_bytes(journal.fact(FACT) or b"", "big")
        self._since = clock.since_boot()
        self._saved = self._since

    def start(self, desired: Mapping[str, Desired]) -> None:
        """Begin watching, with what was journaled."""
        self._desired = desired
        self._look()

    def renewed(self, desired: Mapping[str, Desired]) -> None:
        """A directive was accepted, and the journal knows."""
        self._desired = desired
        self._told.clear()
        self._before, self._since = 0, self._clock.since_boot()
        self._saved = self._since

    def holding(self, desired: Mapping[str, Desired]) -> Set[str]:
        """Models whose lease has not run out."""
        return {model for model, wanted in desired.items() if self.elapsed_s <= wanted.lease.seconds}

    @property
    def elapsed_s(self) -> int:
        """Seconds that this device ran since the last accepted directive."""
        return self._before + int(self._clock.since_boot() - self._since)

    def _look(self) -> None:
        elapsed = self.elapsed_s
        for model, wanted in self._desired.items():
            if elapsed > wanted.lease.seconds and model not in self._told:
                self._told.add(model)
                self._ended(model, wanted.lease.action)
        if self._clock.since_boot() - self._saved >= _SAVE_S:
            self._save()
        self._loop.after(_LOOK_S, self._look)

    def _save(self) -> None:
        self._saved = self._clock.since_boot()
        try:
            with self._journal.transaction() as write:
                write.fact(FACT, self.elapsed_s.to_bytes(8, "big"))
        except StorageError as error:
            log(str(error))  # a full disk ends no watch
