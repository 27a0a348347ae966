"""What a rollout may ask for: selector, stages, mode, gate. Parsed once from JSON; invalid ones never reach a table."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dunlin_contract.ids import is_device
from fleet_server.drift import LEAST_SAMPLES, MOST_SAMPLES
from fleet_server.errors import InvalidError

PAUSE, ABORT, REVERT = "pause", "abort", "revert"
BREACH_ACTIONS = (PAUSE, ABORT, REVERT)
LEASE_ACTIONS = ("warn", "stop")

ROLLING, SHADOW, CANARY, AB = "rolling", "shadow", "canary", "ab"
MODES = (ROLLING, SHADOW, CANARY, AB)
TRIALS = {SHADOW: "shadow", CANARY: "split", AB: "split"}
"""What the devices of a stage do with the release first, in the contract's words; with "rolling" they just take it."""
SHARES = {ROLLING: 1.0, SHADOW: 1.0, CANARY: 0.1, AB: 0.5}
"""Share of the requests that the candidate on trial gets unless the request says otherwise."""

MAX_STAGES = 20
MAX_NAMES = 10_000
"""Devices, tags or hardware classes that one selector may name."""
MAX_SECONDS = 30 * 86_400
"""Longest soak, device deadline or lease."""


@dataclass(frozen=True, slots=True)
class Selector:
    """Which devices: those that satisfy every part that is given. An empty selector is the whole fleet.

    ``tags`` must all be equal on the device; it must be of one of the ``hardware`` classes and one of the ``devices``.
    """

    tags: Mapping[str, str] = field(default_factory=dict)
    hardware: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()

    def matches(self, device: str, tags: Mapping[str, str], hardware: str) -> bool:
        """Whether a device with these ``tags`` and this ``hardware`` class is selected."""
        return (
            (not self.devices or device in self.devices)
            and (not self.hardware or hardware in self.hardware)
            and all(tags.get(key) == value for key, value in self.tags.items())
        )

    @classmethod
    def parse(cls, value: object, where: str = "selector") -> "Selector":
        """Read ``{"tags": {...}, "hardware": [...], "devices": [...]}``.

        Raises:
            InvalidError: naming the part that is wrong.
        """
        part = _table(value, where, {"tags", "hardware", "devices"})
        tags = part.get("tags", {})
        if not isinstance(tags, dict) or not all(_is_text(t) for pair in tags.items() for t in pair):
            raise InvalidError(f'{where}.tags must be an object of texts, such as {{"site": "lab"}}')
        devices = _names(part.get("devices", []), f"{where}.devices")
        for name in devices:
            if not is_device(name):
                raise InvalidError(f"{where}.devices: {name[:40]!r} is not a device id (a-z, 0-9 and -, at most 36)")
        if len(tags) > MAX_NAMES:
            raise InvalidError(f"{where}.tags: at most {MAX_NAMES} are allowed")
        return cls(tags, _names(part.get("hardware", []), f"{where}.hardware"), devices)

    def as_json(self) -> dict[str, Any]:
        """The selector as it is stored and answered; parts that say nothing are left out."""
        parts = {"tags": dict(self.tags), "hardware": sorted(self.hardware), "devices": sorted(self.devices)}
        return {key: value for key, value in parts.items() if value}


@dataclass(frozen=True, slots=True)
class Stage:
    """One step. Exactly one of ``percent``, ``count`` and ``selector`` is set.

    ``percent`` and ``count`` are totals: how much of the rollout has the release when the stage is over, so that
    10, 50, 100 means a tenth, then up to a half, then all. ``selector`` takes every matching device not yet assigned.
    """

    percent: float | None = None
    count: int | None = None
    selector: Selector | None = None
    soak_s: float = 0.0

    def whole(self, device: str, tags: Mapping[str, str], hardware: str) -> bool:
        """Whether the stage leaves no such device out: what decides if late comers get the release too."""
        if self.selector is not None:
            return self.selector.matches(device, tags, hardware)
        return self.percent == 100

    def quota(self, total: int) -> int | None:
        """Devices that have been assigned when the stage is full, out of ``total``; None for a selector stage."""
        if self.percent is not None:
            return min(total, math.ceil(total * self.percent / 100 - 1e-9))
        return None if self.count is None else min(total, self.count)

    @classmethod
    def parse(cls, value: object, where: str) -> "Stage":
        """Read one of ``{"percent": 10}``, ``{"count": 2}``, ``{"selector": {...}}``, with an optional ``soak_s``."""
        part = _table(value, where, {"percent", "count", "selector", "soak_s"})
        if sum(key in part for key in ("percent", "count", "selector")) != 1:
            raise InvalidError(f"{where} needs exactly one of percent, count and selector")
        soak_s = _number(part.get("soak_s", 0), f"{where}.soak_s", 0, MAX_SECONDS)
        if "percent" in part:
            return cls(percent=_number(part["percent"], f"{where}.percent", 0.01, 100), soak_s=soak_s)
        if "count" in part:
            return cls(count=_integer(part["count"], f"{where}.count", 1, 10_000_000), soak_s=soak_s)
        return cls(selector=Selector.parse(part["selector"], f"{where}.selector"), soak_s=soak_s)

    def as_json(self) -> dict[str, Any]:
        """The stage as it is stored and answered."""
        if self.selector is not None:
            return {"selector": self.selector.as_json(), "soak_s": self.soak_s}
        if self.count is not None:
            return {"count": self.count, "soak_s": self.soak_s}
        return {"percent": self.percent, "soak_s": self.soak_s}


