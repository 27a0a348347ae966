"""Fixtures of the agent's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.fleet import Fleet
from tests.agent.gateway_parts import Nursery


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """A fleet with a broker and one enrolled device that is not running yet."""
    made = Fleet(tmp_path)
    made.start()
    made.enrol()
    yield made
    made.stop()


@pytest.fixture(name="nursery")
def _nursery(fleet: Fleet) -> Nursery:
    """The server\'s side of the children of that device, which is their gateway."""
    return Nursery(fleet)
