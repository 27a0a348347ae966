"""Who did what."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from fleet_server.api import views
from fleet_server.api.auth import Ctx
from fleet_server.services import audit
from fleet_server.web import render
from fleet_server.web.guard import Seen

router = APIRouter()

PAGE = 50


@router.get("/activity")
def listing(request: Request, ctx: Ctx, me: Seen, before: int | None = None) -> Response:
    """The audit log, newest first."""
    with ctx.db.read() as session:
        rows = audit.page(session, PAGE + 1, before)
    items = [views.audit_line(row) for row in rows[:PAGE]]
    data = {"items": items, "next": rows[PAGE - 1].id if len(rows) > PAGE else None}
    return render.page(request, "activity.html", data, identity=me, before=before)
