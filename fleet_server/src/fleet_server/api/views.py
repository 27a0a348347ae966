"""Rows as JSON: the one shape of each thing, answered by the API and drawn by the pages. Times are unix seconds."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, func, select

from dunlin_contract import cbor, cose
from dunlin_contract.limits import LIMITS
from dunlin_contract.manifest import Manifest, Payload, Tensor, Variant
from dunlin_contract.sketch import Sketch
from fleet_server.db.models import (
    AuditRow,
    ClaimTokenRow,
    DeviceAlarmRow,
    DeviceModelRow,
    DeviceRow,
    EventRow,
    ModelTelemetryRow,
    ReleaseRow,
    RolloutDeviceRow,
    RolloutRow,
    WipeOrderRow,
)
from fleet_server.rollouts import service as rollouts
from fleet_server.rollouts import store, terms
from fleet_server.rollouts.preview import Preview
from fleet_server.rollouts.spec import Stage
from fleet_server.services import alarms, devices, gateways, releases, roots, wipes

Json = dict[str, Any]
LISTED = 500  # most devices that a preview names in one list


def versions(session: Session, digests: Iterable[str | None]) -> dict[str, str]:
    """Digest -> "name version" of those releases that are known here."""
    wanted = sorted({digest for digest in digests if digest is not None})
    rows = session.exec(select(ReleaseRow).where(col(ReleaseRow.digest).in_(wanted))) if wanted else ()
    return {row.digest: f"{row.name} {row.version}" for row in rows}


def device_line(row: DeviceRow, models: Iterable[DeviceModelRow], behind: int = 0) -> Json:
    """A device in a list. ``behind``: how many devices it is the gateway of."""
    return {
        "id": row.id,
        "kind": "computer" if row.gateway is None else "microcontroller",
        "gateway": row.gateway,
        "behind": behind,
        "state": row.state,
        "online": row.online,
        "last_seen": row.last_seen,
        "created": row.created,
        "tags": row.tags,
        "hardware_class": row.hardware_class,
        "arch": row.arch,
        "agent_version": row.agent_version,
        "models": {model.model: model_state(model) for model in models},
    }


def device_lines(session: Session, rows: Sequence[DeviceRow]) -> list[Json]:
    """Devices in a list, in one query for all their models and one for all who are behind them."""
    query = select(DeviceModelRow).where(col(DeviceModelRow.device).in_([row.id for row in rows]))
    models: dict[str, list[DeviceModelRow]] = {}
    for model in session.exec(query.order_by(DeviceModelRow.model)):
        models.setdefault(model.device, []).append(model)
    behind = gateways.counts(session, (row.id for row in rows))
    return [device_line(row, models.get(row.id, ()), behind.get(row.id, 0)) for row in rows]


def device(session: Session, row: DeviceRow) -> Json:
    """One device with all that is known of it."""
    models = devices.models_of(session, row.id)
    names = [digest for model in models for digest in (model.desired, model.active, model.previous, model.candidate)]
    behind = gateways.children(session, row.id)
    return device_line(row, models, len(behind)) | {
        "description": devices.describe(row),
        "through": _through(session, row),
        "children": device_lines(session, behind[:LISTED]),
        "alarms": [alarm(one) for one in alarms.of_device(session, row.id)],
        "needs": _needs(session, models),
        "uptime_s": row.uptime_s,
        "temperature_dc": row.temperature_dc,
        "load_permille": row.load_permille,
        "memory_bytes": row.memory_bytes,
        "status_at": row.status_at,
        "reported_at": row.reported_at,
        "root_version": row.root_version,
        "told": {"epoch": row.epoch, "seq": row.seq, "issued": row.directive_issued, "expires": row.directive_expires},
        "heard": {"epoch": row.reported_epoch, "seq": row.reported_seq},
        "certificate_not_after": row.certificate_not_after,
        "wipes": [wipe(session, one) for one in wipes.of_device(session, row.id)],
        "telemetry": telemetry(session, row.id),
        "versions": versions(session, names),
    }


def _through(session: Session, row: DeviceRow) -> Json | None:
    """The gateway of a device, and how that stands."""
    gateway = session.get(DeviceRow, row.gateway) if row.gateway is not None else None
    return None if gateway is None else {"id": gateway.id, "state": gateway.state, "online": gateway.online}


def _needs(session: Session, models: Iterable[DeviceModelRow]) -> Json:
    """Digest -> what a release that is on the device takes there, by the variant that it runs."""
    found: Json = {}
    for model in models:
        row = session.get(ReleaseRow, model.active) if model.active is not None else None
        variants = releases.manifest_of(row).variants if row is not None else ()
        for fit in (variant.fit for variant in variants if variant.kind == model.variant):
            sizes = {"flash_bytes": fit.flash_bytes, "arena_bytes": fit.arena_bytes, "memory_bytes": fit.memory_bytes}
            found[model.active or ""] = sizes
    return found


def alarm(row: DeviceAlarmRow) -> Json:
    """Something about a device that wants a person."""
    return {
        "device": row.device,
        "kind": row.kind,
        "text": row.text,
        "count": row.count,
        "first_at": row.first_at,
        "last_at": row.last_at,
    }


def _slots(row: DeviceModelRow) -> list[Json]:
    """The two places that a model has on a device: what serves, and what lies beside it or is on its way in."""
    beside = {"holds": "empty", "release": None}
    if row.candidate is not None and row.candidate != row.active:
        beside = {"holds": "candidate", "release": row.candidate}
    elif row.previous is not None:
        beside = {"holds": "previous", "release": row.previous}
    return [{"holds": "active" if row.active is not None else "empty", "release": row.active}, beside]


def model_state(row: DeviceModelRow) -> Json:
    """What is desired and reported of one model on one device; digests name releases."""
    return {
        "desired": row.desired,
        "active": row.active,
        "previous": row.previous,
        "candidate": row.candidate,
        "slots": _slots(row),
        "phase": row.phase,
        "error_code": row.error_code,
        "error_text": row.error_text,
        "variant": row.variant,
        "served": row.served,
        "chunks_have": row.chunks_have,
        "chunks_need": row.chunks_need,
        "rejected": row.rejected,
        "floor": row.floor,
        "lease": {"seconds": row.lease_s, "action": row.lease_action} if row.lease_s else None,
        "assigned_by": row.assigned_by,
        "assigned_at": row.assigned_at,
        "reported_at": row.reported_at,
    }


def telemetry(session: Session, device_id: str) -> list[Json]:
    """Counters per model and release; latencies are microseconds."""
    rows = session.exec(select(ModelTelemetryRow).where(ModelTelemetryRow.device == device_id))
    listed: list[Json] = []
    for row in rows:
        sketch = Sketch({int(bucket): count for bucket, count in row.latency_us.items()})
        listed.append(
            {
                "model": row.model,
                "release": row.release,
                "count": row.count,
                "errors": row.errors,
                "p50_us": sketch.quantile(0.5),
                "p95_us": sketch.quantile(0.95),
                "at": row.at,
            }
        )
    return listed


def event(row: EventRow) -> Json:
    """One event; ``time`` is by the device's clock, ``received`` by ours."""
    return {
        "id": row.id,
        "device": row.device,
        "n": row.n,
        "kind": row.kind,
        "time": row.time,
        "received": row.received,
        "model": row.model,
        "release": row.release,
        "code": row.code,
        "text": row.text,
    }


