"""What a simulated board says of itself, in lines of JSON, and waiting for it (ports/common/application.c)."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Status:
    """The firmware's own word on itself, one JSON line a change. Digests in hex; sizes in bytes."""

    device: str = ""
    model: str = ""
    phase: str = ""
    error: str = ""
    slot: int = -1
    serving: str = ""
    have: int = 0
    need: int = 0
    served: int = 0
    boots: int = 0
    bad_frames: int = 0
    operations: int = 0
    stack: int = 0
    heap: int = 0

    @classmethod
    def from_line(cls, said: Mapping[str, Any]) -> "Status":
        """From the firmware's JSON; words that are not known here are left out."""
        return cls(**{one.name: said[one.name] for one in fields(cls) if one.name in said})

    def turn(self) -> tuple[object, ...]:
        """What stays the same while only counters move."""
        return self.device, self.model, self.phase, self.error, self.slot, self.serving


@dataclass(slots=True)
class Seen:
    """What a simulated board has said since it was last started."""

    status: Status = field(default_factory=Status)
    statuses: list[Status] = field(default_factory=list)
    """All that were more than a change of counters."""
    self_tests: list[Mapping[str, Any]] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)
    outputs: list[Mapping[str, Any]] = field(default_factory=list)
    """Of its first inferences with each release, where it was started with ``predict=1``."""
    cut_at: int | None = None
    fault: str | None = None
    exit_code: int | None = None

    def phases(self) -> list[str]:
        """Phases in order, without repeats."""
        found: list[str] = []
        for status in self.statuses:
            if status.phase and found[-1:] != [status.phase]:
                found.append(status.phase)
        return found


class Ears:
    """Collects what a board says, and lets a scenario wait for it."""

    def __init__(self) -> None:
        self.seen = Seen()
        self.changed = threading.Condition()

    def hear(self, said: Mapping[str, Any]) -> None:
        """One line of the firmware."""
        with self.changed:
            seen = self.seen
            if "status" in said:
                before, seen.status = seen.status, Status.from_line(said["status"])
                if not seen.statuses or seen.status.turn() != before.turn():
                    seen.statuses.append(seen.status)
            if "self_test" in said:
                seen.self_tests.append(said["self_test"])
            if "outputs" in said:
                seen.outputs.append(said["outputs"])
            if "log" in said:
                seen.logs.append(str(said["log"]))
            if "cut" in said:
                seen.cut_at = int(said["cut"])
            if "fault" in said:
                seen.fault = str(said["fault"])
            self.changed.notify_all()

    def ended(self, code: int) -> None:
        """The firmware stopped."""
        with self.changed:
            self.seen.exit_code = code
            self.changed.notify_all()

    def wait(self, look: Callable[[Seen], T | None], timeout_s: float) -> T | None:
        """What ``look`` returns as soon as it is something; None: not in time."""
        deadline = time.monotonic() + timeout_s
        with self.changed:
            while not (found := look(self.seen)):
                if not self.changed.wait(max(0.0, deadline - time.monotonic())) and time.monotonic() >= deadline:
                    return None
            return found
