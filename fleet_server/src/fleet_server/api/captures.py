"""Capture orders: draft here, two signatures from elsewhere, carried by directives until they end or are cancelled."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Response
from pydantic import BaseModel, Field, StrictBool, StrictInt

from dunlin_contract.capture import CaptureOrder
from fleet_server.api import auth, views
from fleet_server.api.auth import Ctx, Operator, Viewer
from fleet_server.services import captures

router = APIRouter(tags=["captures"], dependencies=[Depends(auth.signed_in)])

Signature = Annotated[bytes, Body(media_type="application/cbor", max_length=4096)]
Number = Annotated[StrictInt, Field(ge=0, le=2**53)]  # the contract says more of each
Limit = Annotated[int, Query(ge=1, le=200)]


class NewCapture(BaseModel, extra="forbid"):
    """Whose requests to keep, which of them, how many a day, and until when (seconds since 1970)."""

    device: str
    model: str
    not_after: Number
    per_day: Number
    random_permille: Number = 0
    margin_permille: Number = 0
    disagreement: StrictBool = False
    classes: list[Number] = Field(default_factory=list, max_length=32)

    def order(self) -> CaptureOrder:
        """The order that is asked for; the server chooses its number and its time."""
        values = self.model_dump() | {"classes": tuple(sorted(set(self.classes)))}
        return CaptureOrder(order_id=bytes(16), issued=0, **values)


@router.get("/captures")
def page(
    ctx: Ctx, device: str | None = None, model: str | None = None, before: float | None = None, limit: Limit = 50
) -> dict[str, Any]:
    """Capture orders, newest first, of one device or model or of all. ``next`` goes on as ``before``."""
    with ctx.db.read() as session:
        rows = captures.page(session, device, model, before, limit + 1)
        items = [views.capture(session, row, ctx.clock()) for row in rows[:limit]]
    return {"items": items, "next": rows[limit - 1].created if len(rows) > limit else None}


@router.post("/captures", status_code=201)
def draft(body: NewCapture, ctx: Ctx, identity: Operator) -> dict[str, Any]:
    """Draft a capture order. Nothing is kept until two ops keys have signed it, and then only if the owner consents."""
    with ctx.db.write() as session:
        row = captures.draft(session, body.order(), identity.actor, ctx.clock())
        return views.capture(session, row, ctx.clock())


@router.get("/captures/{capture}")
def one(capture: str, ctx: Ctx) -> dict[str, Any]:
    """A capture order and its signatures so far."""
    with ctx.db.read() as session:
        return views.capture(session, captures.get(session, capture), ctx.clock())


@router.get(
    "/captures/{capture}/order", response_class=Response, responses={200: {"content": {"application/cbor": {}}}}
)
def order(capture: str, ctx: Ctx) -> Response:
    """The order's bytes: what the owners of the ops keys sign, after reading them."""
    with ctx.db.read() as session:
        return Response(captures.get(session, capture).payload, media_type="application/cbor")


@router.post("/captures/{capture}/signatures", status_code=201)
def sign(capture: str, signature: Signature, ctx: Ctx, identity: Viewer) -> dict[str, Any]:
    """Hand in one owner's signature (one COSE_Signature). The key decides whether it counts, not who brings it."""
    with ctx.db.write() as session:
        row = captures.add_signature(session, ctx, capture, signature, identity.actor, ctx.clock())
        return views.capture(session, row, ctx.clock())


@router.delete("/captures/{capture}")
def cancel(capture: str, ctx: Ctx, identity: Operator) -> dict[str, Any]:
    """Drop a draft, or end an order: the device stops with its next directive. What it has sent stays here."""
    with ctx.db.write() as session:
        row = captures.cancel(session, ctx, capture, identity.actor, ctx.clock())
        return views.capture(session, row, ctx.clock())
