"""The front page: the fleet at a glance, and what wants attention."""

from typing import Any

from fastapi import APIRouter, Request
from sqlmodel import Session, col, func, select
from starlette.responses import Response

from fleet_server.api import views
from fleet_server.api.auth import Ctx
from fleet_server.context import Context
from fleet_server.db.models import CaptureOrderRow, DeviceModelRow, DeviceRow, ReleaseRow, RolloutRow, WipeOrderRow
from fleet_server.rollouts.terms import FINAL
from fleet_server.services import alarms, events, roots
from fleet_server.web import render
from fleet_server.web.guard import Seen

router = APIRouter()

FAILED_PHASES = ("rolled-back", "refused")
EVENTS = 12
ALARMS = 10


@router.get("/")
def home(request: Request, ctx: Ctx, me: Seen) -> Response:
    """Counts, models, rollouts under way, recent events."""
    with ctx.db.read() as session:
        return render.page(request, "home.html", _overview(session, ctx), identity=me)


def _overview(session: Session, ctx: Context) -> dict[str, Any]:
    going = session.exec(
        select(RolloutRow).where(col(RolloutRow.state).not_in(FINAL)).order_by(col(RolloutRow.id).desc()).limit(20)
    )
    recent = events.page(session, limit=EVENTS)
    models = _models(session)
    shown = [digest for model in models for digest in model["releases"]] + [event.release for event in recent]
    return {
        "devices": _devices(session),
        "models": models,
        "releases": session.exec(select(func.count()).select_from(ReleaseRow)).one(),
        "rollouts": [views.rollout_line(session, row) for row in going],
        "failed": _failed(session),
        "alarms": [views.alarm(row) for row in alarms.latest(session, ALARMS)],
        "wipes": [
            {"id": row.id, "device": row.device}
            for row in session.exec(select(WipeOrderRow).where(WipeOrderRow.state == "draft").limit(20))
        ],
        "captures": [
            {"id": row.id, "device": row.device, "model": row.model}
            for row in session.exec(
                select(CaptureOrderRow)
                .where(CaptureOrderRow.state == "draft", col(CaptureOrderRow.not_after) > ctx.clock())
                .limit(20)
            )
        ],
        "events": [views.event(row) for row in recent],
        "versions": views.versions(session, shown),
        "root": roots.latest(session) is not None,
        "broker": {"connected": ctx.link.connected, "detail": ctx.link.detail},
    }


def _devices(session: Session) -> dict[str, int]:
    counts = {"active": 0, "online": 0, "pending": 0, "rejected": 0}
    query = select(DeviceRow.state, DeviceRow.online, func.count())
    for state, online, count in session.exec(query.group_by(col(DeviceRow.state), col(DeviceRow.online))):
        counts[state] = counts.get(state, 0) + count
        if online and state == "active":
            counts["online"] += count
    return counts


def _models(session: Session) -> list[dict[str, Any]]:
    """For each model, how many devices run which release."""
    query = select(DeviceModelRow.model, DeviceModelRow.active, func.count()).where(
        col(DeviceModelRow.active).is_not(None)
    )
    found: dict[str, dict[str, int]] = {}
    for model, active, count in session.exec(query.group_by(col(DeviceModelRow.model), col(DeviceModelRow.active))):
        found.setdefault(model, {})[active or ""] = count
    return [
        {"model": model, "devices": sum(of.values()), "releases": dict(sorted(of.items(), key=lambda one: -one[1]))}
        for model, of in sorted(found.items())
    ]


def _failed(session: Session) -> list[dict[str, Any]]:
    """Devices whose last update failed."""
    query = select(DeviceModelRow).where(col(DeviceModelRow.phase).in_(FAILED_PHASES))
    rows = session.exec(query.order_by(col(DeviceModelRow.reported_at).desc()).limit(10))
    return [
        {"device": row.device, "model": row.model, "phase": row.phase, "error": row.error_text or row.error_code}
        for row in rows
    ]
