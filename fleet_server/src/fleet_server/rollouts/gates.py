"""Whether the gate of a rollout is broken: by devices that failed or do badly, or by a candidate on trial. Pure."""

import re
from collections.abc import Iterator, Mapping

from fleet_server import drift
from fleet_server.drift import Feature
from fleet_server.rollouts import trials
from fleet_server.rollouts.spec import Gate
from fleet_server.rollouts.terms import SETTLED, UNDERWAY, Fact, Member, Part, Rollout

FRESH_S = 1800.0
"""A temperature that is older says nothing of a device whose turn has come."""
_BREACH = re.compile(r"stage \d+: ")  # each begins so, and no other reason does


def breach(rollout: Rollout, facts: Mapping[str, Fact], now: float) -> str:
    """Why the gate is broken, or ""."""
    broken = _of_devices(rollout) or _of_heat(rollout, facts) or _of_drift(rollout, facts)
    return broken or trials.breach(rollout, facts, now)


def is_breach(reason: str) -> bool:
    """Whether a rollout's reason is one that :func:`breach` gave."""
    return _BREACH.match(reason) is not None


def too_hot(rollout: Rollout, fact: Fact, now: float) -> str:
    """Why a device had better not be given the release now, or ""."""
    limit = rollout.spec.gate.temperature_max_c
    if limit is None or fact.temperature_c is None or fact.measured_at < now - FRESH_S or fact.temperature_c <= limit:
        return ""
    return f"waits until it is cooler: {fact.temperature_c:g} °C, the gate allows {limit:g} °C"


def drifted_most(rollout: Rollout, facts: Mapping[str, Fact]) -> Feature | None:
    """The feature with the highest PSI, over all baselines; None: there are too few samples to judge any."""
    least = rollout.spec.gate.min_drift_samples
    found = (group.drift.worst(least) for group in _groups(rollout, facts))
    return max((one for one in found if one is not None), key=lambda one: one.psi, default=None)


def undecided(rollout: Rollout, facts: Mapping[str, Fact]) -> str:
    """What is missing to judge drift, where the gate asks for it and some device can tell; or ""."""
    if rollout.spec.gate.drift_psi_max is None or drifted_most(rollout, facts) is not None:
        return ""
    if not any(fact.counts for _, fact in _holding(rollout, facts)):
        return ""
    most = max((feature.samples for group in _groups(rollout, facts) for feature in group.drift.features), default=0)
    return f"{most} of {rollout.spec.gate.min_drift_samples} samples were counted for drift"


def _holding(rollout: Rollout, facts: Mapping[str, Fact]) -> Iterator[tuple[str, Fact]]:
    """Devices that have the release, none of them excused."""
    for device, member in rollout.members.items():
        if member.part in (Part.ASSIGNED, Part.SUCCEEDED) and not member.excused and device in facts:
            yield device, facts[device]


def _groups(rollout: Rollout, facts: Mapping[str, Fact]) -> list[drift.Group]:
    return drift.groups({device: fact.drift for device, fact in _holding(rollout, facts)})


def _of_drift(rollout: Rollout, facts: Mapping[str, Fact]) -> str:
    """Devices of a baseline by which the release has drifted are bad, and the share of good ones decides as ever."""
    gate = rollout.spec.gate
    if gate.drift_psi_max is None:
        return ""
    judged = [(group, group.drift.worst(gate.min_drift_samples)) for group in _groups(rollout, facts)]
    seen = sum(len(group.devices) for group, worst in judged if worst is not None)
    bad = [(group, worst) for group, worst in judged if worst is not None and worst.psi > gate.drift_psi_max]
    count = sum(len(group.devices) for group, _ in bad)
    if not count or seen - count >= gate.min_success * seen - 1e-9:
        return ""
    worst = max((worst for _, worst in bad), key=lambda one: one.psi)
    return (
        f"stage {rollout.stage + 1}: {worst.name} has drifted on {count} of {seen} devices: PSI {worst.psi:.2f} "
        f"of {worst.samples} samples, the gate allows {gate.drift_psi_max:g}"
    )


def _of_heat(rollout: Rollout, facts: Mapping[str, Fact]) -> str:
    """Devices that are too hot with the release are bad, and the share of good ones decides."""
    gate = rollout.spec.gate
    limit = gate.temperature_max_c
    if limit is None:
        return ""
    measured = {
        device: fact.temperature_c
        for device, member in rollout.members.items()
        if member.part in (Part.COMPARING, Part.ASSIGNED, Part.SUCCEEDED) and not member.excused
        for fact in [facts.get(device)]
        if fact is not None and fact.temperature_c is not None and _since(rollout, member) <= fact.measured_at
    }
    hot = {device: celsius for device, celsius in measured.items() if celsius > limit}
    if not hot or len(measured) - len(hot) >= gate.min_success * len(measured) - 1e-9:
        return ""
    first = max(hot, key=lambda device: (hot[device], device))
    return (
        f"stage {rollout.stage + 1}: {len(hot)} of {len(measured)} devices are hotter than {limit:g} °C; "
        f"{first}: {hot[first]:g} °C"
    )


def _since(rollout: Rollout, member: Member) -> float:
    """What was measured before says nothing of the release, or was seen and accepted by whoever resumed."""
    return max(rollout.since, member.assigned_at or 0.0)


def _of_devices(rollout: Rollout) -> str:
    """Why the gate is broken, or "". Earlier stages stay under test: a device may fail long after its soak."""
    gate = rollout.spec.gate
    for stage in range(rollout.stage + 1):
        members = [m for m in rollout.members.values() if m.stage == stage and not m.excused]
        good = sum(m.part in (Part.SUCCEEDED, Part.COMPARING) for m in members)
        seen = sum(m.part in SETTLED or m.part is Part.COMPARING for m in members)
        open_ = any(m.part in UNDERWAY for m in members)
        if seen and (not open_ or seen >= gate.min_samples) and good < gate.min_success * seen - 1e-9:
            text = f"stage {stage + 1}: {good} of {seen} succeeded, the gate asks for {_share(gate)}"
            return f"{text}; {_first_failure(rollout, stage)}"
    return ""


def _first_failure(rollout: Rollout, stage: int) -> str:
    failed = {
        device: member
        for device, member in rollout.members.items()
        if member.stage == stage and member.part is Part.FAILED and not member.excused
    }
    first = min(failed, key=lambda device: (failed[device].settled_at or 0.0, device))
    return f"{first}: {failed[first].reason}"


def _share(gate: Gate) -> str:
    return f"{gate.min_success * 100:g} %"
