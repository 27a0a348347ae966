"""Who of a rollout's members stands where, and what follows for all of some part alike. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from fleet_server.rollouts.spec import Stage
from fleet_server.rollouts.terms import SETTLED, UNASSIGNED, Effect, EndTrial, Member, Part, Restore, Rollout


def having(rollout: Rollout, *parts: Part) -> Iterable[Member]:
    """Members whose part is one of these."""
    return (member for member in rollout.members.values() if member.part in parts)


def room_of(rollout: Rollout, stage: Stage) -> int | None:
    """How many more devices the stage takes; None: all that its selector matches."""
    counted = [m for m in rollout.members.values() if m.part is not Part.DROPPED]
    quota = stage.quota(len(counted))
    return None if quota is None else max(0, quota - sum(m.stage is not None for m in counted))


def short_of(rollout: Rollout) -> str:
    """Which devices a stage lacks, or ""."""
    samples = sum(m.part in SETTLED or m.part is Part.COMPARING for m in rollout.members.values())
    if samples < rollout.spec.gate.min_samples:
        return f"{samples} of {rollout.spec.gate.min_samples} devices have answered"
    taken = [m for m in rollout.members.values() if m.stage == rollout.stage]
    deserted = bool(taken) and all(m.part is Part.DROPPED for m in taken)
    if deserted and room_of(rollout, rollout.spec.stages[rollout.stage]) and any(having(rollout, *UNASSIGNED)):
        return "all devices that it took have left"
    return ""


def ended_trials(before: Mapping[str, Member], rollout: Rollout) -> list[Effect]:
    """Whoever has failed on trial: one that gets there late would answer requests, and nobody would judge it."""
    failed = (device for device, member in rollout.members.items() if member.part is Part.FAILED)
    return [EndTrial(device) for device in failed if before[device].part in (Part.TRYING, Part.COMPARING)]


def take_back(rollout: Rollout, *parts: Part) -> list[Effect]:
    """All whose part is one of these go back to what they ran before."""
    return [Restore(device, m.previous) for device, m in rollout.members.items() if m.part in parts]


def moved(rollout: Rollout, to: Part, *parts: Part) -> dict[str, Member]:
    """The members, those whose part is one of ``parts`` moved ``to`` another."""

    def one(member: Member) -> Member:
        if member.part not in parts:
            return member
        return replace(member, part=to, seq=None, deadline=None, settled_at=None)

    return {device: one(member) for device, member in rollout.members.items()}
