"""Capture orders: the list, and one with how many have signed and the command for those who have not."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from fleet_server.api import views
from fleet_server.api.auth import Ctx
from fleet_server.services import captures
from fleet_server.web import render
from fleet_server.web.guard import ByOperator, Seen

router = APIRouter()

PAGE = 50


@router.get("/captures")
def listing(
    request: Request,
    ctx: Ctx,
    me: Seen,
    device: Annotated[str, Query(max_length=36)] = "",
    before: float | None = None,
) -> Response:
    """The orders, newest first, of one device or of all."""
    with ctx.db.read() as session:
        rows = captures.page(session, device or None, None, before, PAGE + 1)
        data = {
            "items": [views.capture(session, row, ctx.clock()) for row in rows[:PAGE]],
            "next": rows[PAGE - 1].created if len(rows) > PAGE else None,
        }
    return render.page(request, "captures.html", data, identity=me, device=device, before=before)


@router.get("/captures/{capture}")
def one(request: Request, capture: str, ctx: Ctx, me: Seen) -> Response:
    """The order and its progress."""
    with ctx.db.read() as session:
        data = views.capture(session, captures.get(session, capture), ctx.clock())
    return render.page(request, "capture.html", data, identity=me, base_url=str(request.base_url).rstrip("/"))


@router.post("/captures/{capture}/cancel")
def cancel(capture: str, ctx: Ctx, posted: ByOperator) -> Response:
    """Drop a draft, or end an order."""
    with ctx.db.write() as session:
        captures.cancel(session, ctx, capture, posted.identity.actor, ctx.clock())
    return RedirectResponse(f"/captures/{capture}", 303)
