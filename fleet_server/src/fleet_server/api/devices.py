"""The device registry, the approval queue, claim tokens and events."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from fleet_server.api import auth, views
from fleet_server.api.auth import Ctx, Operator
from fleet_server.services import alarms, devices, enrolment, events, gateways

router = APIRouter(tags=["devices"], dependencies=[Depends(auth.signed_in)])

Limit = Annotated[int, Query(ge=1, le=500)]


class Tags(BaseModel, extra="forbid"):
    """A device's tags, all of them."""

    tags: dict[str, str]


class Gateway(BaseModel, extra="forbid"):
    """The gateway that a device is behind."""

    gateway: str


class NewClaimToken(BaseModel, extra="forbid"):
    """What a claim token gives to the one device that uses it."""

    tags: dict[str, str] = Field(default_factory=dict)
    auto_approve: bool = False
    expires_in_s: int = 86_400


@router.get("/devices")
def page(
    ctx: Ctx, limit: Limit = 100, after: str = "", state: str | None = None, tag: str | None = None
) -> dict[str, Any]:
    """Devices by id, above ``after``. ``tag`` is "key" or "key=value". ``next`` goes on as ``after``."""
    with ctx.db.read() as session:
        rows = devices.page(session, limit + 1, after, state, tag)
        items = views.device_lines(session, rows[:limit])
    return {"items": items, "next": rows[limit - 1].id if len(rows) > limit else None}


@router.get("/devices/{device}")
def one(device: str, ctx: Ctx) -> dict[str, Any]:
    """One device with everything that is known of it."""
    with ctx.db.read() as session:
        return views.device(session, devices.get(session, device), ctx.clock())


@router.patch("/devices/{device}")
def tag(device: str, body: Tags, ctx: Ctx, identity: Operator) -> dict[str, Any]:
    """Replace a device's tags."""
    with ctx.db.write() as session:
        row = devices.patch(session, device, body.tags, identity.actor, ctx.clock())
        return views.device(session, row, ctx.clock())


@router.post("/devices/{device}/approve")
def approve(device: str, ctx: Ctx, identity: Operator) -> dict[str, Any]:
    """Let a waiting device into the fleet."""
    with ctx.db.write() as session:
        row = enrolment.approve(session, ctx, device, identity.actor, ctx.clock())
        return views.device(session, row, ctx.clock())


@router.post("/devices/{device}/reject")
def reject(device: str, ctx: Ctx, identity: Operator) -> dict[str, Any]:
    """Keep a waiting device out, or take one out of the fleet."""
    with ctx.db.write() as session:
        row = enrolment.reject(session, ctx, device, identity.actor, ctx.clock())
        return views.device(session, row, ctx.clock())


@router.post("/devices/{device}/gateway")
def move(device: str, body: Gateway, ctx: Ctx, identity: Operator) -> dict[str, Any]:
    """Pin a device behind a gateway to another one."""
    with ctx.db.write() as session:
        row = gateways.move(session, ctx, device, body.gateway, identity.actor, ctx.clock())
        return views.device(session, row, ctx.clock())


@router.post("/devices/{device}/dismiss")
def dismiss(device: str, ctx: Ctx, identity: Operator) -> dict[str, Any]:
    """Take a device's alarms away: somebody has seen to them."""
    with ctx.db.write() as session:
        row = alarms.dismiss(session, device, identity.actor, ctx.clock())
        return views.device(session, row, ctx.clock())


@router.post("/claim-tokens", status_code=201)
def claim_token(body: NewClaimToken, ctx: Ctx, identity: Operator) -> dict[str, str]:
    """A one-use claim token, shown this once: `fleet-agent enroll --token-file FILE` on the device.

    For a microcontroller, on its gateway: `fleet-agent child enroll --line DEVICE --id NAME --token-file FILE`.
    """
    with ctx.db.write() as session:
        token = enrolment.create_token(
            session, ctx, body.tags, body.auto_approve, body.expires_in_s, identity.actor, ctx.clock()
        )
    return {"token": token}


@router.get("/events")
def history(ctx: Ctx, device: str | None = None, before: int | None = None, limit: Limit = 100) -> dict[str, Any]:
    """Events, newest first, of one device or of all. ``next`` goes on as ``before``."""
    with ctx.db.read() as session:
        rows = events.page(session, device, before, limit + 1)
    items = [views.event(row) for row in rows[:limit]]
    return {"items": items, "next": rows[limit - 1].id if len(rows) > limit else None}
