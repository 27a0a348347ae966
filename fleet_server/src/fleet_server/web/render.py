"""From a page's data to its answer: HTML through a template, or the data itself for its JSON twin."""

import datetime
import functools
import hashlib
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse, JSONResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context as TemplateContext
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from fleet_server import __version__
from fleet_server.api import auth
from fleet_server.services.users import Identity
from fleet_server.web import words
from fleet_server.web.twin import wants_json

HERE = Path(__file__).parent
STATIC = HERE / "static"
YEAR_S = 31_536_000


def page(
    request: Request,
    template: str,
    data: dict[str, Any],
    *,
    identity: Identity | None = None,
    status: int = 200,
    **around: Any,
) -> Response:
    """Answer with ``data``: drawn by ``template``, or as it is. ``around`` is for the eye only and not in the twin."""
    if wants_json(request):
        return JSONResponse(data, status)
    context = auth.context_of(request)
    now = context.clock()
    html = (
        environment()
        .get_template(template)
        .render(
            **data,
            **around,
            me=identity,
            now=now,
            now_iso=datetime.datetime.fromtimestamp(now, datetime.UTC).isoformat(timespec="seconds"),
            link=context.link,
            path=request.url.path,
            query=request.url.query,
            server_version=__version__,
        )
    )
    return HTMLResponse(html, status)


@functools.cache
def environment() -> Environment:
    """The templates. Everything is escaped, and a name that nobody set is an error, not an empty text."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in (
        "tone",
        "count",
        "size",
        "binary",
        "celsius",
        "watts",
        "span",
        "micros",
        "share",
        "short",
        "actor",
        "brief",
        "facts",
        "keystore",
        "model_store",
    ):
        made.filters[name] = getattr(words, name)
    made.filters["ago"] = _ago
    made.globals["static"] = static_url
    return made


@functools.cache
def static_url(name: str) -> str:
    """Address of a static file that changes with its content, so that browsers may keep it for a year."""
    return f"/static/{name}?v={hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


class Static(StaticFiles):
    """The static folder, cached as long as its addresses allow."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, to be kept by the browser when its address carries a version."""
        response = await super().get_response(path, scope)
        if scope.get("query_string", b"").startswith(b"v="):
            response.headers["Cache-Control"] = f"public, max-age={YEAR_S}, immutable"
        else:
            response.headers["Cache-Control"] = "no-cache"
        return response


@pass_context
def _ago(context: TemplateContext, time: float | None) -> Markup:
    return words.ago(time, context["now"])
