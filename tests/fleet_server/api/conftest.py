"""The operators' application over a real installation, on a real socket."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from fleet_server.api.app import create_app
from fleet_server.services import users
from tests.fleet_server.rollouts.fleet import Fleet
from tests.fleet_server.world import ACTOR, World

PASSWORD = "correct horse battery"
TIMEOUT_S = 60  # a busy machine is slow, not wrong


@pytest.fixture
def fleet(sqlite_world: World) -> Fleet:
    """An empty fleet."""
    return Fleet(sqlite_world)


@pytest.fixture
def people(fleet: Fleet) -> None:
    """One person of each role, named after it; their passwords are hashed cheaply (the cost is part of a hash)."""
    ctx = fleet.world.ctx
    with pytest.MonkeyPatch.context() as patch, ctx.db.write() as session:
        patch.setattr(users, "_LOG2_N", 10)
        for role in users.ROLES:
            users.add_user(session, role, PASSWORD, role, ACTOR, ctx.clock())


@pytest.fixture
def app(fleet: Fleet) -> FastAPI:
    """The application as `serve` mounts it."""
    return create_app(fleet.world.ctx)


@pytest.fixture
def address(app: FastAPI) -> Iterator[str]:
    """Where the application answers, on a real socket."""
    with served(app) as found:
        yield found


@pytest.fixture
def nobody(address: str) -> Iterator[httpx.Client]:
    """A client that has not said who it is."""
    with httpx.Client(base_url=address, timeout=TIMEOUT_S) as client:
        yield client


def bearer(fleet: Fleet, role: str) -> dict[str, str]:
    """Headers with a new API token of this role."""
    ctx = fleet.world.ctx
    with ctx.db.write() as session:
        return {"Authorization": f"Bearer {users.add_token(session, f'{role}-ci', role, ACTOR, ctx.clock())}"}


@pytest.fixture
def viewer(address: str, fleet: Fleet) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, headers=bearer(fleet, "viewer"), timeout=TIMEOUT_S) as client:
        yield client


@pytest.fixture
def operator(address: str, fleet: Fleet) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, headers=bearer(fleet, "operator"), timeout=TIMEOUT_S) as client:
        yield client


@pytest.fixture
def admin(address: str, fleet: Fleet) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, headers=bearer(fleet, "admin"), timeout=TIMEOUT_S) as client:
        yield client


@pytest.fixture
def browser(address: str, people: None) -> Iterator[httpx.Client]:
    """A browser in which the operator has signed in through the API."""
    with httpx.Client(base_url=address, headers={"Origin": address}, timeout=TIMEOUT_S) as client:
        answer = client.post("/api/v1/session", json={"name": "operator", "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        yield client


@contextlib.contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The application on a real socket until the block ends."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        app.state.context.notifier.close()
        server.should_exit = True
        thread.join()
        listening.close()
