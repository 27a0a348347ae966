"""What the engine is told: one fact a device, read out of what devices reported and what they were told."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from sqlalchemy import ColumnElement, Text, case, cast
from sqlalchemy.orm import load_only
from sqlmodel import Session, col, func, or_, select

from dunlin_contract.limits import LIMITS, MCU_LIMITS
from fleet_server.db.models import (
    DEVICE_ACTIVE,
    DeviceModelRow,
    DeviceRow,
    ModelTelemetryRow,
    ReleaseRow,
    RolloutDeviceRow,
    RolloutRow,
    WipeOrderRow,
)
from fleet_server.rollouts import trials
from fleet_server.rollouts.eligible import Exclusion, Surroundings, Target, exclusion
from fleet_server.rollouts.spec import Selector
from fleet_server.rollouts.terms import FINAL, Compared, Fact, Member, Part, Rollout
from fleet_server.services import quality, releases, settings

_BATCH = 500  # names in one IN
_PATIENCE = 3  # telemetry intervals after which a device's comparison is evidence no more
_NOTHING = DeviceModelRow(device="", model="")  # of a device that was never told of a model and never spoke of it
# A device's row holds kilobytes that decide nothing here: its certificate, its last directive.
_LOOKED_AT = load_only(
    *(
        getattr(DeviceRow, name)
        for name in (
            "id",
            "state",
            "gateway",
            "online",
            "tags",
            "hardware_class",
            "description",
            "epoch",
            "seq",
            "reported_epoch",
            "reported_seq",
            "temperature_dc",
            "temperature_at",
        )
    )
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A device as a rollout sees it: its row, its row for the model, and why it is left out, if it is."""

    device: DeviceRow
    model: DeviceModelRow | None
    excluded: Exclusion | None


def target_of(session: Session, release: str, selector: Selector) -> Target:
    """The release that a rollout installs. Raises: NotFoundError."""
    return Target(release, releases.manifest_of(releases.get(session, release)), selector.devices)


def surroundings(session: Session, model: str, rollout: int | None) -> Surroundings:
    """Who is busy in another rollout of ``model`` than ``rollout``, and who was or is being wiped of it."""
    part = select(RolloutDeviceRow.device, RolloutDeviceRow.rollout)
    part = part.join(RolloutRow, col(RolloutRow.id) == col(RolloutDeviceRow.rollout)).where(RolloutRow.model == model)
    # Late comers of a finished rollout, and devices still on their way back, are not to be taken from it.
    going = or_(col(RolloutRow.state).not_in(FINAL), col(RolloutDeviceRow.state).in_((Part.ASSIGNED, Part.REVERTING)))
    busy = {device: other for device, other in session.exec(part.where(going)) if other != rollout}
    return Surroundings(busy, _wipes(session, model), _full(session, model))


def _full(session: Session, model: str) -> frozenset[str]:
    others = select(DeviceModelRow.device).join(DeviceRow, col(DeviceRow.id) == col(DeviceModelRow.device))
    others = others.where(DeviceModelRow.model != model, col(DeviceModelRow.desired).is_not(None))
    most = case((col(DeviceRow.gateway).is_(None), LIMITS.models), else_=MCU_LIMITS.models)
    grouped = others.group_by(col(DeviceModelRow.device), col(DeviceRow.gateway))
    return frozenset(session.exec(grouped.having(func.count() >= most)))


def _wipes(session: Session, model: str) -> dict[str, str]:
    same = (col(DeviceModelRow.device) == col(WipeOrderRow.device)) & (col(DeviceModelRow.model) == model)
    query = select(WipeOrderRow, DeviceModelRow.assigned_at).join(DeviceModelRow, same, isouter=True)
    wipes: dict[str, str] = {}
    for order, assigned_at in session.exec(query.where(col(WipeOrderRow.state).in_(("sent", "done")))):
        if order.scope and model not in order.scope:
            continue
        if order.state == "sent":
            wipes[order.device] = "sent"
        elif assigned_at is None or assigned_at <= (order.sent_at or 0.0):
            wipes.setdefault(order.device, "done")
    return wipes


