"""The rollout engine: `(rollout, event, now) -> (rollout, effects)`. Pure: no clock, no database, no socket.

    running ──── every device of the stage settled, gate passed ───► soaking ── last stage over ──► completed
       ▲  ▲                                                            │ │
       │  └──────────────────────── next stage ────────────────────────┘ │
     resume            gate broken (on_breach), or an operator           │
       │              ┌──────────────────┬─────────────────┬─────────────┘
     paused ◄─────────┘                  ▼                 ▼
       └── too long ───────────────► aborted           reverting ── all back, or deadline ──► reverted

In a mode with a trial a stage goes this way twice: its devices run the release beside the one that serves, and are
compared while the stage soaks; when the gate still holds and there is enough evidence, they are promoted (the stage is
running again), settle and soak like any. An A/B test waits for a person who promotes. While a rollout is paused, its
trials stay under the gate. Devices that can hold no second release, or have none to compare with, take it at once.

Success is what a device shows (it runs the release, committed, after a directive that it has seen), never what was
sent. The gate is tested on devices that have *completed*, each time one does, not on the whole stage. Devices that are
offline, or too hot, when their turn comes go into a bucket of their own: the stage takes others in their place, and
they join when they are back. Every state but the last three has a deadline (:func:`deadline`): nothing waits for ever,
only for telemetry that the server itself could not hear.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace

from fleet_server.rollouts import gates, trials
from fleet_server.rollouts.parts import ended_trials, having, moved, room_of, short_of, take_back
from fleet_server.rollouts.spec import AB, ABORT, PAUSE, REVERT
from fleet_server.rollouts.terms import (
    FINAL,
    UNASSIGNED,
    UNDERWAY,
    Action,
    Announce,
    Assign,
    Effect,
    Event,
    Fact,
    Member,
    NotAllowedNowError,
    Observed,
    Ordered,
    Part,
    RaiseFloor,
    Restore,
    Rollout,
    State,
    Step,
    Try,
    allowed,
)
from fleet_server.rollouts.verdict import judge

PAUSE_LIMIT_S = 7 * 86_400.0
"""A rollout that is paused for longer is aborted: nobody remembers what it waits for."""


def order(rollout: int, device: str) -> bytes:
    """Sort key of the assignment order: fixed for a rollout, new for the next, so that no device is always first."""
    return hashlib.sha256(f"{rollout}/{device}".encode()).digest()


def step(rollout: Rollout, event: Event, now: float) -> Step:
    """Decide what follows from ``event`` at ``now``.

    Raises:
        NotAllowedNowError: an order that the present state has no use for.
    """
    if isinstance(event, Ordered):
        return _order(rollout, event, now)
    before = rollout.members
    rollout = _enter(rollout, event.facts)
    rollout = _settle(rollout, event.facts, now)
    ended = ended_trials(before, rollout)
    rollout, effects = _observed(rollout, before, event, now)
    return rollout, (*ended, *effects)


def _observed(rollout: Rollout, before: Mapping[str, Member], event: Observed, now: float) -> Step:
    match rollout.state:
        case State.RUNNING | State.SOAKING:
            return _advance(rollout, event, now)
        case State.PAUSED if now >= rollout.since + PAUSE_LIMIT_S:
            return _abort(rollout, f"paused for more than {PAUSE_LIMIT_S / 86_400:.0f} days", now)
        case State.PAUSED:
            return _watch(rollout, event.facts, now)
        case State.REVERTING:
            return _reverting(rollout, now)
        case State.COMPLETED:
            return _late_comers(rollout, before, event.facts, now)
        case _:
            return rollout, ()


def deadline(rollout: Rollout) -> float | None:
    """When the present state ends at the latest (unix seconds) or is looked at anew; None in a final state."""
    match rollout.state:
        case State.RUNNING:
            pending = [m.deadline for m in having(rollout, *UNDERWAY) if m.deadline is not None]
            return max(pending, default=rollout.since + rollout.spec.device_deadline_s)
        case State.SOAKING:
            # Releases that nobody sends requests to are given as long again as a device has.
            waits = any(having(rollout, Part.COMPARING)) or rollout.spec.gate.drift_psi_max is not None
            more = rollout.spec.device_deadline_s if waits else 0.0
            return rollout.since + rollout.spec.stages[rollout.stage].soak_s + more
        case State.PAUSED:
            return rollout.since + PAUSE_LIMIT_S
        case State.REVERTING:
            return rollout.since + rollout.spec.device_deadline_s
        case _:
            return None


# --- who takes part ---------------------------------------------------------------------------------------------------


def _enter(rollout: Rollout, facts: Mapping[str, Fact]) -> Rollout:
    """Newly eligible devices wait; waiting ones that are no longer eligible leave."""
    if rollout.state in FINAL or rollout.state is State.REVERTING:
        return rollout
    members = dict(rollout.members)
    for device, fact in facts.items():
        fits = fact.eligible and not fact.gone
        if device not in members and fits:
            members[device] = Member()
        elif device in members and not fits and members[device].part in UNASSIGNED:
            del members[device]
    return replace(rollout, members=members)


def _settle(rollout: Rollout, facts: Mapping[str, Fact], now: float) -> Rollout:
    members = dict(rollout.members)
    late = rollout.state in FINAL
    for device, member in rollout.members.items():
        fact = facts.get(device)
        # In a final state only what is still under way is followed to its end; what was settled stays as it was.
        if member.part in UNASSIGNED or (late and member.part not in (Part.ASSIGNED, Part.REVERTING)):
            continue
        members[device] = judge(rollout, member, fact, now)
    return replace(rollout, members=members)


# --- stages -----------------------------------------------------------------------------------------------------------


def _advance(rollout: Rollout, event: Observed, now: float) -> Step:
    """Go as far as the facts allow: a stage that is complete and has no soak leads straight into the next."""
    effects: list[Effect] = []
    while True:
        if broken := gates.breach(rollout, event.facts, now):
            rollout, more = _on_breach(rollout, broken, now)
            return rollout, (*effects, *more)
        before = rollout
        if rollout.state is State.RUNNING:
            rollout, more = _fill(rollout, event.facts, now)
            effects += more
            rollout, more = _close_stage(rollout, now)
        else:
            rollout, more = _soak(rollout, event, now)
        effects += more
        if rollout == before or rollout.state not in (State.RUNNING, State.SOAKING):
            return rollout, tuple(effects)


def _fill(rollout: Rollout, facts: Mapping[str, Fact], now: float) -> Step:
    """Assign devices in the rollout's order until the stage is full, passing over those that are offline."""
    stage = rollout.spec.stages[rollout.stage]
    room = room_of(rollout, stage)
    members = dict(rollout.members)
    effects: list[Effect] = []
    waiting = [device for device, member in rollout.members.items() if member.part in UNASSIGNED and device in facts]
    for device in sorted(waiting, key=lambda name: order(rollout.id, name)):
        fact = facts[device]
        if room is not None and len(effects) >= room:
            break
        if stage.selector is not None and not stage.selector.matches(device, fact.tags, fact.hardware):
            continue
        hot = gates.too_hot(rollout, fact, now)
        if hot or not fact.online:
            members[device] = replace(members[device], part=Part.OFFLINE, reason=hot)
            continue
        members[device] = _assigned(rollout, members[device], fact, now)
        if rollout.spec.trial is not None and fact.tries:
            members[device] = replace(members[device], part=Part.TRYING)
            effects.append(Try(device))
        else:
            effects.append(Assign(device))
    for device, member in members.items():
        fact_now = facts.get(device)
        if member.part is Part.OFFLINE and fact_now is not None and _ready(rollout, fact_now, now):
            members[device] = replace(member, part=Part.WAITING, reason="")
    return replace(rollout, members=members), tuple(effects)


