"""Releases: pushed as a stream, read as the signed manifest has them."""

import base64
import binascii
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from fleet_server.api import auth, views
from fleet_server.api.auth import Ctx, Operator
from fleet_server.errors import InvalidError
from fleet_server.services import releases

router = APIRouter(tags=["releases"], dependencies=[Depends(auth.signed_in)])

_WRITE_BYTES = 1 << 20  # a hop into a thread for each small network read would cost more than the write

_BUNDLE = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.get("/releases")
def page(ctx: Ctx, limit: Annotated[int, Query(ge=1, le=200)] = 100, before: float | None = None) -> dict[str, Any]:
    """Releases, newest upload first. ``next`` goes on as ``before``."""
    with ctx.db.read() as session:
        rows = releases.page(session, limit + 1, before)
    items = [views.release_line(row) for row in rows[:limit]]
    return {"items": items, "next": rows[limit - 1].uploaded if len(rows) > limit else None}


@router.post("/releases", status_code=201, openapi_extra=_BUNDLE)
async def push(
    request: Request,
    response: Response,
    ctx: Ctx,
    identity: Operator,
    sealed_cek: Annotated[str, Header(alias="Dunlin-Sealed-Cek")],
) -> dict[str, Any]:
    """Take a bundle (the raw body). Everything in it is verified again; 200 when the same release is here already."""
    try:
        sealed = base64.b64decode(sealed_cek, validate=True)
    except binascii.Error:
        raise InvalidError("Dunlin-Sealed-Cek must be base64: push with `packager push`") from None
    upload = await run_in_threadpool(releases.Upload, ctx)
    try:
        await _receive(request, upload)
        row, created = await run_in_threadpool(upload.finish, sealed, identity.actor)
    except ClientDisconnect:
        raise InvalidError("the upload was cut off: push again") from None
    finally:
        await run_in_threadpool(upload.__exit__, None, None, None)
    response.status_code = 201 if created else 200
    return {"digest": row.digest, "name": row.name, "version": row.version, "created": created}


async def _receive(request: Request, upload: releases.Upload) -> None:
    pending = bytearray()
    async for chunk in request.stream():
        pending += chunk
        if len(pending) >= _WRITE_BYTES:
            await run_in_threadpool(upload.write, bytes(pending))
            pending.clear()
    await run_in_threadpool(upload.write, bytes(pending))


@router.get("/releases/{digest}")
def one(digest: str, ctx: Ctx) -> dict[str, Any]:
    """One release: variants, what they need, payloads, signers, and where it runs."""
    with ctx.db.read() as session:
        return views.release(session, releases.get(session, digest), ctx.clock())
