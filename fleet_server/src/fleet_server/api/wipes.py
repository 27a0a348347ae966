"""Remote wipe: draft here, two signatures from elsewhere, the device's receipt."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Response
from pydantic import BaseModel, Field

from fleet_server.api import auth, views
from fleet_server.api.auth import Ctx, Operator, Viewer
from fleet_server.services import wipes

router = APIRouter(tags=["wipes"], dependencies=[Depends(auth.signed_in)])

Signature = Annotated[bytes, Body(media_type="application/cbor", max_length=4096)]


class NewWipe(BaseModel, extra="forbid"):
    """What to wipe: model names, or the whole device when there are none."""

    scope: list[str] | None = None
    reason: Annotated[str, Field(max_length=256)] = ""


@router.post("/devices/{device}/wipes", status_code=201)
def draft(device: str, body: NewWipe, ctx: Ctx, identity: Operator) -> dict[str, Any]:
    """Draft a wipe order. Nothing happens until two ops keys have signed it."""
    with ctx.db.write() as session:
        row = wipes.draft(session, device, body.scope, body.reason, identity.actor, ctx.clock())
        return views.wipe(session, row)


@router.get("/wipes/{wipe}")
def one(wipe: str, ctx: Ctx) -> dict[str, Any]:
    """A wipe: its signatures so far, and the receipt."""
    with ctx.db.read() as session:
        return views.wipe(session, wipes.get(session, wipe))


@router.get("/wipes/{wipe}/order", response_class=Response, responses={200: {"content": {"application/cbor": {}}}})
def order(wipe: str, ctx: Ctx) -> Response:
    """The order's bytes: what the owners of the ops keys sign, after reading them."""
    with ctx.db.read() as session:
        return Response(wipes.get(session, wipe).payload, media_type="application/cbor")


@router.post("/wipes/{wipe}/signatures", status_code=201)
def sign(wipe: str, signature: Signature, ctx: Ctx, identity: Viewer) -> dict[str, Any]:
    """Hand in one owner's signature (one COSE_Signature). The key decides whether it counts, not who brings it."""
    with ctx.db.write() as session:
        return views.wipe(session, wipes.add_signature(session, ctx, wipe, signature, identity.actor, ctx.clock()))


@router.post("/wipes/{wipe}/cancel")
def cancel(wipe: str, ctx: Ctx, identity: Operator) -> dict[str, Any]:
    """Drop a draft. An order that two have signed cannot be taken back."""
    with ctx.db.write() as session:
        return views.wipe(session, wipes.cancel(session, ctx, wipe, identity.actor, ctx.clock()))