def _ready(rollout: Rollout, fact: Fact, now: float) -> bool:
    """Whether a device that was passed over can be given the release."""
    return fact.online and not gates.too_hot(rollout, fact, now)


def _assigned(rollout: Rollout, member: Member, fact: Fact, now: float) -> Member:
    until = now + rollout.spec.device_deadline_s
    return replace(
        member,
        part=Part.ASSIGNED,
        stage=rollout.stage,
        previous=fact.way_back,
        assigned_at=now,
        deadline=until,
        seq=None,
        reason="",
    )


def _close_stage(rollout: Rollout, now: float) -> Step:
    """Begin the soak when all that was assigned is settled and that is evidence enough."""
    if any(having(rollout, *UNDERWAY)):
        return rollout, ()
    if lacking := short_of(rollout):
        limit = deadline(rollout)
        if limit is not None and now < limit:
            return rollout, ()
        text = f"stage {rollout.stage + 1} starves: {lacking}"
        hot = " or too hot" if rollout.spec.gate.temperature_max_c is not None else ""
        return _pause(rollout, f"{text}; the others are offline{hot}", now)
    compared = sum(1 for _ in having(rollout, Part.COMPARING))
    text = f"stage {rollout.stage + 1} has settled" + (f", {compared} devices compare" if compared else "")
    return replace(rollout, state=State.SOAKING, since=now), (Announce("soak", text),)


