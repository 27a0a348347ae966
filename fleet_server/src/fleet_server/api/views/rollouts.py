"""Rollouts: how they stand, and what one would do."""

from collections.abc import Mapping

from sqlmodel import Session

from fleet_server.api.views import quality
from fleet_server.api.views.releases import versions
from fleet_server.api.views.shape import LISTED, Json
from fleet_server.db.models import DeviceModelRow, DeviceRow, RolloutDeviceRow, RolloutRow
from fleet_server.rollouts import service as rollouts
from fleet_server.rollouts import store, terms
from fleet_server.rollouts.preview import Preview
from fleet_server.rollouts.spec import RolloutSpec, Stage


def rollout_line(session: Session, row: RolloutRow) -> Json:
    """A rollout in a list, with how many of its devices stand where."""
    spec = store.spec_of(row)
    version = versions(session, [row.release]).get(row.release, "")
    per_stage, parts = _tally(session, row)
    return {
        "id": row.id,
        "release": row.release,
        "model": row.model,
        "version": version.removeprefix(f"{row.model} "),
        "state": row.state,
        "reason": row.reason,
        "stage": row.stage,
        "stages": [
            {**stage.as_json(), "total": _planned(stage, parts), "parts": per_stage[place]}
            for place, stage in enumerate(spec.stages)
        ],
        "parts": parts,
        "devices_total": sum(parts.values()) - parts["dropped"],
        "mode": row.mode,
        "share": row.share,
        "actions": [str(one) for one in terms.allowed(terms.State(row.state), comparing=parts["comparing"] > 0)],
        "since": row.since,
        "created": row.created,
        "created_by": row.created_by,
        "finished": row.finished,
    }


def rollout(session: Session, row: RolloutRow, after: str = "", limit: int = 200) -> Json:
    """One rollout with a page of its devices, by id above ``after``: each one's part, and how far it is."""
    spec = store.spec_of(row)
    members = rollouts.members(session, row, after, limit + 1)
    line = rollout_line(session, row)
    for place, compared in rollouts.comparisons(row).items():
        line["stages"][place]["comparison"] = _comparison(compared)
    return line | {
        "selector": {"tags": {}, "hardware": [], "devices": []} | spec.selector.as_json(),
        "gate": spec.gate.as_json(),
        "drift": _drift(session, row, spec),
        "on_breach": spec.on_breach,
        "device_deadline_s": spec.device_deadline_s,
        "lease": {"seconds": spec.lease_s, "action": spec.lease_action} if spec.lease_s else None,
        "deadline": rollouts.deadline(session, row),
        "devices": [_part(member, device, model) for member, device, model in members[:limit]],
        "next": members[limit - 1][0].device if len(members) > limit else None,
        "versions": versions(session, [row.release, *(member.previous for member, _, _ in members)]),
    }


def _drift(session: Session, row: RolloutRow, spec: RolloutSpec) -> Json | None:
    """The feature that has drifted most on the devices that have the release; None: nothing to judge by."""
    if spec.gate.drift_psi_max is None:
        return None
    found = [group.drift.worst(spec.gate.min_drift_samples) for group in rollouts.drift(session, row)]
    return quality.worst(max((one for one in found if one is not None), key=lambda one: one.psi, default=None))


def _comparison(seen: terms.Compared) -> Json:
    return {
        "pairs": seen.pairs,
        "agreed": seen.agreed,
        "errors": seen.errors,
        "shed": seen.shed,
        "candidate_p95_us": seen.candidate_p95_us,
        "serving_p95_us": seen.serving_p95_us,
    }


def _tally(session: Session, row: RolloutRow) -> tuple[dict[int, dict[str, int]], dict[str, int]]:
    """Devices by stage and part, and by part over all."""
    nobody = {str(part): 0 for part in terms.Part}
    per_stage = {place: dict(nobody) for place in range(len(row.stages))}
    parts = dict(nobody)
    for stage, part, count in rollouts.tally(session, row):
        parts[part] += count
        if stage is not None:
            per_stage[stage][part] = count
    return per_stage, parts


def _planned(stage: Stage, parts: Mapping[str, int]) -> int | None:
    """Devices that have been assigned when the stage is over; None where only its selector knows."""
    return stage.quota(sum(parts.values()) - parts["dropped"])


def _part(member: RolloutDeviceRow, row: DeviceRow, model: DeviceModelRow | None) -> Json:
    return {
        "device": member.device,
        "state": member.state,
        "stage": member.stage,
        "reason": member.reason,
        "excused": member.excused,
        "previous": member.previous,
        "assigned_at": member.assigned_at,
        "deadline": member.deadline,
        "settled_at": member.settled_at,
        "online": row.online,
        "last_seen": row.last_seen,
        "desired": model.desired if model is not None else None,
        "phase": model.phase if model is not None else "idle",
        "active": model.active if model is not None else None,
        "error_code": model.error_code if model is not None else "",
        "error_text": model.error_text if model is not None else "",
        "served": model.served if model is not None else 0,
        "chunks_have": model.chunks_have if model is not None else 0,
        "chunks_need": model.chunks_need if model is not None else 0,
    }


def preview(plan: Preview) -> Json:
    """A forecast. ``excluded`` and ``offline`` list at most 500 devices each; the counts are of all."""
    return {
        "release": plan.release,
        "model": plan.model,
        "version": plan.version,
        "matched": plan.matched,
        "eligible": plan.eligible,
        "offline": list(plan.offline[:LISTED]),
        "offline_total": len(plan.offline),
        "excluded": [
            {"device": one.device, "why": str(one.why), "reasons": list(one.reasons)} for one in plan.excluded[:LISTED]
        ],
        "excluded_total": len(plan.excluded),
        "variants": plan.variants,
        "bytes_per_device": plan.bytes_per_device,
        "bytes_total": plan.bytes_total,
        "stages": [{"adds": one.adds, "total": one.total, "soak_s": one.soak_s} for one in plan.stages],
        "at_least_s": plan.at_least_s,
        "at_most_s": plan.at_most_s,
        "blockers": list(plan.blockers),
        "warnings": list(plan.warnings),
    }
