"""Whether the gate of a rollout is broken: by devices that failed, or by a candidate on trial. Pure."""

from collections.abc import Mapping

from fleet_server.rollouts.spec import Gate
from fleet_server.rollouts.terms import SETTLED, UNDERWAY, Compared, Fact, Part, Rollout


def breach(rollout: Rollout, facts: Mapping[str, Fact]) -> str:
    """Why the gate is broken, or ""."""
    return _of_devices(rollout) or _of_trials(rollout, facts)


def compared(rollout: Rollout, facts: Mapping[str, Fact]) -> Compared:
    """What the devices on trial counted together. All of them are the present stage's: it is over when none is left."""
    seen = Compared()
    for device, member in rollout.members.items():
        if member.part is Part.COMPARING and device in facts:
            seen += facts[device].compared
    return seen


def _of_trials(rollout: Rollout, facts: Mapping[str, Fact]) -> str:
    """Why the candidate on trial is not good enough, or ""."""
    gate, seen = rollout.spec.gate, compared(rollout, facts)
    if seen.requests < gate.min_pairs:
        return ""
    stage = f"stage {rollout.stage + 1}: the candidate"
    if seen.errors > gate.error_share_max * seen.requests:
        return (
            f"{stage} failed at {seen.errors} of {seen.requests} requests, the gate allows {gate.error_share_max:.3g}"
        )
    if gate.agreement_min is not None and seen.agreed < gate.agreement_min * seen.pairs:
        share = seen.agreed / seen.pairs
        return f"{stage} agrees in {share:.3f} of {seen.pairs} requests, the gate asks for {gate.agreement_min:.3g}"
    ratio = gate.candidate_p95_ratio_max
    if ratio is not None and seen.candidate_p95_us > ratio * seen.serving_p95_us > 0:
        times = seen.candidate_p95_us / seen.serving_p95_us
        return f"{stage} takes {times:.2f} times as long (95th percentile), the gate allows {ratio:.3g}"
    return ""


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
