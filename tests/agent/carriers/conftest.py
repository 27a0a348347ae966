"""Fixtures of the carriers' tests: who takes what they bring, a release, and an HTTPS server that has it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet_agent.carriers import usb, window
from tests.agent.carrier_parts import Material, Server, Taker
from tests.agent.carriers.real import Pki


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses are short: none of these tests is about how long they last."""
    monkeypatch.setattr(window, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(window, "LONGEST_PAUSE_S", 0.05)
    monkeypatch.setattr(usb, "LOOK_S", 0.02)


@pytest.fixture
def taker() -> Iterator[Taker]:
    made = Taker()
    yield made
    made.close()


@pytest.fixture
def material() -> Material:
    return Material.random(9, 1, 4)


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


@pytest.fixture
def server(pki: Pki, material: Material) -> Iterator[Server]:
    made = Server(pki.server, pki.ca, material.payload)
    yield made
    made.close()
