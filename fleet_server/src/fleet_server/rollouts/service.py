"""Rollouts in the database: what is read becomes facts, the engine decides, and its effects are written.

Everything happens in the caller's transaction, so that a device's desired release, its signed directive, the outbox,
the audit row and the rollout's own state are committed together or not at all.
"""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from sqlalchemy import exists
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, func, or_, select

from fleet_server.context import Context
from fleet_server.db.engine import touch
from fleet_server.db.models import (
    DEVICE_ACTIVE,
    DeviceModelRow,
    DeviceRow,
    MetaRow,
    ReleaseRow,
    RolloutDeviceRow,
    RolloutRow,
)
from fleet_server.drift import Group, groups
from fleet_server.errors import ConflictError, InvalidError, NotFoundError
from fleet_server.rollouts import engine, facts, store, trials
from fleet_server.rollouts.preview import preview
from fleet_server.rollouts.spec import RolloutSpec, Selector
from fleet_server.rollouts.terms import (
    FINAL,
    Action,
    Announce,
    Assign,
    Compared,
    Effect,
    EndTrial,
    Fact,
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
)
from fleet_server.services import audit, devices, directives, quality

_LOCK = "rollouts"  # key of the row that whoever decides about rollouts holds: any replica may, one at a time does


@dataclass(frozen=True, slots=True)
class Turn:
    """One decision about one rollout: who caused it, and when."""

    actor: str
    now: float


def get(session: Session, rollout: int, *, lock: bool = False) -> RolloutRow:
    """One rollout. Raises: NotFoundError."""
    row = session.get(RolloutRow, rollout, with_for_update=lock or None)
    if row is None:
        raise NotFoundError(f"there is no rollout {rollout}: GET /api/v1/rollouts lists them")
    return row


def page(session: Session, limit: int = 50, before: int | None = None, state: str | None = None) -> list[RolloutRow]:
    """Up to `limit` rollouts, newest first, with ids below `before`."""
    query = select(RolloutRow).order_by(col(RolloutRow.id).desc()).limit(max(1, min(limit, 200)))
    if before is not None:
        query = query.where(col(RolloutRow.id) < before)
    if state is not None:
        query = query.where(RolloutRow.state == state)
    return list(session.exec(query))


def members(
    session: Session, row: RolloutRow, after: str, limit: int
) -> list[tuple[RolloutDeviceRow, DeviceRow, DeviceModelRow | None]]:
    """Up to `limit` of a rollout's devices, by id above `after`, each with what it reports of the model."""
    same = (col(DeviceModelRow.device) == col(RolloutDeviceRow.device)) & (col(DeviceModelRow.model) == row.model)
    query = select(RolloutDeviceRow, DeviceRow, DeviceModelRow)
    query = query.join(DeviceRow, col(DeviceRow.id) == col(RolloutDeviceRow.device))
    query = query.join(DeviceModelRow, same, isouter=True)
    query = query.where(RolloutDeviceRow.rollout == row.id, RolloutDeviceRow.device > after)
    return [
        (part, device, model)
        for part, device, model in session.exec(query.order_by(RolloutDeviceRow.device).limit(limit))
    ]


def tally(session: Session, row: RolloutRow) -> list[tuple[int | None, str, int]]:
    """How many devices stand where: (stage, part, count)."""
    query = select(RolloutDeviceRow.stage, RolloutDeviceRow.state, func.count())
    query = query.where(RolloutDeviceRow.rollout == row.id).group_by(
        col(RolloutDeviceRow.stage), col(RolloutDeviceRow.state)
    )
    return [(stage, part, count) for stage, part, count in session.exec(query)]


def comparisons(row: RolloutRow) -> dict[int, Compared]:
    """What the devices of each stage counted of the release on trial, as the gate weighs it."""
    return {int(stage): store.compared(kept) for stage, kept in row.compared.items()}


def drift(session: Session, row: RolloutRow) -> list[Group]:
    """What the devices of a rollout counted of its release together, by baseline."""
    assert row.id is not None
    return groups({device: one.drift for device, one in quality.of_rollout(session, row.id, row.release).items()})


def deadline(session: Session, row: RolloutRow) -> float | None:
    """When the present state ends or is looked at anew at the latest, unix seconds; None once it is over."""
    return engine.deadline(store.load(session, row))


