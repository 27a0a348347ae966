"""What a device says of itself, into its rows. It is believed about itself and nothing else."""

from typing import Any

from sqlmodel import Session, col, select

from dunlin_contract.fit import DeviceDescription
from dunlin_contract.limits import LIMITS
from dunlin_contract.reported import ModelState, Reported
from dunlin_contract.telemetry import Comparison, ModelTelemetry, Telemetry
from fleet_server.context import Context
from fleet_server.db.engine import touch
from fleet_server.db.models import DeviceModelRow, DeviceRow, ModelTelemetryRow
from fleet_server.services import alarms, devices, directives, hardware, objects, outbox, quality

REPEAT_S = 30.0  # a directive is owed again when the device still does not know it after this long
TELEMETRY_RELEASES = 4  # kept per model: the active one, the one before, and candidates between


def status(session: Session, row: DeviceRow, online: bool, retained: bool, now: float) -> None:
    """It connected, or its connection ended."""
    if not retained:
        row.last_seen = now
    if row.online != online:
        row.online, row.status_at = online, now
        touch(session, f"device:{row.id}")
    session.add(row)


def is_new(session: Session, row: DeviceRow, report: Reported, repeated: bool, now: float) -> bool:
    """Whether the signed report of a device behind a gateway is newer than the last one that was believed.

    The last one may come twice, as every message may; an older one was kept by somebody, and is an alarm, unless it is
    `repeated`: the broker delivers again what we had not acknowledged to it.
    """
    if report.number > row.report_number:
        return True
    if report.number < row.report_number and not repeated:
        text = (
            f"report {report.number} came after report {row.report_number}: gateway {row.gateway} repeats old reports, "
            "or the device lost its count and must enrol again with new keys"
        )
        alarms.sound(session, row.id, alarms.OLD_REPORT, text, now)
    return False


def reported(
    session: Session,
    ctx: Context,
    row: DeviceRow,
    report: Reported,
    now: float,
    known: dict[str, DeviceModelRow] | None = None,
) -> None:
    """Its whole reported state; answered with a directive where it does not follow our latest.

    `known`: the device's rows by model, where the caller has read them already; kept in step.
    """
    if known is None:
        known = devices.models_by_device(session, [row.id])[row.id]
    why = _needs_directive(row, report, now)
    _store(row, report, now)
    session.add(row)
    _store_models(session, row.id, known, report, now)
    if why is not None or report.missing:
        session.flush()
    if report.missing:
        objects.republish_missing(session, row.id, [sha.hex() for sha in report.missing], now)
    if why == "new":
        directives.tell(session, ctx, row.id, now)  # even where that fails, what the device says of itself is kept
    elif why == "again" and row.directive is not None:
        outbox.put(session, devices.address_of(row).down("desired"), row.directive, now)
    touch(session, f"device:{row.id}")


def telemetry(session: Session, row: DeviceRow, numbers: Telemetry, now: float) -> None:
    """Its counters. The latest message stands for all before it."""
    row.memory_bytes, row.load_permille, row.last_seen = numbers.memory_bytes, numbers.load_permille, now
    # A topic of its own: it comes from everybody every few minutes, and most pages show nothing of it.
    touch(session, f"telemetry:{row.id}")
    if numbers.hardware is not None:
        hardware.receive(session, row, numbers.hardware, now)
    session.add(row)
    of_device = select(ModelTelemetryRow).where(ModelTelemetryRow.device == row.id)
    stored = list(session.exec(of_device.order_by(col(ModelTelemetryRow.at).desc())))
    for name, one in numbers.models.items():
        _store_telemetry(session, [old for old in stored if old.model == name], row.id, name, one, now)
    # Names are the device's own words: however many it makes up, it keeps no more rows than a full device needs.
    others = [old for old in stored if old.model not in numbers.models]
    for old in others[LIMITS.models * TELEMETRY_RELEASES :]:
        session.delete(old)