def candidates(
    session: Session, target: Target, selector: Selector, around: Surroundings, *, outside: int | None = None
) -> list[Candidate]:
    """Every active device that the selector matches. ``outside``: only those that have no part in that rollout."""
    conditions: list[ColumnElement[bool]] = [col(DeviceRow.state) == DEVICE_ACTIVE]
    if selector.hardware:
        conditions.append(col(DeviceRow.hardware_class).in_(selector.hardware))
    if outside is not None:
        # A device that came back counts as new; everyone else has had its turn.
        settled = select(RolloutDeviceRow.device).where(
            RolloutDeviceRow.rollout == outside, RolloutDeviceRow.state != Part.OFFLINE
        )
        conditions.append(col(DeviceRow.id).not_in(settled))
    return [
        Candidate(device, model, exclusion(target, device, model, around))
        for device, model in _with_model(session, target.manifest.name, *conditions)
        if selector.matches(device.id, device.tags, device.hardware_class)
    ]


def observe(session: Session, rollout: Rollout, target: Target, around: Surroundings) -> dict[str, Fact]:
    """Facts of a rollout that goes on: all who match, and all members whether they still match or not."""
    found = candidates(session, target, rollout.spec.selector, around)
    facts = {one.device.id: fact_of(session, rollout, one, around) for one in found}
    others = rollout.members.keys() - facts.keys()
    facts |= observe_members(session, rollout, target.manifest.name, around, others)
    if rollout.spec.trial is not None:
        patience_s = _PATIENCE * settings.get(session).telemetry_interval_s
        for device, (at, compared) in comparisons(session, rollout, target.manifest.name).items():
            if device in facts:
                facts[device] = replace(facts[device], compared=compared, compared_until=at + patience_s)
    if rollout.spec.gate.drift_psi_max is not None:
        for device, one in quality.of_rollout(session, rollout.id, rollout.spec.release).items():
            if device in facts:
                facts[device] = replace(facts[device], drift=one.drift)
    return facts


def owed_until(session: Session, listening: float) -> float:
    """When each device has had time to say what it counted, if the server has listened since ``listening``."""
    return listening + _PATIENCE * settings.get(session).telemetry_interval_s


def comparisons(session: Session, rollout: Rollout, model: str) -> dict[str, tuple[float, Compared]]:
    """Device on trial -> when it last said what it counted of the rollout's release of ``model``, and that.

    Nothing from before the rollout began the trial, of another release, or of a trial in another mode. A device that
    has changed the release that serves meanwhile counts with the newest.
    """
    # As text: of ten thousand devices nearly all have said nothing since the last look, and need not be read again.
    said = (cast(col(ModelTelemetryRow.comparison), Text), cast(col(ModelTelemetryRow.latency_us), Text))
    query = select(ModelTelemetryRow.device, ModelTelemetryRow.compared_at, *said).join(
        RolloutDeviceRow, col(ModelTelemetryRow.device) == col(RolloutDeviceRow.device)
    )
    query = query.where(
        RolloutDeviceRow.rollout == rollout.id,
        col(RolloutDeviceRow.state).in_((Part.TRYING, Part.COMPARING)),
        ModelTelemetryRow.model == model,
        ModelTelemetryRow.compared_with == rollout.spec.release,
        col(ModelTelemetryRow.compared_at) >= col(RolloutDeviceRow.assigned_at),
    )
    found: dict[str, tuple[float, Compared]] = {}
    most = trials.weight(rollout.spec.gate)
    for device, at, comparison, serving in session.exec(query.order_by(col(ModelTelemetryRow.compared_at))):
        mode, seen = _compared(comparison, serving, most)
        if mode == rollout.spec.trial:
            found[device] = (at or 0.0, seen)
    return found


@lru_cache(maxsize=12_000)
def _compared(comparison: str, serving: str, most: int) -> tuple[str, Compared]:
    """Mode of a trial, and what was counted in it: weighed here already, so that it is done once a report."""
    kept = json.loads(comparison)
    sketches = (
        {int(place): count for place, count in one.items()} for one in (kept["latency_us"], json.loads(serving))
    )
    seen = Compared(kept["pairs"], kept["agreed"], kept["errors"], kept["shed"], *sketches)
    return kept["mode"], trials.weighed(seen, most)


