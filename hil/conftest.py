"""Targets of a run, the world that they live in, and boards in the states that scenarios begin from.

python -m pytest hil --targets "m4 m55" --tflm-root PATH
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.board import Simulated
from hil.fleet import V1, Rig, World
from hil.inventory import Host, InventoryError, Qemu, Serial, Ssh, check_here, check_tflm, chosen, load
from hil.targets.base import Board, Target
from hil.targets.linux import LinuxTarget
from hil.targets.make import board_target

INVENTORY = Path(__file__).parent / "inventory.yaml"
LINUX = ("test_linux.py", "test_jetson.py")
SCENARIO_S = 1800
"""A scenario's own waits end before this; an emulated board on a busy machine is slow."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("hil", "scenarios on devices")
    group.addoption("--inventory", type=Path, default=INVENTORY, metavar="FILE", help="targets (default: %(default)s)")
    group.addoption("--targets", default="host", metavar="NAMES", help='of the inventory; "": its default ones')
    group.addoption("--tflm-root", default="", metavar="DIR", help="TensorFlow Lite Micro, built; else it is lent")


class Chosen:
    """The targets of a run, by name."""

    def __init__(self, config: pytest.Config) -> None:
        try:
            entries = load(config.getoption("--inventory"))
            names = chosen(entries, config.getoption("--targets"))
            for name in names:
                check_here(name, entries[name])
            check_tflm(config.getoption("--tflm-root"))
        except InventoryError as error:
            raise pytest.UsageError(str(error)) from None
        found = {name: entries[name] for name in names}
        self.boards: dict[str, Host | Qemu | Serial] = {
            name: one for name, one in found.items() if not isinstance(one, Ssh)
        }
        self.linux: dict[str, Ssh] = {name: one for name, one in found.items() if isinstance(one, Ssh)}


CHOSEN = pytest.StashKey[Chosen]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[CHOSEN] = Chosen(config)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Scenarios for kinds of targets that this run has none of."""
    if collection_path.parent != Path(__file__).parent or not collection_path.name.startswith("test_"):
        return None
    there = config.stash[CHOSEN].linux if collection_path.name in LINUX else config.stash[CHOSEN].boards
    return None if there else True


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    chosen = metafunc.config.stash[CHOSEN]
    for fixture, names in (("target", chosen.boards), ("linux", chosen.linux)):
        if fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, list(names), indirect=True, scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.hil)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(SCENARIO_S))


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[World]:
    """Server, broker and gateway of a run."""
    classes = {"host", "cortex-m4", "cortex-m55"}
    classes |= {one.hardware_class for one in pytestconfig.stash[CHOSEN].boards.values() if isinstance(one, Serial)}
    world = World(tmp_path_factory.mktemp("hil"), sorted(classes))
    try:
        world.start()
        yield world
    finally:
        world.stop()


@pytest.fixture(scope="session")
def target(
    request: pytest.FixtureRequest, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Target:
    """One target after the other; the firmware of simulated ones is built."""
    entry = pytestconfig.stash[CHOSEN].boards[request.param]
    directory = tmp_path_factory.mktemp("firmware")
    return board_target(request.param, entry, pytestconfig.getoption("--tflm-root"), directory)


@pytest.fixture(scope="session")
def linux(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> LinuxTarget:
    """One Linux machine after the other."""
    return LinuxTarget(request.param, pytestconfig.stash[CHOSEN].linux[request.param])


@pytest.fixture
def board(target: Target, tmp_path: Path) -> Iterator[Board]:
    """A board that was never enrolled, off."""
    board = target.board(tmp_path / "board")
    board.prepare()
    yield board
    board.close()


@pytest.fixture
def rig(world: World, board: Board) -> Iterator[Rig]:
    """The board on a line, off."""
    with world.rig(board) as rig:
        yield rig


@pytest.fixture
def enrolled(rig: Rig) -> Rig:
    """On, and enrolled; its application asks for predictions where it is simulated."""
    if isinstance(rig.board, Simulated):
        rig.board.words["predict"] = 1
    rig.board.start()
    rig.enrol()
    return rig


@pytest.fixture
def serving(enrolled: Rig) -> Rig:
    """Serves 1.0.0."""
    enrolled.update(V1)
    return enrolled


@pytest.fixture
def simulated(serving: Rig) -> Rig:
    """As `serving`, of a board that can be told to fail and tells of itself."""
    if not isinstance(serving.board, Simulated):
        pytest.skip(f"{serving.board.name} is a real board: it cannot be looked into")
    return serving
