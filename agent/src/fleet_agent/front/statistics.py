"""What is counted of a worker for the supervisor, and of a model version for whoever asks the local API.

The names are Triton's (its statistics extension): a *request* is one call, an *inference* one row of it, an *execution*
one run of the model, which may have served several requests.
"""

import bisect
import time
from dataclasses import dataclass, field

from dunlin_contract.sketch import Sketch
from fleet_agent.frames import Response, Status, Timing

REASONS = ("REJECTED", "CANCELED", "BACKEND", "OTHER")
DURATIONS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Upper edges of the histogram of whole requests."""
MOST_BATCHES = 128
"""Numbers of rows that have times of their own: clients may send any, and what each of them took stays here."""


@dataclass(slots=True)
class Statistics:
    """Totals since the worker was attached. ``errors`` are the model's: failed runs and answers that never came."""

    count: int = 0
    errors: int = 0
    nonfinite: int = 0
    run_us: Sketch = field(default_factory=Sketch)

    def add(self, status: Status, run_us: int) -> None:
        """Count one answer; a request that could not be run says nothing about its model."""
        if status in (Status.REFUSED, Status.LACKING):
            return
        self.count += 1
        if status is Status.FAILED:
            self.errors += 1
            return
        self.nonfinite += status is Status.NONFINITE
        self.run_us.add(run_us)


@dataclass(slots=True)
class Timed:
    """How often, and how many nanoseconds together."""

    count: int = 0
    ns: int = 0

    def add(self, ns: int) -> None:
        """Once more."""
        self.count += 1
        self.ns += ns


@dataclass(slots=True)
class Phases:
    """Where a model's time goes, in ns together: making tensors of bytes, running, making bytes of tensors."""

    count: int = 0
    input_ns: int = 0
    infer_ns: int = 0
    output_ns: int = 0

    def add(self, timing: Timing) -> None:
        """Once more, as the worker measured it."""
        self.count += 1
        self.input_ns += timing.input_ns
        self.infer_ns += timing.run_ns
        self.output_ns += timing.output_ns


@dataclass(slots=True)
class Ledger:
    """One version of one model since it was first attached here; it outlives its workers, not the version's route."""

    model: str
    version: str
    load_ms: int = 0
    rss: int = 0
    success: Timed = field(default_factory=Timed)
    fail: Timed = field(default_factory=Timed)
    failures: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REASONS, 0))
    queue: Timed = field(default_factory=Timed)
    phases: Phases = field(default_factory=Phases)
    inferences: int = 0
    executions: int = 0
    batches: dict[int, Phases] = field(default_factory=dict)
    durations: list[int] = field(default_factory=lambda: [0] * (len(DURATIONS_S) + 1))
    last_ms: int = 0
    nonfinite: int = 0
    lost: int = 0
    hung: int = 0

    def served(self, response: Response, rows: int, ns: int) -> None:
        """A request of ``rows`` rows was answered, ``ns`` after it was whole."""
        self.success.add(ns)
        # What is not the worker's time was waiting: for others' runs, and for the sockets between the processes.
        timing = response.timing
        self.queue.add(max(0, ns - timing.input_ns - timing.run_ns - timing.output_ns))
        self.phases.add(timing)
        self.inferences += rows
        self.nonfinite += response.status is Status.NONFINITE
        self.durations[bisect.bisect_left(DURATIONS_S, ns / 1e9)] += 1
        self.last_ms = time.time_ns() // 1_000_000
        if timing.leads:
            self.executions += 1
            together = timing.rows if timing.members > 1 else rows
            if together not in self.batches and len(self.batches) < MOST_BATCHES:
                self.batches[together] = Phases()
            if together in self.batches:
                self.batches[together].add(timing)

    def failed(self, reason: str, ns: int) -> None:
        """A request got no result; ``reason`` is one of REASONS."""
        self.fail.add(ns)
        self.failures[reason] += 1
