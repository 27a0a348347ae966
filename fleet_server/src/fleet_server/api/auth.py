"""Who asks, and whether they may: API tokens for programs, a session cookie for browsers.

A request that changes something and comes with a cookie must also come from this site: the cookie is SameSite=Strict,
and the Origin header must name the host that was asked. Tokens are sent by programs on purpose and need neither.
"""

from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request

from fleet_server.context import Context
from fleet_server.errors import DeniedError, SignInError
from fleet_server.services import users
from fleet_server.services.users import Identity

COOKIE = "dunlin_session"
_SAFE = ("GET", "HEAD", "OPTIONS")


def context_of(request: Request) -> Context:
    """The server's parts."""
    context = request.app.state.context
    assert isinstance(context, Context)
    return context


def identify(request: Request) -> Identity | None:
    """Who asks; None when nobody is known. Blocking.

    Raises: DeniedError when a browser was made to ask by another site.
    """
    ctx = context_of(request)
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        with ctx.db.read() as session:
            return users.by_token(session, bearer.strip(), ctx.clock())
    cookie = request.cookies.get(COOKIE)
    if cookie is None:
        return None
    if request.method not in _SAFE:
        check_origin(request)
    with ctx.db.read() as session:
        return users.by_cookie(session, cookie, ctx.clock())


def check_origin(request: Request) -> None:
    """Refuse a change that another site's page asks for. Raises: DeniedError."""
    origin = request.headers.get("origin")
    if origin is None or urlsplit(origin).netloc != request.headers.get("host"):
        raise DeniedError("this request comes from another site: open the dashboard itself and try again")


def signed_in(request: Request) -> Identity:
    """Dependency: anybody who is known. Raises: SignInError, DeniedError."""
    identity = identify(request)
    if identity is None:
        raise SignInError("sign in, or send an API token as `Authorization: Bearer ...` (fleet-server token add NAME)")
    return identity


def holding(role: str) -> Callable[[Identity], Identity]:
    """Dependency: those who hold at least ``role``. Raises: SignInError, DeniedError."""

    def check(identity: Annotated[Identity, Depends(signed_in)]) -> Identity:
        if not identity.may(role):
            raise DeniedError(f"this needs the role {role}, and {identity.name} is {identity.role}: ask an admin")
        return identity

    return check


Ctx = Annotated[Context, Depends(context_of)]
Viewer = Annotated[Identity, Depends(signed_in)]
Operator = Annotated[Identity, Depends(holding("operator"))]
Admin = Annotated[Identity, Depends(holding("admin"))]
