"""Sign in and out."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from fleet_server.api import auth
from fleet_server.api.auth import Ctx
from fleet_server.api.session import address_of, end_session, set_cookie
from fleet_server.errors import SignInError, ThrottledError
from fleet_server.services import users
from fleet_server.web import render
from fleet_server.web.forms import Form
from fleet_server.web.guard import read_form

router = APIRouter()


@router.get("/signin")
def ask(request: Request, next: str = "/") -> Response:  # noqa: A002 - the name that stands in the address
    """The form."""
    if auth.identify(request) is not None:
        return RedirectResponse(_own(next), 303)
    return render.page(request, "signin.html", {"error": None}, next=_own(next), name="")


@router.post("/signin")
def sign_in(request: Request, ctx: Ctx, form: Annotated[Form, Depends(read_form)]) -> Response:
    """Check name and password; back to where the visitor wanted to go."""
    auth.check_origin(request)
    target, name = _own(form.text("next", "/")), form.text("name")
    try:
        # The password is taken as typed: spaces around it are part of it.
        signed_in = users.sign_in(ctx, name, (form.all("password") or [""])[0], address_of(request))
    except (SignInError, ThrottledError) as error:
        status = error.status
        return render.page(request, "signin.html", {"error": error.detail}, status=status, next=target, name=name)
    response = RedirectResponse(target, 303)
    set_cookie(request, response, signed_in)
    return response


@router.post("/signout")
def sign_out(request: Request, ctx: Ctx) -> Response:
    """End the session."""
    auth.check_origin(request)
    response = RedirectResponse("/signin", 303)
    end_session(request, response, ctx)
    return response


def _own(target: str) -> str:
    """``target`` if it is a path on this site, else the front page: nobody is led elsewhere after signing in."""
    return target if target.startswith("/") and not target.startswith(("//", "/\\")) else "/"
