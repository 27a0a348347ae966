"""Signing in and out with a cookie."""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from starlette.status import HTTP_204_NO_CONTENT

from fleet_server.api import auth
from fleet_server.api.auth import Ctx, Viewer
from fleet_server.services import users

router = APIRouter(tags=["session"])


class Credentials(BaseModel, extra="forbid"):
    """A user's name and password."""

    name: Annotated[str, Field(max_length=64)]
    password: Annotated[str, Field(max_length=1024)]


@router.post("/session", status_code=201)
def sign_in(body: Credentials, request: Request, response: Response, ctx: Ctx) -> dict[str, Any]:
    """Sign in: sets the session cookie."""
    signed_in = users.sign_in(ctx, body.name, body.password, address_of(request))
    set_cookie(request, response, signed_in)
    return {"name": signed_in.identity.name, "role": signed_in.identity.role, "expires": signed_in.expires}


@router.get("/session")
def who(identity: Viewer) -> dict[str, Any]:
    """Who this request comes from."""
    return {"actor": identity.actor, "name": identity.name, "role": identity.role}


@router.delete("/session", status_code=HTTP_204_NO_CONTENT)
def sign_out(request: Request, response: Response, ctx: Ctx, identity: Viewer) -> None:  # noqa: ARG001
    """Sign out: ends the session and clears the cookie."""
    end_session(request, response, ctx)


def set_cookie(request: Request, response: Response, signed_in: users.SignedIn) -> None:
    """Give a browser its session: unreadable by scripts, never sent along from another site."""
    response.set_cookie(
        auth.COOKIE,
        signed_in.cookie,
        max_age=int(users.SESSION_S),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


def end_session(request: Request, response: Response, ctx: Ctx) -> None:
    """Forget a browser's session on both sides."""
    if (cookie := request.cookies.get(auth.COOKIE)) is not None:
        with ctx.db.write() as db:
            users.sign_out(db, cookie)
    response.delete_cookie(auth.COOKIE, httponly=True, samesite="strict")


def address_of(request: Request) -> str:
    """Where a request comes from, for slowing down guesses."""
    return request.client.host if request.client is not None else "unknown"
