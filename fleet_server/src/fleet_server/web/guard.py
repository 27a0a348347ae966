"""Who may see a page and post its forms. A browser without a session is sent to the sign-in page."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from fleet_server.api import auth
from fleet_server.errors import DeniedError
from fleet_server.services.users import Identity
from fleet_server.web.forms import Form

Seen = Annotated[Identity, Depends(auth.signed_in)]


@dataclass(frozen=True, slots=True)
class Posted:
    """A form, and who posted it."""

    identity: Identity
    form: Form


async def read_form(request: Request) -> Form:
    """Dependency: the posted form."""
    return Form.parse(await request.body())


def posted_by(role: str) -> Callable[[Identity, Form], Posted]:
    """Dependency: a form posted from one of our own pages by somebody who holds ``role``.

    Raises: SignInError, DeniedError.
    """

    def check(
        identity: Annotated[Identity, Depends(auth.holding(role))], form: Annotated[Form, Depends(read_form)]
    ) -> Posted:
        # Every form carries its session's token, as a second lock beside the Origin check in `auth`.
        if identity.csrf is not None and not hmac.compare_digest(form.text("csrf").encode(), identity.csrf.encode()):
            raise DeniedError("this form is from another session: reload the page and try again")
        return Posted(identity, form)

    return check


ByOperator = Annotated[Posted, Depends(posted_by("operator"))]