def _soak(rollout: Rollout, event: Observed, now: float) -> Step:
    over = rollout.since + rollout.spec.stages[rollout.stage].soak_s
    if now < over:
        return rollout, ()
    if lacking := short_of(rollout):
        text = f"stage {rollout.stage + 1} takes others in their place: {lacking}"
        return replace(rollout, state=State.RUNNING, since=now), (Announce("stage", text),)
    if any(having(rollout, Part.COMPARING)):
        return _end_trials(rollout, event, now)
    if missing := gates.undecided(rollout, event.facts):
        if now < max(deadline(rollout) or 0.0, event.owed_until):
            return rollout, ()
        return _starve(rollout, missing, now)
    if rollout.stage + 1 < len(rollout.spec.stages):
        text = f"stage {rollout.stage + 2} of {len(rollout.spec.stages)} begins"
        return replace(rollout, state=State.RUNNING, stage=rollout.stage + 1, since=now), (Announce("stage", text),)
    return _complete(rollout, now)


def _end_trials(rollout: Rollout, event: Observed, now: float) -> Step:
    """A stage's trials have soaked and its gate holds: promote, if that is evidence and no person has to decide."""
    stage = rollout.stage + 1
    if missing := trials.missing(rollout, event.facts, now):
        if now < max(deadline(rollout) or 0.0, event.owed_until):
            return rollout, ()
        return _starve(rollout, missing, now)
    if rollout.spec.mode == AB:
        return _pause(rollout, f"stage {stage} is compared: promote the release, or abort to keep the other", now)
    return _promote(rollout, "the gate held", now)


def _starve(rollout: Rollout, missing: str, now: float) -> Step:
    """A gate that could not be judged has not been passed."""
    more = "; send requests, then resume" if rollout.spec.on_breach == PAUSE else ""
    return _on_breach(rollout, f"stage {rollout.stage + 1} starves: {missing}{more}", now)


def _promote(rollout: Rollout, why: str, now: float) -> Step:
    """Devices on trial take the release."""
    if rollout.state is State.PAUSED:
        rollout = _taken_up(rollout, now)
    until = now + rollout.spec.device_deadline_s
    members, effects = dict(rollout.members), []
    for device, member in rollout.members.items():
        if member.part is Part.COMPARING:
            members[device] = replace(member, part=Part.ASSIGNED, deadline=until, seq=None)
            effects.append(Assign(device))
    announce = Announce("promote", f"stage {rollout.stage + 1}: {len(effects)} devices take the release, {why}")
    rollout = replace(rollout, state=State.RUNNING, since=now, reason="", members=members)
    return rollout, (*effects, announce)


def _complete(rollout: Rollout, now: float) -> Step:
    done = [device for device, member in rollout.members.items() if member.part is Part.SUCCEEDED]
    effects: list[Effect] = [RaiseFloor(device, rollout.counter) for device in done]
    effects += take_back(rollout, Part.FAILED)
    effects.append(Announce("complete", f"{len(done)} devices run the release"))
    return replace(rollout, state=State.COMPLETED, since=now, reason=""), tuple(effects)


# --- the gate ---------------------------------------------------------------------------------------------------------


def _on_breach(rollout: Rollout, reason: str, now: float) -> Step:
    actions: dict[str, Callable[[Rollout, str, float], Step]] = {ABORT: _abort, REVERT: _revert}
    return actions.get(rollout.spec.on_breach, _pause)(rollout, reason, now)


def _watch(rollout: Rollout, facts: Mapping[str, Fact], now: float) -> Step:
    """Trials go on while a rollout is paused, and so does their gate: a breach is acted on, or at least told once."""
    tried = any(having(rollout, Part.TRYING, Part.COMPARING))
    broken = gates.breach(rollout, facts, now) if tried else ""
    if not broken:
        return rollout, ()
    if rollout.spec.on_breach != PAUSE:
        return _on_breach(rollout, broken, now)
    if gates.is_breach(rollout.reason):
        return rollout, ()
    return replace(rollout, reason=broken), (Announce("pause", broken),)


