"""The device list and one device."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from sqlmodel import Session, select
from starlette.responses import RedirectResponse, Response

from fleet_server.api import views
from fleet_server.api.auth import Ctx
from fleet_server.db.models import DeviceRow
from fleet_server.errors import InvalidError
from fleet_server.services import alarms, captures, devices, enrolment, events, gateways, wipes
from fleet_server.web import forms, render
from fleet_server.web.guard import ByOperator, Seen

router = APIRouter()

PAGE = 50
EVENTS = 25
STATES = ("active", "pending", "rejected")


@router.get("/devices")
def listing(
    request: Request,
    ctx: Ctx,
    me: Seen,
    after: str = "",
    state: str = "",
    tag: str = "",
    find: Annotated[str, Query(max_length=36)] = "",
) -> Response:
    """Devices by id, a page at a time. ``find`` is how an id begins, ``tag`` is "key" or "key=value"."""
    with ctx.db.read() as session:
        rows = devices.page(session, PAGE + 1, after, state or None, tag or None, prefix=find)
        lines = views.device_lines(session, rows[:PAGE])
        data = {
            "items": lines,
            "next": rows[PAGE - 1].id if len(rows) > PAGE else None,
            "versions": views.versions(session, _digests(lines)),
        }
        any_device = session.exec(select(DeviceRow.id).limit(1)).first() is not None
    asked = {"state": state, "tag": tag, "find": find, "after": after}
    return render.page(request, "devices.html", data, identity=me, asked=asked, any_device=any_device, states=STATES)


def _digests(lines: list[dict[str, Any]]) -> list[str | None]:
    return [
        digest for line in lines for model in line["models"].values() for digest in (model["active"], model["desired"])
    ]


@router.get("/devices/{device}")
def one(request: Request, device: str, ctx: Ctx, me: Seen, before: int | None = None) -> Response:
    """One device: models, history, wipe."""
    with ctx.db.read() as session:
        data = _device(session, device, before, ctx.clock())
    return render.page(request, "device.html", data, identity=me, before=before)


def _device(session: Session, device: str, before: int | None, now: float) -> dict[str, Any]:
    data = views.device(session, devices.get(session, device), now)
    rows = events.page(session, device, before, EVENTS + 1)
    data["events"] = [views.event(row) for row in rows[:EVENTS]]
    data["events_next"] = rows[EVENTS - 1].id if len(rows) > EVENTS else None
    data["versions"] |= views.versions(session, [row.release for row in rows] + _digests(data["children"]))
    return data


@router.post("/devices/{device}/tags")
def tag_it(device: str, ctx: Ctx, posted: ByOperator) -> Response:
    """Replace the tags."""
    with ctx.db.write() as session:
        devices.patch(session, device, forms.tags(posted.form.text("tags")), posted.identity.actor, ctx.clock())
    return RedirectResponse(f"/devices/{device}", 303)


@router.post("/devices/{device}/approve")
def approve(device: str, ctx: Ctx, posted: ByOperator) -> Response:
    """Let a waiting device in."""
    with ctx.db.write() as session:
        enrolment.approve(session, ctx, device, posted.identity.actor, ctx.clock())
    return RedirectResponse(_back(posted.form, device), 303)


@router.post("/devices/{device}/reject")
def reject(device: str, ctx: Ctx, posted: ByOperator) -> Response:
    """Keep a waiting device out, or take one out of the fleet."""
    with ctx.db.write() as session:
        enrolment.reject(session, ctx, device, posted.identity.actor, ctx.clock())
    return RedirectResponse(_back(posted.form, device), 303)


@router.post("/devices/{device}/gateway")
def move(device: str, ctx: Ctx, posted: ByOperator) -> Response:
    """Pin it to another gateway."""
    with ctx.db.write() as session:
        gateways.move(session, ctx, device, posted.form.text("gateway"), posted.identity.actor, ctx.clock())
    return RedirectResponse(f"/devices/{device}", 303)


@router.post("/devices/{device}/dismiss")
def dismiss(device: str, ctx: Ctx, posted: ByOperator) -> Response:
    """Its alarms have been seen to."""
    with ctx.db.write() as session:
        alarms.dismiss(session, device, posted.identity.actor, ctx.clock())
    return RedirectResponse(f"/devices/{device}", 303)


@router.post("/devices/{device}/wipes")
def draft_wipe(device: str, ctx: Ctx, posted: ByOperator) -> Response:
    """Draft a wipe order of the whole device, or of the ticked models."""
    form = posted.form
    scope = None if form.text("what") == "device" else form.all("model")
    if scope == []:
        raise InvalidError("nothing is ticked: choose the models to wipe, or the whole device")
    with ctx.db.write() as session:
        row = wipes.draft(session, device, scope, form.text("reason"), posted.identity.actor, ctx.clock())
        return RedirectResponse(f"/wipes/{row.id}", 303)


@router.post("/devices/{device}/captures")
def draft_capture(device: str, ctx: Ctx, posted: ByOperator) -> Response:
    """Draft a capture order."""
    now = ctx.clock()
    with ctx.db.write() as session:
        wanted = forms.capture(posted.form, device, now)
        row = captures.draft(session, wanted, posted.identity.actor, now)
        return RedirectResponse(f"/captures/{row.id}", 303)


def _back(form: forms.Form, device: str) -> str:
    return "/enrol" if form.text("from") == "enrol" else f"/devices/{device}"
