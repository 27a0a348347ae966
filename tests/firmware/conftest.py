"""The C implementation, built and started once for all tests of a process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.firmware.build import build
from tests.firmware.runner import Runner


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test waits for the compiler."""
    for item in items:
        if "runners" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def runners() -> Path:
    return build("vectors", "vectors_micro") / "tests" / "vectors"


@pytest.fixture(scope="session")
def runner(runners: Path) -> Iterator[Runner]:
    """The core with the contract's own caps."""
    with Runner(runners / "vectors") as started:
        yield started


@pytest.fixture(scope="session")
def micro(runners: Path) -> Iterator[Runner]:
    """The library that firmware links."""
    with Runner(runners / "vectors_micro") as started:
        yield started
