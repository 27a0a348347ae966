"""How many requests of a model were kept in the last 24 hours, past restarts, and how late it is at least.

Time is what the agent has run, by the journal: no clock that is set forward makes room for more. It is written down
now and then, so a restart loses some of it and a day may last longer, never shorter.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from dunlin_contract import ids
from dunlin_contract.errors import ContractError
from dunlin_contract.limits import LIMITS
from dunlin_contract.schema import NO_ENTRIES, Record, at, format_version, table, text, uint
from fleet_agent.clock import Clock, SignedTime
from fleet_agent.journal import Journal

_FACT = "captures"
_HOUR_S = 3600
_HOURS = 24
_MOST_MODELS = 256
_PARTS = 32
"""A part of the day's number is written down together: a journal entry for each would wear the disk."""


class Kept(Record):
    """What the journal has: seconds run, what time it was then at least, and by model how many in which hour."""

    CAP_BYTES: ClassVar[int] = 1 << 18

    format: int = format_version(default=1)
    age_s: int = at(1, uint(LIMITS.sequence), default=0)
    time_s: int = at(2, uint(LIMITS.time_s), default=0)
    hours: Mapping[str, Mapping[int, int]] = at(
        3,
        table(
            text(LIMITS.name_bytes, ids.is_model),
            table(uint(LIMITS.sequence), uint(LIMITS.sequence), _HOURS + 1),
            _MOST_MODELS,
        ),
        default=NO_ENTRIES,
    )


class Allowance:
    """Use it in the loop's thread. What it lets through is in the journal before it says so."""

    def __init__(self, journal: Journal, clock: Clock, time: SignedTime) -> None:
        self._journal = journal
        self._clock = clock
        self._time = time
        self._begun = clock.since_boot()
        self._at_start = self._kept = _read(journal)
        self._ready: dict[str, tuple[int, int]] = {}

    @property
    def now(self) -> int:
        """It is at least this late, by signed time and by what the agent has run since it last wrote that down."""
        return max(self._time.now, self._at_start.time_s + self._run)

    def left(self, model: str, per_day: int) -> int:
        """How many more may be kept now."""
        hour, ready = self._ready.get(model, (0, 0))
        written = sum(self._recent(model).values())
        return max(0, per_day - written) + (ready if hour == self._hour else 0)

    def take(self, model: str, per_day: int) -> bool:
        """Whether one more may be kept. Raises StorageError: that cannot be written down, so it may not."""
        hour, ready = self._ready.get(model, (0, 0))
        if hour != self._hour or not ready:
            left = per_day - sum(self._recent(model).values())
            if left <= 0:
                return False
            hour, ready = self._hour, min(left, max(1, per_day // _PARTS))
            recent = dict(self._recent(model))
            recent[hour] = recent.get(hour, 0) + ready
            self._write({**self._kept.hours, model: recent})
        self._ready[model] = hour, ready - 1
        return True

    def note(self) -> None:
        """Write down how long the agent has run. Raises StorageError."""
        self._write(self._kept.hours)

    def forget(self, model: str) -> None:
        """The model was wiped. Raises StorageError."""
        self._ready.pop(model, None)
        if model in self._kept.hours:
            self._write({name: hours for name, hours in self._kept.hours.items() if name != model})

    @property
    def _run(self) -> int:
        return max(0, int(self._clock.since_boot() - self._begun))

    @property
    def _hour(self) -> int:
        return (self._at_start.age_s + self._run) // _HOUR_S

    def _recent(self, model: str) -> Mapping[int, int]:
        """By hour: the present one and those before it that reach into the last 24."""
        hours = self._kept.hours.get(model, {})
        return {hour: count for hour, count in hours.items() if hour >= self._hour - _HOURS}

    def _write(self, hours: Mapping[str, Mapping[int, int]]) -> None:
        recent = {model: self._of(counts) for model, counts in hours.items()}
        recent = {model: counts for model, counts in recent.items() if counts}
        kept = replace(
            self._kept, age_s=self._at_start.age_s + self._run, time_s=min(LIMITS.time_s, self.now), hours=recent
        )
        with self._journal.transaction() as write:
            write.fact(_FACT, kept.to_bytes())
        self._kept = kept

    def _of(self, counts: Mapping[int, int]) -> dict[int, int]:
        return {hour: count for hour, count in counts.items() if hour >= self._hour - _HOURS}


def _read(journal: Journal) -> Kept:
    data = journal.fact(_FACT)
    try:
        return Kept.from_bytes(data) if data else Kept()
    except ContractError:
        # Not ours to judge what was there: as if nothing had been kept yet.
        return Kept()
