"""The whole fleet: what this server is, its settings, its counters, and who did what."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Response
from pydantic import StrictInt

from fleet_server.api import auth, metrics, views
from fleet_server.api.auth import Admin, Ctx
from fleet_server.services import audit, serverinfo, settings

router = APIRouter(tags=["fleet"], dependencies=[Depends(auth.signed_in)])


@router.get("/server")
def server(ctx: Ctx) -> dict[str, Any]:
    """Version, vault key, root, and the connection to the broker."""
    with ctx.db.read() as session:
        return serverinfo.describe(session, ctx)


@router.get("/settings")
def read_settings(ctx: Ctx) -> dict[str, int]:
    """What every device is set to."""
    with ctx.db.read() as session:
        return settings.as_json(settings.get(session))


@router.patch("/settings")
def change_settings(
    body: Annotated[dict[str, StrictInt], Body(openapi_examples={"probation": {"value": {"probation_s": 300}}})],
    ctx: Ctx,
    identity: Admin,
) -> dict[str, int]:
    """Change some settings; each device is told in its next directive."""
    with ctx.db.write() as session:
        return settings.as_json(settings.change(session, body, identity.actor, ctx.clock()))


@router.get("/audit")
def history(ctx: Ctx, before: int | None = None, limit: Annotated[int, Query(ge=1, le=500)] = 100) -> dict[str, Any]:
    """Who did what, newest first. ``next`` goes on as ``before``."""
    with ctx.db.read() as session:
        rows = audit.page(session, limit + 1, before)
    items = [views.audit_line(row) for row in rows[:limit]]
    return {"items": items, "next": rows[limit - 1].id if len(rows) > limit else None}


@router.get("/metrics", response_class=Response)
def prometheus(ctx: Ctx) -> Response:
    """Counters in Prometheus' text format; scrape with an API token of role viewer."""
    with ctx.db.read() as session:
        return Response(metrics.render(session, ctx), media_type=metrics.MEDIA_TYPE)
