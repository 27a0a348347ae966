"""The pages, one module a subject, and how they join the operators' application."""

from urllib.parse import quote

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from fleet_server.api import auth, problems
from fleet_server.errors import ServerError, SignInError
from fleet_server.services.users import Identity
from fleet_server.web import render
from fleet_server.web.pages import activity, captures, devices, enrol, home, releases, results, rollouts, signin, wipes
from fleet_server.web.twin import wants_json


def install(app: FastAPI) -> None:
    """Add every page and the static files."""
    for module in (signin, home, devices, enrol, releases, results, rollouts, wipes, captures, activity):
        app.include_router(module.router, include_in_schema=False)
    app.mount("/static", render.Static(directory=render.STATIC), name="static")


def problem_page(request: Request, error: Exception) -> Response:
    """An error as a page; whoever is not signed in is led to the sign-in page and back."""
    if wants_json(request):
        return problems.response(error)
    if isinstance(error, SignInError) and request.url.path != "/signin":
        where = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        target = f"/signin?next={quote(where, safe='')}" if request.method == "GET" and where != "/" else "/signin"
        if "hx-request" in request.headers:
            return Response(status_code=401, headers={"HX-Redirect": target})
        return RedirectResponse(target, 303)
    problem = problems.of(error)
    return render.page(request, "problem.html", problem, identity=_known(request), status=problem["status"])


def _known(request: Request) -> Identity | None:
    try:
        return auth.identify(request)
    except ServerError:
        return None
