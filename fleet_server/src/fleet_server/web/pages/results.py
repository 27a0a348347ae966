"""Results and captures that devices sent."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from fleet_server.api import views
from fleet_server.api.auth import Ctx
from fleet_server.services import results
from fleet_server.web import render
from fleet_server.web.guard import Seen

router = APIRouter()

PAGE = 25


@router.get("/results")
def listing(
    request: Request,
    ctx: Ctx,
    me: Seen,
    device: Annotated[str, Query(max_length=36)] = "",
    model: Annotated[str, Query(max_length=32)] = "",
    kind: Annotated[str, Query(max_length=16)] = "",
    before: int | None = None,
) -> Response:
    """Results, newest first, of one device, model or kind or of all."""
    with ctx.db.read() as session:
        rows = results.page(session, device or None, model or None, kind or None, before, PAGE + 1)
        data = {
            "items": [views.result_line(row) for row in rows[:PAGE]],
            "next": rows[PAGE - 1].id if len(rows) > PAGE else None,
            "versions": views.versions(session, [row.release for row in rows[:PAGE]]),
        }
    asked = {"device": device, "model": model, "kind": kind}
    return render.page(request, "results.html", data, identity=me, asked=asked, before=before, kinds=results.KINDS)
