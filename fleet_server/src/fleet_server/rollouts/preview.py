"""What a rollout would do, said before it starts: who matches, who is left out and why, bytes, time, starvation."""

from dataclasses import dataclass

from sqlmodel import Session

from fleet_server.db.models import ReleaseRow
from fleet_server.rollouts import facts
from fleet_server.rollouts.eligible import Exclusion, Target
from fleet_server.rollouts.facts import Candidate
from fleet_server.rollouts.spec import RolloutSpec
from fleet_server.services import releases


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One stage: devices that it adds, and devices that have the release when it is over. ``soak_s`` in seconds."""

    adds: int
    total: int
    soak_s: float


@dataclass(frozen=True, slots=True)
class Preview:
    """The whole forecast. ``blockers`` forbid the start, ``warnings`` do not; both are lines for people.

    ``variants`` counts eligible devices by the kind of variant that they take, ``bytes_per_device`` says how many bytes
    of ciphertext one such device fetches. Without a pause it takes ``at_least_s`` to ``at_most_s`` seconds.
    """

    release: str
    model: str
    version: str
    matched: int
    eligible: int
    offline: tuple[str, ...]
    excluded: tuple[Exclusion, ...]
    variants: dict[str, int]
    bytes_per_device: dict[str, int]
    bytes_total: int
    stages: tuple[StagePlan, ...]
    at_least_s: float
    at_most_s: float
    blockers: tuple[str, ...]
    warnings: tuple[str, ...]


def preview(session: Session, spec: RolloutSpec, now: float) -> Preview:
    """Forecast a rollout. Raises: NotFoundError (no such release)."""
    row = releases.get(session, spec.release)
    target = facts.target_of(session, spec.release, spec.selector)
    around = facts.surroundings(session, row.name, None)
    found = facts.candidates(session, target, spec.selector, around)
    able = [one for one in found if one.excluded is None]
    stages = _stages(spec, able)
    soak_s = sum(stage.soak_s for stage in spec.stages)
    # With a trial each stage settles and soaks twice: while it is compared, and when it has the release.
    rounds = 1 if spec.trial is None else 2
    variants, sizes = _variants(target, able)
    return Preview(
        release=row.digest,
        model=row.name,
        version=row.version,
        matched=len(found),
        eligible=len(able),
        offline=tuple(one.device.id for one in able if not one.device.online),
        excluded=tuple(one.excluded for one in found if one.excluded is not None),
        variants=variants,
        bytes_per_device=sizes,
        bytes_total=sum(sizes[kind] * count for kind, count in variants.items()),
        stages=stages,
        at_least_s=rounds * soak_s,
        at_most_s=rounds * (soak_s + spec.device_deadline_s * len(spec.stages)),
        blockers=(
            *_blockers(spec, stages, found, len(able), expired=row.not_after <= now),
            *_without_baseline(spec, target),
        ),
        warnings=(
            *_warnings(stages, able),
            *_without_numbers(spec, target, able),
            *_steps_back(session, row.version, able),
            *_without_trial(spec, able),
        ),
    )


def _stages(spec: RolloutSpec, able: list[Candidate]) -> tuple[StagePlan, ...]:
    """How the stages would divide the eligible devices, were all of them online."""
    plans: list[StagePlan] = []
    left = [(one.device.id, one.device.tags, one.device.hardware_class) for one in able]
    for stage in spec.stages:
        done = len(able) - len(left)
        quota = stage.quota(len(able))
        if stage.selector is not None:
            kept = [one for one in left if not stage.selector.matches(*one)]
        else:
            kept = left[max(0, (quota or 0) - done) :]
        plans.append(StagePlan(len(left) - len(kept), len(able) - len(kept), stage.soak_s))
        left = kept
    return tuple(plans)


def _variants(target: Target, able: list[Candidate]) -> tuple[dict[str, int], dict[str, int]]:
    counts: dict[str, int] = {}
    sizes: dict[str, int] = {}
    for one in able:
        variant = target.choice(one.device).variant
        assert variant is not None, "an eligible device has a variant that fits"
        counts[variant.kind] = counts.get(variant.kind, 0) + 1
        sizes[variant.kind] = target.download_bytes(variant)
    return counts, sizes


def _blockers(
    spec: RolloutSpec, stages: tuple[StagePlan, ...], found: list[Candidate], able: int, *, expired: bool
) -> list[str]:
    lines: list[str] = []
    if expired:
        lines.append("this release is past its not-after time: build and push it again with a later one")
    if not found:
        lines.append("no active device matches the selector: widen it, or enrol devices with a claim token")
    elif not able:
        first = next(one.excluded for one in found if one.excluded is not None)
        lines.append(
            f"none of the devices that match ({len(found)}) can get this release: "
            f"{first.device}: {'; '.join(first.reasons)}; the preview says why for each"
        )
    elif stages[0].total < spec.gate.min_samples:
        lines.append(
            f"stage 1 would starve: the gate waits for {spec.gate.min_samples} devices and the stage has only "
            f"{stages[0].total}; widen the stage or lower min_samples"
        )
    return lines


def _steps_back(session: Session, version: str, able: list[Candidate]) -> list[str]:
    """A downgrade that the security counter allows is no mistake by itself, but nobody should make it unawares."""
    running = [one.model.active for one in able if one.model is not None and one.model.active is not None]
    known = {row.digest: row.version for digest in set(running) if (row := session.get(ReleaseRow, digest)) is not None}
    newer = [known[digest] for digest in running if digest in known and _core(known[digest]) > _core(version)]
    if not newer:
        return []
    names = ", ".join(sorted(set(newer)))
    return [f"{len(newer)} of the devices run a newer version ({names}): this takes them back to {version}"]


def _without_trial(spec: RolloutSpec, able: list[Candidate]) -> list[str]:
    """Who takes the release at once in a mode that tries it first."""
    if spec.trial is None:
        return []
    lines = []
    micro = sum(one.device.gateway is not None for one in able)
    new = sum(one.device.gateway is None and (one.model is None or one.model.desired is None) for one in able)
    if micro:
        lines.append(f"{micro} of the devices are microcontrollers, which hold no second release: they take it at once")
    if new:
        lines.append(f"{new} of the devices run nothing to compare it with: they take it at once")
    return lines


def _without_baseline(spec: RolloutSpec, target: Target) -> list[str]:
    if spec.gate.drift_psi_max is None or _counting(target):
        return []
    return ["the release has no baseline, so nobody counts for gate.drift_psi_max: build it with one, or leave it out"]


def _without_numbers(spec: RolloutSpec, target: Target, able: list[Candidate]) -> list[str]:
    """Devices that a gate cannot see."""
    lines = []
    kinds = _counting(target)
    if spec.gate.drift_psi_max is not None and kinds:
        choices = [(one.device.gateway, target.choice(one.device).variant) for one in able]
        blind = sum(behind is not None or (one is not None and one.kind not in kinds) for behind, one in choices)
        if blind:
            lines.append(f"{blind} of the devices count nothing for drift: microcontrollers, or without a baseline")
    cool = sum(one.device.temperature_at is None for one in able)
    if spec.gate.temperature_max_c is not None and cool:
        lines.append(f"{cool} of the devices have never said a temperature: the gate does not see how hot they are")
    return lines


def _counting(target: Target) -> set[str]:
    """Kinds of those variants that have a baseline."""
    manifest = target.manifest
    return {variant.kind for variant in manifest.variants if manifest.baseline_payload(variant) is not None}


def _core(version: str) -> tuple[int, ...]:
    """Major, minor and patch of a semantic version."""
    return tuple(int(part) for part in version.partition("+")[0].partition("-")[0].split("."))


def _warnings(stages: tuple[StagePlan, ...], able: list[Candidate]) -> list[str]:
    if not able:
        return []
    lines = [f"stage {place} adds no device" for place, plan in enumerate(stages, 1) if plan.adds == 0]
    if not any(one.device.online for one in able):
        lines.append("every device is offline: the first stage pauses the rollout if none returns in time")
    if stages[-1].total < len(able):
        lines.append(f"{len(able) - stages[-1].total} devices stay without it: the last stage does not take everyone")
    if stages[0].total == len(able) and len(able) > 1:
        lines.append("the first stage takes every device: nothing is held back if the release is bad")
    return lines