def observe_members(
    session: Session, rollout: Rollout, model: str, around: Surroundings, names: Iterable[str]
) -> dict[str, Fact]:
    """Facts of members that are no candidates: they have left the selection, or the rollout is over."""
    facts: dict[str, Fact] = {}
    for part in _batches(names):
        for device, row in _with_model(session, model, col(DeviceRow.id).in_(part)):
            fact = fact_of(session, rollout, Candidate(device, row, None), around)
            facts[device.id] = replace(fact, eligible=False)
    return facts


def fact_of(session: Session, rollout: Rollout, one: Candidate, around: Surroundings) -> Fact:
    """One device's fact for a rollout."""
    device, model = one.device, one.model or _NOTHING
    member = rollout.members.get(device.id, Member())
    return Fact(
        online=device.online,
        eligible=one.excluded is None,
        gone=device.state != DEVICE_ACTIVE or _taken_over(rollout, member, model, around),
        heard=_heard(device, member),
        active=model.active,
        way_back=_way_back(session, model, rollout.spec.release),
        candidate=model.candidate,
        phase=model.phase,
        served=model.served,
        error=": ".join(part for part in (model.error_code, model.error_text) if part),
        tags=device.tags,
        hardware=device.hardware_class,
        # Its own release has to serve before another can run beside it, and microcontrollers hold one.
        tries=device.gateway is None and model.desired not in (None, rollout.spec.release),
        counts=device.gateway is None,
        temperature_c=device.temperature_dc / 10 if device.temperature_dc is not None else None,
        measured_at=device.temperature_at or 0.0,
    )


def _taken_over(rollout: Rollout, member: Member, model: DeviceModelRow, around: Surroundings) -> bool:
    """Whether something stronger, such as a wipe, decides what a device that takes part runs."""
    match member.part:
        case Part.TRYING | Part.COMPARING | Part.ASSIGNED | Part.SUCCEEDED | Part.FAILED:
            ours = rollout.spec.release
            # Whoever failed on trial was told to end it, and nothing else.
            ended = member.part is Part.FAILED and model.assigned_by == rollout.id
            if (model.trial == ours or ended) and around.wipes.get(model.device) != "sent":
                return False
        case Part.REVERTING:
            ours = member.previous or ""
        case _:
            return False
    return (model.desired or "") != ours or around.wipes.get(model.device) == "sent"


def _heard(device: DeviceRow, member: Member) -> int:
    """Number of the last directive the device has seen. A new epoch counts from 1 again, above every older number."""
    if device.reported_epoch != device.epoch:
        return 0
    if member.seq is not None and device.seq < member.seq:
        return member.seq if device.reported_seq >= device.seq else 0
    return device.reported_seq


def _way_back(session: Session, model: DeviceModelRow, release: str) -> str | None:
    """What the device runs, as far as it could be told to: it may claim anything. Else what it was told before.

    The rollout's own ``release`` only if there is nothing else: whoever runs it already, by an order that was taken
    back while it was away, would otherwise keep it when the fleet is reverted.
    """
    known: list[str] = []
    for digest in (model.active, model.desired):
        row = session.get(ReleaseRow, digest) if digest is not None else None
        if row is not None and row.name == model.model and row.counter >= model.floor:
            known.append(row.digest)
    return next((digest for digest in known if digest != release), known[0] if known else None)


def _with_model(
    session: Session, model: str, *conditions: ColumnElement[bool]
) -> Iterator[tuple[DeviceRow, DeviceModelRow | None]]:
    same = (col(DeviceModelRow.device) == col(DeviceRow.id)) & (col(DeviceModelRow.model) == model)
    query = select(DeviceRow, DeviceModelRow).join(DeviceModelRow, same, isouter=True)
    yield from session.exec(query.options(_LOOKED_AT).where(*conditions).order_by(DeviceRow.id))


def _batches(names: Iterable[str]) -> Iterator[list[str]]:
    listed = sorted(names)
    for start in range(0, len(listed), _BATCH):
        yield listed[start : start + _BATCH]
