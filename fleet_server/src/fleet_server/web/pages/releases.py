"""The releases and one release."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from fleet_server.api import views
from fleet_server.api.auth import Ctx
from fleet_server.services import releases
from fleet_server.web import render
from fleet_server.web.guard import Seen

router = APIRouter()

PAGE = 50


@router.get("/releases")
def listing(request: Request, ctx: Ctx, me: Seen, before: float | None = None) -> Response:
    """Releases, newest upload first."""
    with ctx.db.read() as session:
        rows = releases.page(session, PAGE + 1, before)
        items = [views.release_line(row) | {"devices": views.in_use(session, row.digest)} for row in rows[:PAGE]]
    data = {"items": items, "next": rows[PAGE - 1].uploaded if len(rows) > PAGE else None}
    return render.page(request, "releases.html", data, identity=me, base_url=str(request.base_url).rstrip("/"))


@router.get("/releases/{digest}")
def one(request: Request, digest: str, ctx: Ctx, me: Seen) -> Response:
    """One release, as its signed manifest has it."""
    with ctx.db.read() as session:
        data = views.release(session, releases.get(session, digest), ctx.clock())
    return render.page(request, "release.html", data, identity=me)
