"""Server-sent events: a browser or a script hears *that* something changed, and asks again for what it shows."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from fleet_server.api import auth
from fleet_server.api.auth import Ctx
from fleet_server.context import Context
from fleet_server.errors import ServerError

router = APIRouter(tags=["stream"], dependencies=[Depends(auth.signed_in)])

KEEPALIVE_S = 15.0
PACE_S = 0.25
"""Changes closer together than this reach a listener as one event."""
RECHECK_S = 60.0
"""How often it is checked that the listener may still listen."""


@router.get("/stream", response_class=StreamingResponse)
async def stream(request: Request, ctx: Ctx, topics: Annotated[str, Query(max_length=512)] = "") -> StreamingResponse:
    """Events named `change` with `{"topics": [...]}`, the first at once. ``topics``: prefixes, separated by commas.

    Topics are `device:ID`, `rollout:ID`, `release:DIGEST`, `wipe:ID`, `capture:ID`, and `event:ID`, `result:ID`
    and `telemetry:ID` of a device; `fleet` is for anything.
    """
    prefixes = tuple(prefix for prefix in topics.split(",") if prefix)
    return StreamingResponse(_events(request, ctx, prefixes), media_type="text/event-stream")


async def _events(request: Request, ctx: Context, prefixes: tuple[str, ...]) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    checked = loop.time()
    with ctx.notifier.subscribe(*prefixes) as subscription:
        # What changed between drawing a page and subscribing would be lost without this first one.
        yield "retry: 2000\n" + _event(["fleet"])
        while not subscription.closed:
            topics = await subscription.next(KEEPALIVE_S)
            if loop.time() - checked > RECHECK_S:
                if not await run_in_threadpool(_still_known, request):
                    return
                checked = loop.time()
            yield _event(sorted(topics)) if topics else ": still here\n\n"
            await asyncio.sleep(PACE_S)


def _event(topics: list[str]) -> str:
    return f"event: change\ndata: {json.dumps({'topics': topics})}\n\n"


def _still_known(request: Request) -> bool:
    try:
        return auth.identify(request) is not None
    except ServerError:
        return False
