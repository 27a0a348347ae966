"""Getting devices in: claim tokens and the approval queue."""

from typing import Any

from fastapi import APIRouter, Request
from sqlmodel import Session
from starlette.responses import Response

from fleet_server.api import views
from fleet_server.api.auth import Ctx
from fleet_server.db.models import DEVICE_PENDING
from fleet_server.services import devices, enrolment, roots
from fleet_server.services.users import Identity
from fleet_server.web import forms, render
from fleet_server.web.guard import ByOperator, Seen

router = APIRouter()

LISTED = 50


@router.get("/enrol")
def show(request: Request, ctx: Ctx, me: Seen) -> Response:
    """Waiting devices, tokens, and the form for a new one."""
    with ctx.db.read() as session:
        return _page(request, session, me, token=None)


@router.post("/enrol")
def create(request: Request, ctx: Ctx, posted: ByOperator) -> Response:
    """A new claim token, shown on the page that answers and never again."""
    form = posted.form
    with ctx.db.write() as session:
        token = enrolment.create_token(
            session,
            ctx,
            forms.tags(form.text("tags")),
            form.text("auto_approve") == "yes",
            int(forms.seconds(form.text("expires", "1 d"), "Valid for")),
            posted.identity.actor,
            ctx.clock(),
        )
    with ctx.db.read() as session:
        return _page(request, session, posted.identity, token=token)


def _page(request: Request, session: Session, me: Identity, token: str | None) -> Response:
    waiting = devices.page(session, LISTED, state=DEVICE_PENDING)
    data: dict[str, Any] = {
        "pending": [views.device_line(row, ()) for row in waiting],
        "tokens": [views.claim_token(row) for row in enrolment.tokens(session, LISTED)],
        "root": roots.latest(session) is not None,
    }
    return render.page(request, "enrol.html", data, identity=me, token=token)