def audit_line(row: AuditRow) -> Json:
    """Who did what."""
    return {
        "id": row.id,
        "at": row.at,
        "actor": row.actor,
        "action": row.action,
        "target": row.target,
        "detail": row.detail,
    }


def claim_token(row: ClaimTokenRow) -> Json:
    """A claim token without its secret, which is not kept."""
    return {
        "id": row.id,
        "tags": row.tags,
        "auto_approve": row.auto_approve,
        "created": row.created,
        "created_by": row.created_by,
        "expires": row.expires,
        "used_at": row.used_at,
        "used_by": row.used_by,
    }


def wipe(session: Session, row: WipeOrderRow) -> Json:
    """A wipe order, its signatures so far and the device's receipt."""
    signatures = wipes.signatures(session, row.id)
    root, _ = roots.current(session)
    return {
        "id": row.id,
        "device": row.device,
        "state": row.state,
        "scope": row.scope or [],
        "reason": row.reason,
        "digest": row.digest,
        "created": row.created,
        "created_by": row.created_by,
        "signatures": [{"kid": one.kid, "at": one.at} for one in signatures],
        "needed": wipes.needed(root),
        "sent_at": row.sent_at,
        "receipt": row.receipt_summary,
        "receipt_ok": row.receipt_ok,
        "receipt_at": row.receipt_at,
    }


def release_line(row: ReleaseRow) -> Json:
    """A release in a list."""
    manifest = releases.manifest_of(row)
    return {
        "digest": row.digest,
        "name": row.name,
        "version": row.version,
        "counter": row.counter,
        "created": row.created,
        "not_after": row.not_after,
        "uploaded": row.uploaded,
        "uploaded_by": row.uploaded_by,
        "bundle_bytes": row.bundle_bytes,
        "variants": [variant.kind for variant in manifest.variants],
    }


