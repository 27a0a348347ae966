"""`GET /device/v1/payloads/{release}/{payload}`: a payload's ciphertext, or one range of it (RFC 9110, 14), read from
the bundle a block at a time."""

import asyncio
import contextlib
import os
import re
from collections import Counter

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from dunlin_contract.limits import LIMITS
from fleet_server.context import Context
from fleet_server.device_api.callers import caller
from fleet_server.errors import NotFoundError, ThrottledError
from fleet_server.services import payloads
from fleet_server.services.payloads import Stored

BLOCK_BYTES = 256 * 1024
BLOCK_S = 60.0
"""How long a device may take for one block before its connection is given up."""
STREAMS = 4
"""Answers that a device may read at the same time: what it left behind on dead connections, and one."""

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def add_routes(app: FastAPI, ctx: Context) -> None:
    """The call, on the devices' listener."""
    streams: Counter[str] = Counter()

    @app.get("/device/v1/payloads/{release}/{payload}")
    async def payload(request: Request, release: str, payload: str) -> StreamingResponse:
        device = caller(request)
        if re.fullmatch(r"[0-9a-f]{64}", release) is None or re.fullmatch(r"\d{1,2}", payload) is None:
            raise NotFoundError("a payload is named by its release's digest in hex and its number: see SPEC.md")
        if streams[device] >= STREAMS:
            raise ThrottledError("this device is being sent as much as it may at a time", retry_after_s=int(BLOCK_S))
        place = _Place(streams, device)
        try:
            stored = await run_in_threadpool(_find, ctx, device, release, int(payload))
        except BaseException:
            place.leave()
            raise
        wanted = part(request.headers.get("range"), stored.length)
        if wanted is None:
            return _Answer(stored, range(stored.length), 200, {}, place)
        if not wanted:
            return _Answer(stored, wanted, 416, {"Content-Range": f"bytes */{stored.length}"}, place)
        shown = f"bytes {wanted.start}-{wanted.stop - 1}/{stored.length}"
        return _Answer(stored, wanted, 206, {"Content-Range": shown}, place)


def part(asked: str | None, length: int) -> range | None:
    """The bytes that a Range field asks for of ``length``; empty: none of them is there; None: it asks for no single
    range of bytes, so that all are meant.
    """
    match = _RANGE.fullmatch(asked or "")
    if match is None or match[1] == match[2] == "":
        return None
    if match[1] == "":
        return range(max(0, length - int(match[2])), length)
    first, last = int(match[1]), int(match[2] or LIMITS.payload_bytes)
    return None if last < first else range(first, max(first, min(last + 1, length)))


def _find(ctx: Context, device: str, release: str, payload: int) -> Stored:
    with ctx.db.read() as session:
        return payloads.find(session, ctx.config, device, release, payload)


class _Place:
    """One of a device's answers, taken before anything is waited for: many requests may come at one moment."""

    def __init__(self, streams: Counter[str], device: str) -> None:
        self._streams = streams
        self._device = device
        streams[device] += 1

    def leave(self) -> None:
        self._streams[self._device] -= 1
        if not self._streams[self._device]:
            del self._streams[self._device]


class _Answer(StreamingResponse):
    """Part of a bundle file. Held in memory: one block, and what the connection buffers."""

    def __init__(self, stored: Stored, part: range, status: int, headers: dict[str, str], place: _Place) -> None:
        more = {"Content-Length": str(len(part)), "Accept-Ranges": "bytes", "Cache-Control": "no-store"}
        super().__init__((), status, headers | more, "application/octet-stream")
        self._stored = stored
        self._part = part
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._place.leave()

    async def stream_response(self, send: Send) -> None:
        # A device that stops reading does not keep its file and its place for good.
        with contextlib.suppress(TimeoutError):
            await self._send(send)

    async def _send(self, send: Send) -> None:
        file = os.open(self._stored.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            at, end = self._stored.offset + self._part.start, self._stored.offset + self._part.stop
            while at < end:
                block = await run_in_threadpool(os.pread, file, min(BLOCK_BYTES, end - at), at)
                if not block:
                    return  # the file was cut since: the answer ends short, which its length shows
                at += len(block)
                async with asyncio.timeout(BLOCK_S):
                    await send({"type": "http.response.body", "body": block, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            os.close(file)
