"""A front with three models, and a client that it must serve whatever was done to it."""

from collections.abc import Iterator

import pytest

from tests.agent import local_api_models as models
from tests.agent.front_hostile.parts import X
from tests.agent.local_api_models import ADD_IO, PAIR_IO, SPIN_IO
from tests.agent.local_api_parts import Client, Device, device


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    folder = tmp_path_factory.mktemp("api")
    with device(folder) as parts:
        for name, make, io in (
            ("add", lambda path: models.add(path, 1), ADD_IO),
            ("pair", models.pair, PAIR_IO),
            ("spin", models.spin, SPIN_IO),
        ):
            parts.serve(parts.worker(make(folder / name), io), name, "1.0.0", io)
        yield parts


@pytest.fixture
def client(served: Device) -> Iterator[Client]:
    """A client; whatever the test does to the front, it must serve this one afterwards."""
    made = served.client()
    yield made
    fresh = served.client()
    assert fresh.infer("add", X)[1]["outputs"][0]["data"] == [2, 3, 4, 5]
    fresh.connection.close()