def release(session: Session, row: ReleaseRow) -> Json:
    """One release as its signed manifest has it, and on how many devices it is desired and active."""
    manifest = releases.manifest_of(row)
    return release_line(row) | {
        "variants": [_variant(manifest, variant) for variant in manifest.variants],
        "payloads": [_payload(payload) for payload in manifest.payloads],
        "signers": _signers(row.manifest),
        "manifest_sha": row.manifest_sha,
        "devices": in_use(session, row.digest),
    }


def in_use(session: Session, digest: str) -> Json:
    """On how many devices a release is desired, and on how many it is active."""
    return {
        "desired": _count(session, col(DeviceModelRow.desired) == digest),
        "active": _count(session, col(DeviceModelRow.active) == digest),
    }


def _count(session: Session, condition: ColumnElement[bool]) -> int:
    return session.exec(select(func.count()).select_from(DeviceModelRow).where(condition)).one()


def _signers(envelope: bytes) -> list[str]:
    signatures = cbor.decode(envelope, LIMITS.manifest_bytes).value[3]
    return [cose.signer_of(cbor.encode(signature)).hex() for signature in signatures]


def _variant(manifest: Manifest, variant: Variant) -> Json:
    needs, model = variant.fit, manifest.payloads[manifest.model_payload(variant)]
    return {
        "kind": variant.kind,
        "runtime": needs.runtime,
        "min_version": ".".join(map(str, needs.min_version)),
        "hardware_classes": list(needs.hardware_classes),
        "memory_bytes": needs.memory_bytes,
        "flash_bytes": needs.flash_bytes,
        "arena_bytes": needs.arena_bytes,
        "stores": list(needs.stores),
        "ops": [f"{op.opcode} {op.version}" for op in needs.ops],
        "inputs": [_tensor(tensor) for tensor in variant.io.inputs],
        "outputs": [_tensor(tensor) for tensor in variant.io.outputs],
        "model_bytes": model.installed_length,
        "download_bytes": sum(manifest.payloads[index].ciphertext_length for index in variant.payloads),
        "payloads": list(variant.payloads),
        "budget": {
            "p95_us": variant.budget.p95_us,
            "memory_bytes": variant.budget.memory_bytes,
            "measured_on": variant.budget.measured_on,
        },
        "golden": {"tolerance": variant.golden.tolerance, "top1_permille": variant.golden.top1_permille},
    }


def _tensor(tensor: Tensor) -> Json:
    quantization = tensor.quantization
    affine = None if quantization is None else {"scale": quantization.scale, "zero_point": quantization.zero_point}
    return {"name": tensor.name, "dtype": tensor.dtype, "shape": list(tensor.shape), "quantization": affine}


def _payload(payload: Payload) -> Json:
    return {
        "id": payload.id.hex(),
        "role": payload.role,
        "format": payload.format,
        "compression": payload.compression,
        "delta_base": payload.delta_base.hex() if payload.delta_base is not None else None,
        "installed_bytes": payload.installed_length,
        "installed_sha256": payload.installed_sha256.hex(),
        "ciphertext_bytes": payload.ciphertext_length,
        "chunks": payload.chunk_count,
        "merkle_root": payload.merkle_root.hex(),
    }


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
        "actions": [str(action) for action in terms.ALLOWED[terms.State(row.state)]],
        "since": row.since,
        "created": row.created,
        "created_by": row.created_by,
        "finished": row.finished,
    }


def rollout(session: Session, row: RolloutRow, after: str = "", limit: int = 200) -> Json:
    """One rollout with a page of its devices, by id above ``after``: each one's part, and how far it is."""
    spec = store.spec_of(row)
    members = rollouts.members(session, row, after, limit + 1)
    return rollout_line(session, row) | {
        "selector": {"tags": {}, "hardware": [], "devices": []} | spec.selector.as_json(),
        "gate": spec.gate.as_json(),
        "on_breach": spec.on_breach,
        "device_deadline_s": spec.device_deadline_s,
        "lease": {"seconds": spec.lease_s, "action": spec.lease_action} if spec.lease_s else None,
        "deadline": rollouts.deadline(session, row),
        "devices": [_part(member, device, model) for member, device, model in members[:limit]],
        "next": members[limit - 1][0].device if len(members) > limit else None,
        "versions": versions(session, [row.release, *(member.previous for member, _, _ in members)]),
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
