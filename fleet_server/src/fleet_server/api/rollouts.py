"""Rollouts: preview, start, watch, and the five orders."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query

from fleet_server.api import auth, views
from fleet_server.api.auth import Ctx, Operator
from fleet_server.rollouts import service
from fleet_server.rollouts.preview import preview
from fleet_server.rollouts.spec import RolloutSpec
from fleet_server.rollouts.terms import Action

router = APIRouter(tags=["rollouts"], dependencies=[Depends(auth.signed_in)])

_EXAMPLE = {
    "release": "0" * 64,
    "selector": {"tags": {"site": "lab"}, "hardware": ["pi5"], "devices": []},
    "stages": [{"count": 1, "soak_s": 600}, {"percent": 50, "soak_s": 3600}, {"percent": 100}],
    "gate": {"min_success": 0.9, "min_samples": 1, "min_served": 100},
    "on_breach": "revert",
    "device_deadline_s": 900,
    "lease": {"seconds": 2592000, "action": "warn"},
}
_SHADOW = {
    "release": "0" * 64,
    "mode": "shadow",
    "share": 0.5,
    "stages": [{"count": 2, "soak_s": 86400}, {"percent": 100, "soak_s": 3600}],
    "gate": {"min_pairs": 1000, "agreement_min": 0.98, "candidate_p95_ratio_max": 1.5, "error_share_max": 0.01},
    "on_breach": "abort",
}
_EXAMPLES = {"three stages": {"value": _EXAMPLE}, "compared in the shadow first": {"value": _SHADOW}}
Request = Annotated[dict[str, Any], Body(openapi_examples=_EXAMPLES)]


@router.get("/rollouts")
def page(
    ctx: Ctx,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: int | None = None,
    state: str | None = None,
) -> dict[str, Any]:
    """Rollouts, newest first. ``next`` goes on as ``before``."""
    with ctx.db.read() as session:
        rows = service.page(session, limit + 1, before, state)
        items = [views.rollout_line(session, row) for row in rows[:limit]]
    return {"items": items, "next": rows[limit - 1].id if len(rows) > limit else None}


@router.post("/rollouts", status_code=201)
def start(body: Request, ctx: Ctx, identity: Operator) -> dict[str, Any]:
    """Start a rollout; its first stage is assigned when this answers.

    ``percent`` and ``count`` of a stage are totals: how much of the selection has the release when the stage is over.

    With a ``mode`` other than ``rolling`` the devices of a stage first run the release beside the one that serves, for
    the stage's soak: ``shadow`` gives it a copy of a ``share`` of the requests and compares the answers, ``canary`` and
    ``ab`` let it answer that share. When the gate holds, and says so with at least ``min_pairs`` requests, they take
    the release and soak once more; an A/B test waits for ``promote``. On a breach ``on_breach`` is done.
    """
    spec = RolloutSpec.parse(body)
    with ctx.db.write() as session:
        return views.rollout(session, service.create(session, ctx, spec, identity.actor, ctx.clock()))


@router.post("/rollouts/preview")
def forecast(body: Request, ctx: Ctx) -> dict[str, Any]:
    """What the same body would do: who matches, who is left out and why, bytes, time, and what would stop it."""
    spec = RolloutSpec.parse(body)
    with ctx.db.read() as session:
        return views.preview(preview(session, spec, ctx.clock()))


@router.get("/rollouts/{rollout}")
def one(rollout: int, ctx: Ctx, after: str = "", limit: Annotated[int, Query(ge=1, le=500)] = 200) -> dict[str, Any]:
    """One rollout with a page of its devices. ``next`` goes on as ``after``.

    ``comparison`` of a stage: what its devices counted together while the release was on trial.
    """
    with ctx.db.read() as session:
        return views.rollout(session, service.get(session, rollout), after, limit)


@router.post("/rollouts/{rollout}/{action}")
def order(rollout: int, action: Action, ctx: Ctx, identity: Operator) -> dict[str, Any]:
    """Pause, resume, promote (what is on trial takes the release now), abort or revert."""
    with ctx.db.write() as session:
        return views.rollout(session, service.order(session, ctx, rollout, action, identity.actor, ctx.clock()))