# --- orders and endings -----------------------------------------------------------------------------------------------


def _order(rollout: Rollout, event: Ordered, now: float) -> Step:
    possible = allowed(rollout.state, comparing=any(having(rollout, Part.COMPARING)))
    if event.action not in possible:
        listed = ", ".join(possible) or "nothing: start a new rollout"
        raise NotAllowedNowError(f"cannot {event.action} a rollout that is {rollout.state}; possible: {listed}")
    reason = f"ordered by {event.by}"
    match event.action:
        case Action.PAUSE:
            return _pause(rollout, reason, now)
        case Action.ABORT:
            return _abort(rollout, reason, now)
        case Action.REVERT:
            return _revert(rollout, reason, now)
        case Action.RESUME:
            return _resume(rollout, reason, now)
        case Action.PROMOTE:
            return _promote(rollout, reason, now)


def _pause(rollout: Rollout, reason: str, now: float) -> Step:
    return replace(rollout, state=State.PAUSED, since=now, reason=reason), (Announce("pause", reason),)


def _resume(rollout: Rollout, reason: str, now: float) -> Step:
    """Go on with the stage."""
    rollout = replace(_taken_up(rollout, now), state=State.RUNNING, since=now, reason="")
    return rollout, (Announce("resume", reason),)


def _taken_up(rollout: Rollout, now: float) -> Rollout:
    """After a pause: time spent paused counts against no device, and failures so far are accepted."""
    paused = now - rollout.since

    def resumed(member: Member) -> Member:
        if member.part is Part.FAILED:
            return replace(member, excused=True)
        if member.part in UNDERWAY and member.deadline is not None:
            return replace(member, deadline=member.deadline + paused)
        return member

    return replace(rollout, members={device: resumed(member) for device, member in rollout.members.items()})


def _abort(rollout: Rollout, reason: str, now: float) -> Step:
    """Stop where it is: devices that have proven the release keep it, those under way or failed go back."""
    going = (*UNDERWAY, Part.COMPARING)
    effects = (*take_back(rollout, *going, Part.FAILED), Announce("abort", reason))
    members = moved(rollout, Part.REVERTING, *going)
    return replace(rollout, state=State.ABORTED, since=now, reason=reason, members=members), effects


def _revert(rollout: Rollout, reason: str, now: float) -> Step:
    """Everyone goes back to what they ran before."""
    touched = (*UNDERWAY, Part.COMPARING, Part.SUCCEEDED, Part.FAILED)
    effects = (*take_back(rollout, *touched), Announce("revert", reason))
    members = moved(rollout, Part.REVERTING, *touched)
    return _reverting(replace(rollout, state=State.REVERTING, since=now, reason=reason, members=members), now, effects)


def _reverting(rollout: Rollout, now: float, effects: tuple[Effect, ...] = ()) -> Step:
    left = sum(1 for _ in having(rollout, Part.REVERTING))
    limit = deadline(rollout)
    if left and limit is not None and now < limit:
        return rollout, effects
    reason = rollout.reason
    back = sum(1 for _ in having(rollout, Part.REVERTED))
    if left:
        reason = f"{reason}; the way back is not confirmed by {left} of {back + left} devices yet"
    announce = Announce("reverted", f"back on what they ran before: {back} of {back + left} devices")
    return replace(rollout, state=State.REVERTED, since=now, reason=reason), (*effects, announce)


def _late_comers(rollout: Rollout, before: Mapping[str, Member], facts: Mapping[str, Fact], now: float) -> Step:
    """After completion: devices that came, or came back, later get the release too, and go back if it fails on them."""
    stage = rollout.spec.stages[rollout.stage]
    members = dict(rollout.members)
    effects: list[Effect] = []
    for device, member in rollout.members.items():
        if before[device].part is Part.ASSIGNED and member.part is Part.SUCCEEDED:
            effects.append(RaiseFloor(device, rollout.counter))
        elif before[device].part is Part.ASSIGNED and member.part is Part.FAILED:
            effects.append(Restore(device, member.previous))
    for device, fact in facts.items():
        member = members.get(device, Member(part=Part.OFFLINE))
        fits = fact.eligible and not fact.gone and stage.whole(device, fact.tags, fact.hardware)
        joins = fits and _ready(rollout, fact, now)
        if member.part is Part.OFFLINE and joins:
            members[device] = _assigned(rollout, member, fact, now)
            effects.append(Assign(device))
    return replace(rollout, members=members), tuple(effects)