def create(session: Session, ctx: Context, spec: RolloutSpec, actor: str, now: float) -> RolloutRow:
    """Start a rollout: its first stage is assigned before this returns.

    Raises: NotFoundError (release), InvalidError (nobody can get it, it has expired, or its gate can never be passed).
    """
    _take_lock(session)
    plan = preview(session, spec, now)
    if plan.blockers:
        raise InvalidError(plan.blockers[0])
    row = store.new_row(spec, plan.model, actor, now)
    session.add(row)
    session.flush()
    detail = {"release": spec.release, "model": plan.model, "version": plan.version, "devices": plan.eligible}
    audit.record(session, actor, "rollout.start", f"rollout:{row.id}", detail, now)
    target = facts.target_of(session, spec.release, spec.selector)
    before = store.load(session, row)
    around = facts.surroundings(session, row.model, row.id)
    seen = Observed(facts.observe(session, before, target, around))
    _apply(session, ctx, row, before, engine.step(before, seen, now), Turn(audit.SERVER, now))
    return row


def order(session: Session, ctx: Context, rollout: int, action: Action, actor: str, now: float) -> RolloutRow:
    """Pause, resume, promote, abort or revert. Raises: NotFoundError, ConflictError (not in its present state)."""
    _take_lock(session)
    row = get(session, rollout, lock=True)
    before = store.load(session, row)
    try:
        decided = engine.step(before, Ordered(action, actor), now)
    except NotAllowedNowError as error:
        raise ConflictError(f"rollout {rollout}: {error}") from None
    _apply(session, ctx, row, before, decided, Turn(actor, now))
    return row


def tick(session: Session, ctx: Context, now: float) -> None:
    """Look at every rollout that can still change, and at devices that came after one had completed."""
    _take_lock(session)
    unsettled = exists().where(
        col(RolloutDeviceRow.rollout) == col(RolloutRow.id),
        col(RolloutDeviceRow.state).in_((Part.ASSIGNED, Part.REVERTING)),
    )
    query = select(RolloutRow).where(or_(col(RolloutRow.state).not_in(FINAL), unsettled)).order_by(col(RolloutRow.id))
    owed_until = facts.owed_until(session, ctx.link.since if ctx.link.connected else now)
    for row in session.exec(query.with_for_update()).all():
        before = store.load(session, row)
        around = facts.surroundings(session, row.model, row.id)
        if before.state in FINAL:
            seen = facts.observe_members(session, before, row.model, around, before.members)
        else:
            target = facts.target_of(session, row.release, before.spec.selector)
            seen = facts.observe(session, before, target, around)
            _keep_compared(row, before, seen)
        decided = engine.step(before, Observed(seen, owed_until), now)
        _apply(session, ctx, row, before, decided, Turn(audit.SERVER, now))
    _serve_late_comers(session, ctx, now)


def _keep_compared(row: RolloutRow, before: Rollout, seen: Mapping[str, Fact]) -> None:
    """What a trial comes to stays with its rollout: the next trial of the release starts its devices' counts anew."""
    tried = (d for d, member in before.members.items() if member.part in (Part.TRYING, Part.COMPARING) and d in seen)
    found = trials.together((seen[device].compared for device in tried), before.spec.gate)
    if found != Compared():
        row.compared = row.compared | {str(before.stage): store.compared_as_json(found)}


def _serve_late_comers(session: Session, ctx: Context, now: float) -> None:
    """Devices that enrolled, were tagged or came back after a rollout had completed get its release.

    Of the completed rollouts of a model the newest that selects a device decides, and older ones leave it alone. None
    undoes what was assigned after it, and a device that was wiped gets nothing by itself.
    """
    claimed: dict[str, set[str]] = {}
    newer: dict[str, list[int]] = {}
    for row in _latest_completed(session, now):
        before = store.load(session, row)
        taken, later = claimed.setdefault(row.model, set()), newer.setdefault(row.model, [])
        seen: dict[str, Fact] = {}
        around = facts.surroundings(session, row.model, None)
        target = facts.target_of(session, row.release, Selector())
        for one in facts.candidates(session, target, before.spec.selector, around, outside=before.id):
            name = one.device.id
            if name in taken or not before.spec.stages[-1].whole(name, one.device.tags, one.device.hardware_class):
                continue
            taken.add(name)
            decided = _assigned_since(one.model, row.finished or now) or _takes_part(session, later, name)
            if one.excluded is None and not decided:
                seen[name] = facts.fact_of(session, before, one, around)
        later.append(before.id)
        if seen:
            _apply(session, ctx, row, before, engine.step(before, Observed(seen), now), Turn(audit.SERVER, now))


