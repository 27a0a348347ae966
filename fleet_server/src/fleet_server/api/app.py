"""The operators' application: API, pages, errors and the layers around them."""

from fastapi import FastAPI

from fleet_server import __version__
from fleet_server.api import (
    captures,
    devices,
    fleet,
    middleware,
    problems,
    releases,
    results,
    rollouts,
    session,
    stream,
    wipes,
)
from fleet_server.context import Context
from fleet_server.web import pages
from fleet_server.web.twin import JsonTwin

PREFIX = "/api/v1"


def create_app(context: Context) -> FastAPI:
    """REST under /api/v1 and the dashboard, over one running server's ``context``.

    The interactive documentation of FastAPI is left out: it loads scripts from elsewhere. The schema is at
    /api/v1/openapi.json.
    """
    app = FastAPI(
        title="Dunlin fleet server",
        version=__version__,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.context = context
    for module in (fleet, session, devices, releases, results, rollouts, wipes, captures, stream):
        app.include_router(module.router, prefix=PREFIX)
    pages.install(app)
    problems.install(app, pages.problem_page)
    app.add_middleware(JsonTwin)
    app.add_middleware(middleware.BodyCap)
    app.add_middleware(middleware.SecurityHeaders)
    return app
