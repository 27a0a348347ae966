"""A fleet over a real installation."""

import pytest

from tests.fleet_server.rollouts.fleet import Fleet
from tests.fleet_server.world import World


@pytest.fixture
def fleet(world: World) -> Fleet:
    """An empty fleet, on each kind of database in turn."""
    return Fleet(world)


@pytest.fixture
def small_fleet(sqlite_world: World) -> Fleet:
    """An empty fleet on SQLite, for what the database has no say in."""
    return Fleet(sqlite_world)
