"""A real broker with its own certificate authority, and clients of it."""

from collections.abc import Callable, Iterator

import pytest

from fleet_server.broker import SERVER_NAME, Broker, BrokerSettings
from tests.support.certificates import Authority, Identity
from tests.support.mqtt import Client

Connect = Callable[..., Client]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def settings(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> BrokerSettings:
    server = authority.issue("localhost", server=True)
    return BrokerSettings(
        directory=tmp_path_factory.mktemp("installation") / "broker",
        ca_file=authority.certificate,
        certificate_file=server.certificate,
        key_file=server.key,
    )


@pytest.fixture(scope="module")
def broker(settings: BrokerSettings) -> Iterator[Broker]:
    with Broker(settings) as running:
        yield running


@pytest.fixture
def client(broker: Broker, authority: Authority) -> Iterator[Connect]:
    """`client(cn)` makes a client with a fresh certificate for `cn`; all are closed at the end."""
    made: list[Client] = []

    def make(common_name: str = SERVER_NAME, *, identity: Identity | None = None, client_id: str = "") -> Client:
        one = Client(
            broker.port, authority.certificate, identity or authority.issue(common_name), client_id or common_name
        )
        made.append(one)
        return one

    yield make
    for one in made:
        one.close()


@pytest.fixture
def connected(client: Connect) -> Connect:
    """As `client`, already connected."""

    def make(common_name: str = SERVER_NAME, **options: object) -> Client:
        one = client(common_name, **options)
        assert not one.connect().is_failure
        return one

    return make
