"""One fleet for the journeys of a worker; each journey brings devices of its own and breaks only those, or says so."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.bulk import bulky_recipe
from demo.fleet import DIGITS, Fleet
from tests.journeys.world import BULK_BYTES, BULKY, SETTINGS, V1, V2, World
from tests.support.insider import Insider


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.journey)


@pytest.fixture(scope="session")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("fleet")
    fleet = Fleet(directory)
    try:
        fleet.init()
        fleet.start()
        fleet.api.patch("/settings", SETTINGS)
        bulky = bulky_recipe(directory / "recipes", BULKY, BULK_BYTES)
        recipes = {V1: DIGITS / "v1.toml", V2: DIGITS / "v2.toml", BULKY: bulky}
        bundles = {version: fleet.build(recipe) for version, recipe in recipes.items()}
        releases = {version: fleet.push(bundle) for version, bundle in bundles.items()}
        yield World(fleet, releases, bundles)
    finally:
        fleet.stop()


@pytest.fixture
def world(shared_world: World) -> Iterator[World]:
    """The fleet, running; the journey's devices are stopped at its end, and what it stopped runs again."""
    before = set(shared_world.fleet.devices)
    yield shared_world
    fleet = shared_world.fleet
    for name in set(fleet.devices) - before:
        fleet.devices.pop(name).stop()
    if not fleet.broker.running:
        fleet.start_broker()
    if not fleet.server.running:
        fleet.start_server()


@pytest.fixture
def insider(world: World, tmp_path: Path) -> Iterator[Insider]:
    with Insider(world.fleet, tmp_path) as one:
        yield one
