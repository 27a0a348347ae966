"""The agent's carrier over HTTP and the fleet server's own listener, which is stopped in the middle."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dunlin_contract import merkle
from fleet_agent.carriers import runs, window
from fleet_agent.carriers.base import Place
from fleet_agent.carriers.http import HttpCarrier
from fleet_agent.carriers.https_fetcher import HttpsFetcher
from fleet_agent.carriers.runs import Asked, Fetcher
from tests.agent.carrier_parts import Taker
from tests.agent.fleet import until
from tests.fleet_server.listener import Listener, told
from tests.fleet_server.world import Bundle, Device, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def taker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Taker]:
    monkeypatch.setattr(window, "FIRST_PAUSE_S", 0.05)
    monkeypatch.setattr(window, "LONGEST_PAUSE_S", 0.2)
    made = Taker()
    yield made
    made.close()


def places_of(built: Bundle) -> dict[bytes, Place]:
    found: dict[bytes, Place] = {}
    chunks = iter(built.chunks)
    for number, payload in enumerate(built.manifest.payloads):
        at = 0
        for chunk in (next(chunks) for _ in range(payload.chunk_count)):
            found[merkle.leaf(chunk)] = Place(built.digest, number, at, len(chunk), payload.ciphertext_length, 0)
            at += len(chunk)
    return found


def carrier(taker: Taker, built: Bundle, listener: Listener, device: Device) -> HttpCarrier:
    def make(asked: Asked) -> Fetcher:
        url = f"https://localhost:{listener.port}"
        return HttpsFetcher(url, lambda: listener.context(device), lambda: 0, asked)

    made = HttpCarrier(taker.loop, taker, places_of(built).get, make)
    taker.carrier = made
    return made


def test_a_release_comes_from_the_server_through_its_restart(
    world: World, taker: Taker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "RUN_BYTES", 100_000)
    device, built = world.device(), world.build(size=400_000)
    told(world, device, built)
    names = [merkle.leaf(chunk) for chunk in built.chunks]
    listener = Listener(world)
    made = carrier(taker, built, listener, device)
    taker.want(names)
    until(lambda: len(taker.good) >= 5, "some came")
    listener.close()
    again = Listener(world, listener.port)
    taker.until_has(names)
    made.close()
    again.close()
    assert not taker.corrupt


def test_what_the_device_is_not_told_to_have_is_refused_until_it_is(world: World, taker: Taker) -> None:
    device, built = world.device(), world.build()
    world.push(built)
    listener = Listener(world)
    made = carrier(taker, built, listener, device)
    names = [merkle.leaf(chunk) for chunk in built.chunks]
    taker.want(names)
    until(lambda: "(403)" in made.why and "next directive" in made.why, lambda: made.why)
    told(world, device, built)
    taker.until_has(names)
    made.close()
    listener.close()
