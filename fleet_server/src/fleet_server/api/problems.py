"""Errors as RFC 9457 problem details: `application/problem+json` with type, title, status, detail and, where one was
broken, the contract's rule. One body is made here, and both the API and the JSON twins of pages answer with it.
"""

import logging
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dunlin_contract.errors import ContractError
from fleet_server.errors import ConfigError, ServerError, ThrottledError, TooLargeError

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
_TITLES = {404: "Not found", 405: "Method not allowed", TooLargeError.status: TooLargeError.title}


def body(status: int, title: str, detail: str, rule: str | None = None) -> dict[str, Any]:
    """The members of a problem."""
    problem: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return problem if rule is None else problem | {"rule": rule}


def of(error: Exception) -> dict[str, Any]:
    """The problem that an exception stands for. One that nobody expected says nothing of its inside."""
    match error:
        case ServerError():
            status = 503 if isinstance(error, ConfigError) else error.status
            return body(status, error.title, error.detail, error.rule)
        case ContractError():
            return body(422, "Refused", error.detail, str(error.rule))
        case RequestValidationError():
            return body(422, "Invalid", _first_line(error))
        case HTTPException():
            detail = str(error.detail) if error.detail else "see /api/v1/openapi.json for what there is"
            return body(error.status_code, _TITLES.get(error.status_code, "Error"), detail)
        case _:
            return body(500, "Server error", "something broke here: the server's log has the details")


def response(error: Exception) -> JSONResponse:
    """The answer to a request that failed."""
    problem = of(error)
    headers = {}
    if isinstance(error, ThrottledError):
        headers["Retry-After"] = str(error.retry_after_s)
    if problem["status"] == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(problem, problem["status"], headers, MEDIA_TYPE)


def install(app: FastAPI, pages: Any) -> None:
    """Answer every error: as a problem under /api, and through ``pages(request, error)`` elsewhere."""

    async def handle(request: Request, error: Exception) -> Response:
        if of(error)["status"] == 500:
            log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        if request.url.path.startswith("/api/"):
            return response(error)
        page: Response = pages(request, error)
        return page

    for kind in (ServerError, ContractError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, handle)


def _first_line(error: RequestValidationError) -> str:
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return f"the body is not JSON: {first['ctx']['error']} at character {first['loc'][-1]}"
    where = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path")) or "the body"
    if first["type"] == "extra_forbidden":
        return f"{where}: unknown key; see /api/v1/openapi.json for those that are known"
    return f"{where}: {first['msg']}"