@dataclass(frozen=True, slots=True)
class Gate:
    """What the devices of a stage must show: the share of those *completed* that succeeded, and how many those are.

    ``min_served`` is the number of inferences that a device must have served with the release to count as a success.

    The others judge trials by what the stage's devices counted together, from ``min_pairs`` requests on: the share of
    requests that the candidate fails may be at most ``error_share_max``; of those that both releases answered at least
    the share ``agreement_min`` must agree (mode shadow); the candidate's 95th percentile in the runtime may be at most
    ``candidate_p95_ratio_max`` times that of the release that serves. None: not judged.

    ``drift_psi_max`` and ``temperature_max_c`` say which devices that have the release count as good besides: those
    whose inputs and outputs, counted together with all others of the same baseline, have no feature with a higher PSI,
    judged from ``min_drift_samples`` samples on; and those no hotter than this many degrees Celsius. A device that is
    hotter already when its turn comes waits. None: not judged.
    """

    min_success: float = 0.9
    min_samples: int = 1
    min_served: int = 0
    min_pairs: int = 20
    error_share_max: float = 0.05
    agreement_min: float | None = None
    candidate_p95_ratio_max: float | None = None
    drift_psi_max: float | None = None
    min_drift_samples: int = LEAST_SAMPLES
    temperature_max_c: float | None = None

    @classmethod
    def parse(cls, value: object) -> "Gate":
        """Read ``{"min_success": 0.9, "min_samples": 1, "min_served": 0}`` and the like; each is optional."""
        names = ("min_success", "min_samples", "min_served", "min_pairs", "error_share_max")
        optional = {"agreement_min", "candidate_p95_ratio_max", "drift_psi_max", "temperature_max_c"}
        part = _table(value, "gate", {*names, *optional, "min_drift_samples"})
        agreement, ratio = part.get("agreement_min"), part.get("candidate_p95_ratio_max")
        psi, hottest = part.get("drift_psi_max"), part.get("temperature_max_c")
        return cls(
            _number(part.get("min_success", 0.9), "gate.min_success", 0, 1),
            _integer(part.get("min_samples", 1), "gate.min_samples", 1, 10_000_000),
            _integer(part.get("min_served", 0), "gate.min_served", 0, 10**12),
            _integer(part.get("min_pairs", 20), "gate.min_pairs", 1, 10**12),
            _number(part.get("error_share_max", 0.05), "gate.error_share_max", 0, 1),
            None if agreement is None else _number(agreement, "gate.agreement_min", 0, 1),
            None if ratio is None else _number(ratio, "gate.candidate_p95_ratio_max", 0.01, 1000),
            None if psi is None else _number(psi, "gate.drift_psi_max", 0.01, 100),
            _integer(part.get("min_drift_samples", LEAST_SAMPLES), "gate.min_drift_samples", 1, MOST_SAMPLES),
            None if hottest is None else _number(hottest, "gate.temperature_max_c", -40, 150),
        )

    def as_json(self) -> dict[str, Any]:
        """The gate as it is stored and answered."""
        return {
            "min_success": self.min_success,
            "min_samples": self.min_samples,
            "min_served": self.min_served,
            "min_pairs": self.min_pairs,
            "error_share_max": self.error_share_max,
            "agreement_min": self.agreement_min,
            "candidate_p95_ratio_max": self.candidate_p95_ratio_max,
            "drift_psi_max": self.drift_psi_max,
            "min_drift_samples": self.min_drift_samples,
            "temperature_max_c": self.temperature_max_c,
        }


