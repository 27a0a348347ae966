"""Signing in, API tokens, and slowing down those who guess."""

import pytest
from sqlmodel import select

from fleet_server.db.models import ApiTokenRow, SessionRow, UserRow
from fleet_server.errors import ConflictError, InvalidError, NotFoundError, SignInError, ThrottledError
from fleet_server.services import users
from tests.fleet_server.world import ACTOR, World

PASSWORD = "correct horse"


@pytest.fixture
def ann(world: World) -> World:
    with world.ctx.db.write() as session:
        users.add_user(session, "ann", PASSWORD, "operator", ACTOR, world.clock.now)
    return world


def test_a_session_lasts_until_it_is_closed_or_expires(ann: World) -> None:
    signed = users.sign_in(ann.ctx, "ann", PASSWORD, "192.0.2.1")
    with ann.ctx.db.write() as session:
        identity = users.by_cookie(session, signed.cookie, ann.clock.now)
        assert identity is not None
        assert (identity.actor, identity.role, identity.csrf) == ("user:ann", "operator", signed.identity.csrf)
        assert users.by_cookie(session, signed.cookie, ann.clock.now + users.SESSION_S) is None
        assert users.by_cookie(session, signed.cookie + "x", ann.clock.now) is None
        users.sign_out(session, signed.cookie)
        assert users.by_cookie(session, signed.cookie, ann.clock.now) is None


def test_secrets_are_kept_only_as_hashes(ann: World) -> None:
    signed = users.sign_in(ann.ctx, "ann", PASSWORD, "192.0.2.1")
    with ann.ctx.db.write() as session:
        token = users.add_token(session, "ci", "operator", ACTOR, ann.clock.now)
    with ann.ctx.db.read() as session:
        rows = [*session.exec(select(UserRow)), *session.exec(select(SessionRow)), *session.exec(select(ApiTokenRow))]
        kept = " ".join(str(row.model_dump()) for row in rows)
    assert PASSWORD not in kept
    assert signed.cookie not in kept
    assert token not in kept


def test_an_unknown_name_and_a_wrong_password_look_alike(ann: World) -> None:
    with pytest.raises(SignInError) as wrong:
        users.sign_in(ann.ctx, "ann", "wrong", "192.0.2.1")
    with pytest.raises(SignInError) as unknown:
        users.sign_in(ann.ctx, "bob", "wrong", "192.0.2.1")
    assert str(wrong.value) == str(unknown.value)


def test_a_disabled_user_is_out(ann: World) -> None:
    signed = users.sign_in(ann.ctx, "ann", PASSWORD, "192.0.2.1")
    with ann.ctx.db.write() as session:
        row = session.get(UserRow, "ann")
        assert row is not None
        row.disabled = True
        session.add(row)
    with ann.ctx.db.read() as session:
        assert users.by_cookie(session, signed.cookie, ann.clock.now) is None
    with pytest.raises(SignInError):
        users.sign_in(ann.ctx, "ann", PASSWORD, "192.0.2.1")


def test_guessing_is_slowed_down_and_time_forgives(ann: World) -> None:
    for _ in range(5):
        with pytest.raises(SignInError):
            users.sign_in(ann.ctx, "ann", "guess", "192.0.2.1")
    with pytest.raises(ThrottledError) as caught:
        users.sign_in(ann.ctx, "ann", PASSWORD, "192.0.2.1")
    assert caught.value.retry_after_s >= 1
    ann.clock.now += caught.value.retry_after_s + 1
    assert users.sign_in(ann.ctx, "ann", PASSWORD, "192.0.2.1").identity.name == "ann"


def test_guessing_at_many_names_from_one_address_is_slowed_down(sqlite_world: World) -> None:
    world = sqlite_world
    for number in range(20):
        with pytest.raises(SignInError):
            users.sign_in(world.ctx, f"user{number}", "guess", "192.0.2.1")
    with pytest.raises(ThrottledError):
        users.sign_in(world.ctx, "user99", "guess", "192.0.2.1")
    with pytest.raises(SignInError):
        users.sign_in(world.ctx, "user99", "guess", "192.0.2.2")


def test_tokens_are_taken_back(ann: World) -> None:
    with ann.ctx.db.write() as session:
        token = users.add_token(session, "ci", "viewer", ACTOR, ann.clock.now)
        with pytest.raises(ConflictError):
            users.add_token(session, "ci", "viewer", ACTOR, ann.clock.now)
    with ann.ctx.db.write() as session:
        identity = users.by_token(session, token, ann.clock.now)
        assert identity is not None
        assert (identity.actor, identity.may("viewer"), identity.may("operator")) == ("token:ci", True, False)
        users.remove_token(session, "ci", ACTOR, ann.clock.now)
        assert users.by_token(session, token, ann.clock.now) is None
        with pytest.raises(NotFoundError):
            users.remove_token(session, "ci", ACTOR, ann.clock.now)


@pytest.mark.parametrize(
    ("name", "password", "role"),
    [
        ("", PASSWORD, "admin"),
        (" a", PASSWORD, "admin"),
        ("a\nb", PASSWORD, "admin"),
        ("a", "short", "admin"),
        ("a", PASSWORD, "boss"),
    ],
)
def test_bad_users_are_refused(sqlite_world: World, name: str, password: str, role: str) -> None:
    with sqlite_world.ctx.db.write() as session, pytest.raises(InvalidError):
        users.add_user(session, name, password, role, ACTOR, 0.0)
