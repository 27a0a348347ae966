"""Between rows and the engine's values: how a rollout and its members are read and written."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import delete, insert
from sqlmodel import Session, col, select

from fleet_server.db.models import ReleaseRow, RolloutDeviceRow, RolloutRow
from fleet_server.rollouts.spec import Gate, RolloutSpec, Selector, Stage
from fleet_server.rollouts.terms import FINAL, Compared, Member, Part, Rollout, State

UNSETTLED = (Part.ASSIGNED, Part.REVERTING, Part.OFFLINE)
"""Parts that may still change after a rollout has ended."""


def spec_of(row: RolloutRow) -> RolloutSpec:
    """What was asked for."""
    return RolloutSpec(
        row.release,
        Selector.parse(row.selector),
        tuple(Stage.parse(stage, f"stages[{place}]") for place, stage in enumerate(row.stages)),
        Gate.parse(row.gate),
        row.on_breach,
        row.device_deadline_s,
        row.lease_s,
        row.lease_action,
        row.mode,
        row.share,
    )


def new_row(spec: RolloutSpec, model: str, actor: str, now: float) -> RolloutRow:
    """A rollout that has not begun."""
    return RolloutRow(
        release=spec.release,
        model=model,
        selector=spec.selector.as_json(),
        stages=[stage.as_json() for stage in spec.stages],
        gate=spec.gate.as_json(),
        on_breach=spec.on_breach,
        device_deadline_s=spec.device_deadline_s,
        lease_s=spec.lease_s,
        lease_action=spec.lease_action,
        mode=spec.mode,
        share=spec.share,
        since=now,
        created=now,
        created_by=actor,
    )


def compared(kept: Mapping[str, Any]) -> Compared:
    """A stage's comparison as it is stored."""
    sketches = ({int(place): count for place, count in kept[name].items()} for name in ("candidate_us", "serving_us"))
    return Compared(kept["pairs"], kept["agreed"], kept["errors"], kept["shed"], *sketches)


def compared_as_json(seen: Compared) -> dict[str, Any]:
    """What :func:`compared` reads."""
    sketches = {"candidate_us": seen.candidate_us, "serving_us": seen.serving_us}
    return {
        "pairs": seen.pairs,
        "agreed": seen.agreed,
        "errors": seen.errors,
        "shed": seen.shed,
        **{name: {str(place): count for place, count in counts.items()} for name, counts in sketches.items()},
    }


def load(session: Session, row: RolloutRow) -> Rollout:
    """The engine's value of a stored rollout. Of a finished one, only members that may still change are read."""
    assert row.id is not None
    state = State(row.state)
    query = select(RolloutDeviceRow).where(RolloutDeviceRow.rollout == row.id)
    if state in FINAL:
        query = query.where(col(RolloutDeviceRow.state).in_(UNSETTLED))
    members = {stored.device: _member(stored) for stored in session.exec(query)}
    release = session.get(ReleaseRow, row.release)
    assert release is not None, "the foreign key holds"
    return Rollout(row.id, spec_of(row), release.counter, state, row.stage, row.since, row.reason, members)


def save(session: Session, row: RolloutRow, before: Rollout, after: Rollout, now: float) -> bool:
    """Write what the engine changed. Returns whether that is anything."""
    changed = {device: member for device, member in after.members.items() if before.members.get(device) != member}
    gone = before.members.keys() - after.members.keys()
    if not changed and not gone and replace(after, members={}) == replace(before, members={}):
        return False
    _save_members(session, before, changed)
    _remove(session, before.id, gone)
    row.state, row.stage, row.since, row.reason = after.state.value, after.stage, after.since, after.reason[:512]
    if after.state in FINAL and row.finished is None:
        row.finished = now
    session.add(row)
    return True


def _save_members(session: Session, before: Rollout, changed: dict[str, Member]) -> None:
    for stored in _rows(session, before.id, changed.keys() & before.members.keys()):
        for column, value in _columns(changed[stored.device]).items():
            setattr(stored, column, value)
        session.add(stored)
    new = [
        {"rollout": before.id, "device": device, **_columns(member)}
        for device, member in changed.items()
        if device not in before.members
    ]
    if new:
        session.connection().execute(insert(RolloutDeviceRow), new)


def _rows(session: Session, rollout: int, devices: Iterable[str]) -> Iterable[RolloutDeviceRow]:
    names = list(devices)
    for start in range(0, len(names), 500):
        part = col(RolloutDeviceRow.device).in_(names[start : start + 500])
        yield from session.exec(select(RolloutDeviceRow).where(RolloutDeviceRow.rollout == rollout, part))


def _remove(session: Session, rollout: int, devices: Iterable[str]) -> None:
    names = list(devices)
    for start in range(0, len(names), 500):
        part = col(RolloutDeviceRow.device).in_(names[start : start + 500])
        session.exec(delete(RolloutDeviceRow).where(col(RolloutDeviceRow.rollout) == rollout, part))


def _member(stored: RolloutDeviceRow) -> Member:
    return Member(
        Part(stored.state),
        stored.stage,
        stored.previous,
        stored.seq,
        stored.assigned_at,
        stored.deadline,
        stored.settled_at,
        stored.reason,
        stored.excused,
    )


def _columns(member: Member) -> dict[str, Any]:
    return {
        "state": member.part.value,
        "stage": member.stage,
        "previous": member.previous,
        "seq": member.seq,
        "assigned_at": member.assigned_at,
        "deadline": member.deadline,
        "settled_at": member.settled_at,
        "reason": member.reason[:512],
        "excused": member.excused,
    }
