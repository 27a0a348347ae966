"""One wipe: how many have signed, the command for those who have not, and the device's receipt."""

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from fleet_server.api import views
from fleet_server.api.auth import Ctx
from fleet_server.services import wipes
from fleet_server.web import render
from fleet_server.web.guard import ByOperator, Seen

router = APIRouter()


@router.get("/wipes/{wipe}")
def one(request: Request, wipe: str, ctx: Ctx, me: Seen) -> Response:
    """The wipe and its progress."""
    with ctx.db.read() as session:
        data = views.wipe(session, wipes.get(session, wipe))
    return render.page(request, "wipe.html", data, identity=me, base_url=str(request.base_url).rstrip("/"))


@router.post("/wipes/{wipe}/cancel")
def cancel(wipe: str, ctx: Ctx, posted: ByOperator) -> Response:
    """Drop a draft."""
    with ctx.db.write() as session:
        wipes.cancel(session, ctx, wipe, posted.identity.actor, ctx.clock())
    return RedirectResponse(f"/wipes/{wipe}", 303)
