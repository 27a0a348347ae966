"""`/device/v1/...`. Who asks for trust, enrolment or renewal has no certificate yet, or an expired one, and proves
itself by what it sends; who asks for a payload shows the certificate."""

import logging
from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from dunlin_contract.enrolment import EnrolReply
from dunlin_contract.errors import ContractError
from dunlin_contract.limits import LIMITS
from fleet_server.context import Context
from fleet_server.device_api import payloads
from fleet_server.errors import InvalidError, ServerError, ThrottledError, TooLargeError
from fleet_server.services import enrolment

CBOR = "application/cbor"
PROBLEM = "application/problem+json"

log = logging.getLogger(__name__)


def create_app(ctx: Context) -> FastAPI:
    """The ASGI app of the devices' listener."""
    app = FastAPI(title="Dunlin devices", openapi_url=None)
    app.add_exception_handler(ServerError, _problem)
    app.add_exception_handler(ContractError, _problem)
    app.add_exception_handler(HTTPException, _problem)

    @app.get("/device/v1/trust")
    def trust(root: str | None = None) -> Response:
        """The root (the newest, or the one whose digest is given) and the device CA."""
        with ctx.db.read() as session:
            return Response(enrolment.trust(session, ctx, root), media_type=CBOR)

    app.add_api_route("/device/v1/enrol", _posted(ctx, enrolment.enrol), methods=["POST"])
    app.add_api_route("/device/v1/renew", _posted(ctx, enrolment.renew), methods=["POST"])
    payloads.add_routes(app, ctx)
    return app


def _posted(ctx: Context, service: Callable[[Context, bytes], EnrolReply]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        body = await read_body(request, LIMITS.enrolment_bytes)
        reply = await run_in_threadpool(service, ctx, body)
        return Response(reply.to_bytes(), media_type=CBOR)

    return endpoint


async def read_body(request: Request, cap_bytes: int) -> bytes:
    """The request's body. Raises: TooLargeError as soon as it is over `cap_bytes`, before the rest is read."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > cap_bytes:
            raise TooLargeError(f"the request is over {cap_bytes} bytes")
        parts.append(part)
    return b"".join(parts)


async def _problem(_request: Request, error: Exception) -> JSONResponse:
    """RFC 9457, with the contract's rule where one was broken."""
    rule: str | None = None
    if isinstance(error, HTTPException):  # no such path, or not by this method
        status, title, detail = error.status_code, error.detail, f"{error.detail}: see SPEC.md for what there is"
    elif isinstance(error, ContractError):
        status, title, detail, rule = InvalidError.status, InvalidError.title, error.detail, error.rule
    else:
        assert isinstance(error, ServerError)
        status, title, detail, rule = error.status, error.title, error.detail, error.rule
    log.info("refused: %s", detail)
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail} | (
        {"rule": rule} if rule else {}
    )
    headers = {"Retry-After": str(error.retry_after_s)} if isinstance(error, ThrottledError) else None
    return JSONResponse(body, status_code=status, headers=headers, media_type=PROBLEM)