@dataclass(frozen=True, slots=True)
class RolloutSpec:
    """A whole request: which release (digest, hex) goes to whom, in what steps, and what happens when it goes wrong."""

    release: str
    selector: Selector
    stages: tuple[Stage, ...]
    gate: Gate = Gate()
    on_breach: str = PAUSE
    device_deadline_s: float = 600.0
    lease_s: int | None = None
    lease_action: str = "warn"
    mode: str = ROLLING
    share: float = 1.0

    @property
    def trial(self) -> str | None:
        """How a device tries the release beside the one that serves, before it takes it; None: it just takes it."""
        return TRIALS.get(self.mode)

    @classmethod
    def parse(cls, body: object) -> "RolloutSpec":
        """Read the body of ``POST /api/v1/rollouts``.

        Raises:
            InvalidError: naming the key that is wrong and what it should be.
        """
        keys = {"release", "selector", "stages", "gate", "on_breach", "device_deadline_s", "lease", "mode", "share"}
        part = _table(body, "rollout", keys)
        release = part.get("release")
        if not isinstance(release, str) or len(release) != 64 or not set(release) <= set("0123456789abcdef"):
            raise InvalidError("release must be a release digest (64 hex digits); GET /api/v1/releases lists them")
        stages = part.get("stages", [{"percent": 100}])
        if not isinstance(stages, list) or not 1 <= len(stages) <= MAX_STAGES:
            raise InvalidError(f'stages must be a list of 1 to {MAX_STAGES} steps, such as [{{"percent": 100}}]')
        on_breach = part.get("on_breach", PAUSE)
        if on_breach not in BREACH_ACTIONS:
            raise InvalidError(f"on_breach must be one of {', '.join(BREACH_ACTIONS)}")
        lease_s, lease_action = _lease(part.get("lease"))
        gate = Gate.parse(part.get("gate", {}))
        mode, share = _mode(part, gate)
        return cls(
            release,
            Selector.parse(part.get("selector", {})),
            _ascending(tuple(Stage.parse(stage, f"stages[{place}]") for place, stage in enumerate(stages))),
            gate,
            on_breach,
            _number(part.get("device_deadline_s", 600), "device_deadline_s", 1, MAX_SECONDS),
            lease_s,
            lease_action,
            mode,
            share,
        )


def _ascending(stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    for kind in ("percent", "count"):
        sizes = [size for stage in stages if (size := getattr(stage, kind)) is not None]
        if sizes != sorted(set(sizes)):
            raise InvalidError(f"stages: each {kind} is a running total, so it must be above the one before")
    return stages


def _mode(part: dict[str, Any], gate: Gate) -> tuple[str, float]:
    mode = part.get("mode", ROLLING)
    if mode not in MODES:
        raise InvalidError(f"mode must be one of {', '.join(MODES)}")
    if mode == ROLLING and "share" in part:
        raise InvalidError(
            f"share says how many requests a release on trial gets: it needs a mode, {', '.join(TRIALS)}"
        )
    if mode != SHADOW and gate.agreement_min is not None:
        raise InvalidError("gate.agreement_min needs mode shadow: only there both releases answer the same requests")
    if mode == ROLLING and gate.candidate_p95_ratio_max is not None:
        raise InvalidError(f"gate.candidate_p95_ratio_max needs a mode with a trial: {', '.join(TRIALS)}")
    return mode, _number(part.get("share", SHARES[mode]), "share", 0.001, 1)


def _lease(value: object) -> tuple[int | None, str]:
    if value is None:
        return None, "warn"
    part = _table(value, "lease", {"seconds", "action"})
    action = part.get("action", "warn")
    if action not in LEASE_ACTIONS:
        raise InvalidError(f"lease.action must be one of {', '.join(LEASE_ACTIONS)}")
    return _integer(part.get("seconds"), "lease.seconds", 60, MAX_SECONDS), str(action)


def _table(value: object, where: str, keys: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidError(f"{where} must be an object")
    for key in value:
        if key not in keys:
            raise InvalidError(f"{where}: unknown key {str(key)[:40]!r}; known are {', '.join(sorted(keys))}")
    return value


def _names(value: object, where: str) -> frozenset[str]:
    if not isinstance(value, list) or len(value) > MAX_NAMES or not all(_is_text(name) for name in value):
        raise InvalidError(f"{where} must be a list of at most {MAX_NAMES} texts")
    return frozenset(value)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.isprintable()


def _number(value: object, where: str, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise InvalidError(f"{where} must be a number from {least:g} to {most:g}")
    return float(value)


def _integer(value: object, where: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidError(f"{where} must be a whole number from {least} to {most}")
    return value
