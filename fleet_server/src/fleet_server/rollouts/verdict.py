"""What a device's own words make of its part in a rollout: success, failure, a way back, or no answer in time. Pure."""

from dataclasses import replace

from fleet_server.rollouts.terms import Fact, Member, Part, Rollout, State


def judge(rollout: Rollout, member: Member, fact: Fact | None, now: float) -> Member:
    """The member as it stands after ``fact`` (None: nothing new is known) at ``now``."""
    release, gate = rollout.spec.release, rollout.spec.gate
    if fact is not None and fact.gone and member.part not in (Part.DROPPED, Part.REVERTED):
        return replace(member, part=Part.DROPPED, settled_at=now, deadline=None)
    heard = fact is not None and fact.heard >= (member.seq or 0)
    if member.part is Part.REVERTING:
        back = heard and _is_back(fact, member, release)
        return replace(member, part=Part.REVERTED, settled_at=now) if back else member
    if member.part in (Part.TRYING, Part.COMPARING):
        return _on_trial(rollout, member, fact if heard else None, fact, now)
    if member.part not in (Part.ASSIGNED, Part.SUCCEEDED, Part.FAILED):
        return member
    if fact is not None and heard:
        if fact.active == release and fact.phase in ("committed", "idle"):
            if fact.served >= gate.min_served:
                return _settled(member, Part.SUCCEEDED, "", now)
        elif fact.phase in ("rolled-back", "refused") and fact.candidate == release:
            return _settled(member, Part.FAILED, f"{fact.phase}: {fact.error}".rstrip(": "), now)
        elif member.part is Part.SUCCEEDED and fact.active != release:
            return _settled(member, Part.FAILED, "no longer runs the release after it had committed it", now)
    if member.part is Part.ASSIGNED and rollout.state is not State.PAUSED and now >= (member.deadline or now):
        return _settled(member, Part.FAILED, _overdue(rollout, member, fact), now)
    return member


def _on_trial(rollout: Rollout, member: Member, said: Fact | None, fact: Fact | None, now: float) -> Member:
    """``said``: the fact, if it speaks of the trial that the device was told of."""
    release = rollout.spec.release
    if said is not None and said.candidate == release:
        if said.phase in ("rolled-back", "refused"):
            return _settled(member, Part.FAILED, f"{said.phase}: {said.error}".rstrip(": "), now)
        if said.phase == "trial":
            return replace(member, part=Part.COMPARING, deadline=None)
    late = member.part is Part.TRYING and now >= (member.deadline or now)
    if late and rollout.state is not State.PAUSED:
        return _settled(member, Part.FAILED, _overdue(rollout, member, fact), now)
    return member


def _is_back(fact: Fact | None, member: Member, release: str) -> bool:
    if fact is None or _under_way(fact, release):
        return False
    return fact.active == member.previous and fact.active != release


def _under_way(fact: Fact, release: str) -> bool:
    return fact.candidate == release and fact.phase not in ("idle", "committed", "rolled-back", "refused")


def _settled(member: Member, part: Part, reason: str, now: float) -> Member:
    if member.part is part and member.reason == reason:
        return member
    # A device that fails again after an excuse fails anew.
    excused = member.excused and part is member.part
    return replace(member, part=part, reason=reason, settled_at=now, excused=excused)


def _overdue(rollout: Rollout, member: Member, fact: Fact | None) -> str:
    limit = f"deadline: not done in {rollout.spec.device_deadline_s:g} s"
    if fact is None or not fact.online:
        return f"{limit}, the device is offline"
    if fact.heard < (member.seq or 0):
        return f"{limit}, the device has not seen its directive"
    if fact.active == rollout.spec.release:
        return f"{limit}, it runs but served only {fact.served} of {rollout.spec.gate.min_served}"
    return f"{limit}, last phase: {fact.phase}"