def _takes_part(session: Session, rollouts: list[int], device: str) -> bool:
    """Whether one of these rollouts has assigned the device."""
    part = select(RolloutDeviceRow.device).where(
        RolloutDeviceRow.device == device,
        col(RolloutDeviceRow.rollout).in_(rollouts),
        col(RolloutDeviceRow.stage).is_not(None),
    )
    return session.exec(part.limit(1)).first() is not None


def _assigned_since(model: DeviceModelRow | None, time: float) -> bool:
    return model is not None and model.desired is not None and (model.assigned_at or 0.0) >= time


def _latest_completed(session: Session, now: float) -> list[RolloutRow]:
    """Completed rollouts whose release has not expired, newest first, one for each model and selector."""
    query = select(RolloutRow).join(ReleaseRow, col(ReleaseRow.digest) == col(RolloutRow.release))
    query = query.where(RolloutRow.state == State.COMPLETED, ReleaseRow.not_after > now)
    query = query.order_by(col(RolloutRow.finished).desc(), col(RolloutRow.id).desc())
    latest: dict[tuple[str, str], RolloutRow] = {}
    for row in session.exec(query):
        latest.setdefault((row.model, repr(store.spec_of(row).selector.as_json())), row)
    return list(latest.values())


def _apply(session: Session, ctx: Context, row: RolloutRow, before: Rollout, decided: Step, turn: Turn) -> None:
    after, effects = decided
    seqs = _tell(session, ctx, row, effects, turn.now)
    members = {
        device: replace(member, seq=seqs[device]) if device in seqs else member
        for device, member in after.members.items()
    }
    after = replace(after, members=members)
    if store.save(session, row, before, after, turn.now):
        touch(session, f"rollout:{row.id}", *(f"device:{device}" for device in seqs))
    for effect in effects:
        if isinstance(effect, Announce):
            audit.record(
                session, turn.actor, f"rollout.{effect.kind}", f"rollout:{row.id}", {"text": effect.text}, turn.now
            )


def _tell(session: Session, ctx: Context, row: RolloutRow, effects: Iterable[Effect], now: float) -> dict[str, int]:
    """Change what devices desire and issue one directive each. Returns device -> the directive's number."""
    told: list[str] = []
    for effect in effects:
        match effect:
            case Assign(device) | Try(device) | EndTrial(device) | Restore(device) if _being_wiped(
                session, device, row.model
            ):
                continue
            case Assign(device):
                model = _model(session, device, row.model)
                directives.keep_grant(model, row.release)
                model.desired, model.lease_s, model.lease_action = row.release, row.lease_s, row.lease_action
                model.assigned_by, model.assigned_at = row.id, now
            case Try(device):
                model = _model(session, device, row.model)
                spec = store.spec_of(row)
                assert spec.trial is not None, "the engine tries nothing in mode rolling"
                model.trial, model.trial_mode, model.trial_permille = row.release, spec.trial, round(1000 * spec.share)
                model.assigned_by, model.assigned_at = row.id, now
            case EndTrial(device):
                model = _model(session, device, row.model)
                model.trial = None
            case Restore(device, release):
                model = _model(session, device, row.model)
                model.desired, model.trial = release, None
                model.assigned_by, model.assigned_at = row.id, now
            case RaiseFloor(device, counter):
                model = _model(session, device, row.model)
                model.floor = max(model.floor, counter)
            case _:
                continue
        session.add(model)
        told.append(effect.device)
    session.flush()
    seqs: dict[str, int] = {}
    for device in dict.fromkeys(told):
        found = session.get(DeviceRow, device)
        if found is not None and found.state == DEVICE_ACTIVE:
            seq = directives.tell(session, ctx, device, now)
            if seq is not None:
                seqs[device] = seq
    return seqs


def _being_wiped(session: Session, device: str, model: str) -> bool:
    """Under the device's lock: on PostgreSQL an order may have been signed since the facts were read, and it wins."""
    devices.get(session, device, lock=True)
    order = directives.pending_wipe(session, device)
    return order is not None and (not order.scope or model in order.scope)


def _model(session: Session, device: str, model: str) -> DeviceModelRow:
    return session.get(DeviceModelRow, (device, model)) or DeviceModelRow(device=device, model=model)


def _take_lock(session: Session) -> None:
    """Wait until nobody else decides about rollouts; held until the transaction ends."""
    if session.get(MetaRow, _LOCK, with_for_update=True) is None:
        with contextlib.suppress(IntegrityError), session.begin_nested():
            session.add(MetaRow(key=_LOCK))
        session.get(MetaRow, _LOCK, with_for_update=True)
