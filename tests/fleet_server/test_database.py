"""What the one way to the database promises its callers."""

import pytest
from sqlalchemy.exc import IntegrityError

from fleet_server.db.models import SessionRow
from fleet_server.services import users
from tests.fleet_server.world import ACTOR, World


def test_an_error_does_not_show_what_was_to_be_stored(world: World) -> None:
    with world.ctx.db.write() as session:
        users.add_user(session, "ada", "correct horse", "viewer", ACTOR, world.clock.now)

    def row(csrf: str) -> SessionRow:
        return SessionRow(token_hash="0" * 64, user="ada", csrf=csrf, created=0.0, expires=1.0)

    with world.ctx.db.write() as session:
        session.add(row("first"))
    with pytest.raises(IntegrityError) as failed, world.ctx.db.write() as session:
        session.add(row("a-secret-of-this-session"))
    assert "a-secret-of-this-session" not in str(failed.value)
