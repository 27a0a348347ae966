"""What workers have counted of their requests, asked for when somebody wants to know, and how far that is from normal.

A worker runs a model that may have taken it over: what it says are counts in the bins that the supervisor has read from
the baseline itself, or nothing.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dunlin_contract.drift import Baseline, Feature, ks, psi
from dunlin_contract.errors import ContractError
from dunlin_contract.limits import LIMITS
from dunlin_contract.telemetry import DriftCounts
from fleet_agent import ipc
from fleet_agent.supervisor.loop import Loop, Timer

CONFIDENCES = 20
MODERATE, MAJOR = 0.1, 0.25
"""Of the population stability index, as Siddiqi (Credit Risk Scorecards, 2006) draws the lines."""
_ENOUGH = 20
"""Requests a bin before a shift is named: with n requests in B bins chance alone makes an index of (B - 1) / n."""
_PATIENCE_S = 0.5
_NAME_BYTES = 64

Send = Callable[[dict[str, object]], None]


@dataclass(slots=True)
class Watch:
    """What one worker, and those that it took over from, have counted.

    ``confident``: answers have a confidence. ``now``: its own word, ``gone``: the word of the dead.
    """

    features: tuple[Feature, ...] = ()
    confident: bool = False
    now: list[list[int]] = field(default_factory=list)
    gone: list[list[int]] = field(default_factory=list)
    asked: bool = False

    def heard(self, body: dict[str, object]) -> None:
        """Take the worker's counts; what cannot be counts is left out as a whole."""
        rows = [*_rows(body.get("drift")), _row(body.get("confidence"))]
        sizes = [len(feature.expected) for feature in self.features] + [CONFIDENCES if self.confident else 0]
        if [len(row) for row in rows] == sizes:
            self.now = rows

    def inherit(self, dead: "Watch") -> None:
        """A worker that shared the requests is dead: what it counted stays counted."""
        self.gone = _sum(self.gone, _sum(dead.now, dead.gone))

    def counts(self) -> list[list[int]]:
        """All of it: a row for each feature, then the confidences."""
        empty = [[0] * len(feature.expected) for feature in self.features] + [[0] * (CONFIDENCES * self.confident)]
        return _sum(empty, _sum(self.now, self.gone))


def read_features(baseline: int | None) -> tuple[Feature, ...]:
    """The features in a baseline payload's memory file; none if it is no baseline."""
    try:
        return () if baseline is None else Baseline.from_bytes(os.pread(baseline, LIMITS.baseline_bytes, 0)).features
    except ContractError:
        return ()


def drift_of(watches: Sequence[Watch]) -> tuple[DriftCounts, ...]:
    """What workers of one release have counted together, for telemetry.

    One that runs another variant, whose baseline is another one, is not among them: its counts have other bins.
    """
    if not watches:
        return ()
    features = watches[0].features
    rows = _together([watch.counts()[:-1] for watch in watches if watch.features == features])
    return tuple(
        DriftCounts(feature=name(feature), counts=tuple(row), expected=feature.expected)
        for feature, row in zip(features, rows, strict=True)
    )


def confidence_of(watches: Sequence[Watch]) -> tuple[int, ...]:
    """How sure the answers were, for telemetry; empty for a model whose answers say nothing of that."""
    return tuple(_together([watch.counts()[-1:] for watch in watches if watch.confident] or [[[]]])[0])


def shifts(drift: Sequence[DriftCounts]) -> list[dict[str, object]]:
    """How far each feature is from its baseline, for status."""
    shown: list[dict[str, object]] = []
    for one in drift:
        index, count = psi(one.counts, one.expected), sum(one.counts)
        word = "major" if index >= MAJOR else "moderate" if index >= MODERATE else "none"
        shift = word if count >= _ENOUGH * len(one.counts) else "unknown"
        distance = ks(one.counts, one.expected)
        shown.append(
            {"feature": one.feature, "psi": round(index, 4), "ks": round(distance, 4), "count": count, "shift": shift}
        )
    return shown


def name(feature: Feature) -> str:
    """A feature in telemetry: side, tensor and what it is, the tensor's name cut where it is long."""
    room = _NAME_BYTES - len(feature.side) - len(feature.what) - 2
    tensor = feature.tensor.encode()[:room].decode("utf-8", "ignore")
    return f"{feature.side} {tensor} {feature.what}"


class Questions:
    """Asks all workers at once. Use it in the loop's thread."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._waiting: list[tuple[list[Watch], Timer, Callable[[], None]]] = []

    def ask(self, workers: Sequence[tuple[Watch, Send]], then: Callable[[], None]) -> None:
        """Ask each worker (its watch, and what sends it a message); call ``then`` when all have answered, or soon."""
        for watch, send in workers:
            if watch.features or watch.confident:
                watch.asked = True
                send({"do": "counts"})
        timer = self._loop.after(_PATIENCE_S, lambda: self._done(then))
        self._waiting.append(([watch for watch, _ in workers if watch.asked], timer, then))
        self._look()

    def said(self, watch: Watch, message: ipc.Message) -> bool:
        """Whether a message is counts; then they are taken."""
        if message.body.get("is") != "counts":
            return False
        if watch.asked:
            watch.asked = False
            watch.heard(message.body)
            self._look()
        return True

    def _look(self) -> None:
        for watches, _, then in list(self._waiting):
            if not any(watch.asked for watch in watches):
                self._loop.post(lambda then=then: self._done(then))  # type: ignore[misc]

    def _done(self, then: Callable[[], None]) -> None:
        for entry in list(self._waiting):
            if entry[2] is then:
                self._waiting.remove(entry)
                entry[1].cancel()
                then()


def _together(counts: Sequence[list[list[int]]]) -> list[list[int]]:
    rows = counts[0]
    for more in counts[1:]:
        rows = _sum(rows, more)
    return rows


def _sum(one: list[list[int]], other: list[list[int]]) -> list[list[int]]:
    if not one or not other:
        return one or other
    return [
        [min(LIMITS.sequence, a + b) for a, b in zip(row, more, strict=True)]
        for row, more in zip(one, other, strict=True)
    ]


def _rows(value: object) -> list[list[int]]:
    return [_row(row) for row in value] if isinstance(value, list) else []


def _row(value: object) -> list[int]:
    whole = isinstance(value, list) and all(type(each) is int and 0 <= each <= LIMITS.sequence for each in value)
    return list(value) if whole and isinstance(value, list) else []