def _needs_directive(row: DeviceRow, report: Reported, now: float) -> str | None:
    """ "new": a directive with a higher number; "again": the one it has not got yet; None: it follows our latest."""
    if report.epoch != row.epoch or report.root_version != row.root_version or row.directive is None:
        return "new"
    if report.seq > row.seq or row.directive_refresh <= now:
        return "new"  # it followed directives that a restored backup has forgotten, or ours is about to run out
    if report.seq == row.seq:
        return None
    if report.boot_nonce != row.directive_nonce:
        return "new"  # it may have booted without a clock: only its nonce makes ours fresh to it
    waited = now - (row.directive_issued or 0.0)
    return "again" if waited > REPEAT_S else None


def _store(row: DeviceRow, report: Reported, now: float) -> None:
    row.last_seen = row.reported_at = now
    row.reported_epoch, row.reported_seq, row.boot_nonce = report.epoch, report.seq, report.boot_nonce
    row.root_version, row.report_number = report.root_version, report.number
    describe(row, report.device)
    row.uptime_s, row.device_time = report.uptime_s, float(report.time_s)
    row.agent_version = report.agent_version
    if report.temperature_dc is not None:
        row.temperature_dc, row.temperature_at = report.temperature_dc, now


def describe(row: DeviceRow, description: DeviceDescription) -> None:
    """What it says it is."""
    row.description = description.to_bytes()
    row.hardware_class, row.arch = description.hardware_class, description.arch


def _store_models(
    session: Session, device: str, known: dict[str, DeviceModelRow], report: Reported, now: float
) -> None:
    for name, state in report.models.items():
        row = known.setdefault(name, DeviceModelRow(device=device, model=name))
        for column, value in _columns(state).items():
            setattr(row, column, value)
        row.reported_at = now
        session.add(row)
    for name in known.keys() - report.models.keys():  # what it no longer speaks of is gone from the device
        row = known[name]
        if row.desired is None and row.floor == 0:
            session.delete(known.pop(name))
        else:
            for column, value in _columns(ModelState(phase="idle")).items():
                setattr(row, column, value)
            row.reported_at = None
            session.add(row)


def _columns(state: ModelState) -> dict[str, Any]:
    return {
        "active": _hex(state.active),
        "previous": _hex(state.previous),
        "candidate": _hex(state.candidate),
        "phase": state.phase,
        "error_code": state.error_code,
        "error_text": state.error_text,
        "variant": state.variant,
        "served": state.served,
        "chunks_have": state.chunks_have,
        "chunks_need": state.chunks_need,
        "rejected": [{"kind": one.kind, "reasons": list(one.reasons)} for one in state.rejected],
    }


def _store_telemetry(
    session: Session, rows: list[ModelTelemetryRow], device: str, model: str, one: ModelTelemetry, now: float
) -> None:
    release = one.release.hex()
    row = next((row for row in rows if row.release == release), None)
    if row is None:
        for old in rows[TELEMETRY_RELEASES - 1 :]:
            session.delete(old)
        row = ModelTelemetryRow(device=device, model=model, release=release, at=now)
    quality.receive(session, row, one, now)
    row.count, row.errors, row.at = one.count, one.errors, now
    row.latency_us = {str(place): count for place, count in one.latency_us.items()}
    if one.comparison is not None:
        # What a trial came to stays when it is over: it is what the rollout was decided by.
        row.compared_with, row.compared_at = one.comparison.candidate.hex(), now
        row.comparison = _comparison(one.comparison)
    session.add(row)


def _comparison(one: Comparison) -> dict[str, Any]:
    return {
        "mode": one.mode,
        "pairs": one.pairs,
        "agreed": one.agreed,
        "errors": one.errors,
        "shed": one.shed,
        "latency_us": {str(place): count for place, count in one.latency_us.items()},
        "distance": {str(place): count for place, count in one.distance.items()},
        "memory_bytes": one.memory_bytes,
    }


def _hex(digest: bytes | None) -> str | None:
    return None if digest is None else digest.hex()
