"""The rollouts, one rollout live, and the form that starts one."""

from typing import Any

from fastapi import APIRouter, Request
from sqlmodel import Session, select
from starlette.responses import RedirectResponse, Response

from fleet_server.api import views
from fleet_server.api.auth import Ctx
from fleet_server.db.models import DEVICE_ACTIVE, DeviceRow
from fleet_server.errors import ServerError
from fleet_server.rollouts import service
from fleet_server.rollouts.preview import preview
from fleet_server.rollouts.spec import RolloutSpec
from fleet_server.rollouts.terms import Action
from fleet_server.services import audit, releases
from fleet_server.services.users import Identity
from fleet_server.web import forms, render
from fleet_server.web.forms import Form
from fleet_server.web.guard import ByOperator, Seen

router = APIRouter()

PAGE = 30
DEVICES = 100
STAGE_ROWS = 4
MODES = (
    ("rolling", "Rolling", "Devices take the release and judge it on their own."),
    ("shadow", "Shadow", "First it sees the same requests, and its answers are compared and dropped."),
    ("canary", "Canary", "First it answers a share of the requests."),
    ("ab", "A/B", "It answers a share of the requests until a person promotes it or keeps the other."),
)
BREACH = (
    ("pause", "Pause", "Stop and wait for a person."),
    ("abort", "Abort", "Stop for good; devices that work keep it, the others go back."),
    ("revert", "Revert", "Take every device back to what it ran before."),
)


@router.get("/rollouts")
def listing(request: Request, ctx: Ctx, me: Seen, before: int | None = None) -> Response:
    """Rollouts, newest first."""
    with ctx.db.read() as session:
        rows = service.page(session, PAGE + 1, before)
        items = [views.rollout_line(session, row) for row in rows[:PAGE]]
        pushed = bool(releases.page(session, 1))
    data = {"items": items, "next": rows[PAGE - 1].id if len(rows) > PAGE else None}
    return render.page(request, "rollouts.html", data, identity=me, pushed=pushed)


@router.get("/rollouts/new")
def ask(request: Request, ctx: Ctx, me: Seen, release: str = "") -> Response:
    """The form."""
    form = Form({"release": [release]} if release else {})
    with ctx.db.read() as session:
        return _form_page(request, session, me, form, None, None)


@router.post("/rollouts/new")
def submit(request: Request, ctx: Ctx, posted: ByOperator) -> Response:
    """Preview what the form asks for, or start it."""
    try:
        spec = RolloutSpec.parse(forms.rollout(posted.form))
        if posted.form.text("action") == "start":
            with ctx.db.write() as session:
                row = service.create(session, ctx, spec, posted.identity.actor, ctx.clock())
                return RedirectResponse(f"/rollouts/{row.id}", 303)
        with ctx.db.read() as session:
            plan = views.preview(preview(session, spec, ctx.clock()))
            return _form_page(request, session, posted.identity, posted.form, plan, None)
    except ServerError as error:
        with ctx.db.read() as session:
            # 200 for a live preview: htmx draws only answers that succeeded.
            status = 200 if "hx-request" in request.headers else error.status
            return _form_page(request, session, posted.identity, posted.form, None, error.detail, status)


def _form_page(
    request: Request,
    session: Session,
    me: Identity,
    form: Form,
    plan: dict[str, Any] | None,
    error: str | None,
    status: int = 200,
) -> Response:
    classes = select(DeviceRow.hardware_class).where(DeviceRow.state == DEVICE_ACTIVE).distinct()
    data = {
        "preview": plan,
        "error": error,
        "releases": [views.release_line(row) for row in releases.page(session, 100)],
        "hardware_classes": sorted(session.exec(classes)),
    }
    around = {"form": form, "stage_rows": _stage_rows(form), "breach": BREACH, "modes": MODES}
    return render.page(request, "rollout_new.html", data, identity=me, status=status, **around)


def _stage_rows(form: Form) -> list[tuple[str, str, str]]:
    """Amount, unit and soak of each row of the form: as typed, or a cautious proposal."""
    typed = list(zip(form.all("amount"), form.all("unit"), form.all("soak"), strict=False))
    rows = typed or [("1", "count", "1 min"), ("50", "percent", "1 min"), ("100", "percent", "0 s")]
    return [*rows, *[("", "percent", "")] * STAGE_ROWS][:STAGE_ROWS]


@router.get("/rollouts/{rollout}")
def one(request: Request, rollout: int, ctx: Ctx, me: Seen, after: str = "") -> Response:
    """One rollout: stages, devices and what has happened."""
    with ctx.db.read() as session:
        data = views.rollout(session, service.get(session, rollout), after, DEVICES)
        history = audit.page(session, 30, target=f"rollout:{rollout}")
        data["history"] = [views.audit_line(row) for row in history]
    return render.page(request, "rollout.html", data, identity=me, after=after)


@router.post("/rollouts/{rollout}/{action}")
def order(rollout: int, action: Action, ctx: Ctx, posted: ByOperator) -> Response:
    """Pause, resume, promote, abort or revert."""
    with ctx.db.write() as session:
        service.order(session, ctx, rollout, action, posted.identity.actor, ctx.clock())
    return RedirectResponse(f"/rollouts/{rollout}", 303)
