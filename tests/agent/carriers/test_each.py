"""What every carrier does, each real one and the fake beside it: it brings what is wanted and nothing else."""

import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dunlin_contract import topics
from fleet_agent.carriers.http import HttpCarrier
from fleet_agent.carriers.mqtt import MqttCarrier
from fleet_agent.carriers.runs import Asked, Fetcher
from fleet_agent.carriers.usb import UsbCarrier
from tests.agent.carrier_parts import FakeFetcher, FakeReader, Material, Server, Taker
from tests.agent.carriers.real import Pki, from_folder, over_https
from tests.agent.fleet import flipped, until


class FakeBroker:
    """The part of a connection that the carrier over MQTT needs, with a broker's retained messages behind it."""

    def __init__(self, taker: Taker, stock: dict[bytes, bytes]) -> None:
        self._taker = taker
        self.stock = stock

    def subscribe(self, names: Sequence[str]) -> None:
        for topic in names:
            name = topics.parse_object(topic)
            assert name is not None
            if name in self.stock:
                carrier: Any = self._taker.carrier
                self._taker.loop.post(partial(carrier.message, name, self.stock[name]))

    def unsubscribe(self, names: Sequence[str]) -> None:
        """Nothing more comes by itself anyway."""


KINDS = ["mqtt", "https", "fake-fetcher", "folder", "fake-reader"]


@pytest.fixture(params=KINDS)
def carrier(
    request: pytest.FixtureRequest, taker: Taker, material: Material, pki: Pki, server: Server, tmp_path: Path
) -> Iterator[Any]:
    made: Any
    if request.param == "mqtt":
        made = MqttCarrier(taker.loop, FakeBroker(taker, material.chunks), taker, 4, 10.0)
        taker.carrier = made
        taker.do(lambda: made.online(True))
    elif request.param == "https":
        made = over_https(taker, material, pki, server.url)
    elif request.param == "fake-fetcher":
        made = HttpCarrier(taker.loop, taker, material.places.get, lambda asked: FakeFetcher(material, asked))
    elif request.param == "folder":
        (tmp_path / "stick").mkdir()
        (tmp_path / "stick" / "a.dnb").write_bytes(material.bundle())
        made = from_folder(taker, material, tmp_path / "stick")
    else:
        made = UsbCarrier(
            taker.loop,
            taker,
            material.places.get,
            lambda: material.desired,
            lambda told: FakeReader(material, told),
        )
        taker.do(made.start)
    taker.carrier = made
    chunk = next(iter(material.places.items()))
    until(lambda: taker.do(lambda: made.offers(*chunk)), "it offers a chunk")
    yield made
    if hasattr(made, "close"):
        made.close()


def test_it_brings_what_is_wanted_and_nothing_else(carrier: Any, taker: Taker, material: Material) -> None:
    names = list(material.chunks)
    wanted = names[:5] + names[7:12]
    taker.want(wanted)
    taker.until_has(wanted)
    taker.want([])
    taker.want(names[12:13])
    taker.until_has(names[12:13])
    assert set(taker.good) == {*wanted, names[12]}
    assert not taker.corrupt


def test_it_stops_when_nothing_is_wanted_and_begins_again(carrier: Any, taker: Taker, material: Material) -> None:
    names = list(material.chunks)
    for _ in range(20):
        taker.want(names)
        taker.want([])
    had = len(taker.good)
    time.sleep(0.05)
    assert len(taker.good) - had <= 4
    taker.want(names)
    taker.until_has(names)


def test_wrong_bytes_are_asked_for_again(taker: Taker, material: Material) -> None:
    fetchers: list[FakeFetcher] = []

    def make(asked: Asked) -> Fetcher:
        fetchers.append(FakeFetcher(material, asked))
        fetchers[0].mangle = lambda data: flipped(data) if len(taker.corrupt) < 30 else data
        return fetchers[0]

    taker.carrier = HttpCarrier(taker.loop, taker, material.places.get, make)
    taker.want(list(material.chunks))
    taker.until_has(list(material.chunks))
    assert len(taker.corrupt) >= 30
