"""Results and captures that devices sent."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query

from fleet_server.api import auth, views
from fleet_server.api.auth import Ctx
from fleet_server.services import results

router = APIRouter(tags=["results"], dependencies=[Depends(auth.signed_in)])

Limit = Annotated[int, Query(ge=1, le=100)]


@router.get("/results")
def page(
    ctx: Ctx,
    device: str | None = None,
    model: str | None = None,
    kind: Literal["result", "capture", "gap"] | None = None,
    before: int | None = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """Results, newest first, of one device, model or kind or of all. ``next`` goes on as ``before``."""
    with ctx.db.read() as session:
        rows = results.page(session, device, model, kind, before, limit + 1)
        items = [views.result_line(row) for row in rows[:limit]]
    return {"items": items, "next": rows[limit - 1].id if len(rows) > limit else None}


@router.get("/results/{result}")
def one(result: Annotated[int, Path(ge=1, le=2**63 - 1)], ctx: Ctx) -> dict[str, Any]:
    """One result with all of its tensors."""
    with ctx.db.read() as session:
        return views.result(results.get(session, result))
