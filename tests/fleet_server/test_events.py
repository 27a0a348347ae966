"""Events are stored once and acknowledged only as far as none before is missing."""

import itertools
import random
import secrets

import pytest
from sqlmodel import select

from dunlin_contract import envelopes
from fleet_server.db.models import EventRow, EventStreamRow
from fleet_server.services import devices, events, streams
from tests.fleet_server.world import Device, World


def send(world: World, device: Device, *numbers: int) -> int | None:
    """Events in one transaction; returns up to which number the ack goes."""
    with world.ctx.db.write() as session:
        row = devices.get(session, device.name, lock=True)
        due = [events.receive(session, world.ctx, row, device.event(n), world.clock.now) for n in numbers]
    with world.ctx.db.read() as session:
        envelope = streams.ack_for(session, world.ctx, due[-1])
    if envelope is None:
        return None
    ack = envelopes.open_ack(envelope, world.root)
    assert (ack.device, ack.stream) == (device.name, device.stream)
    return ack.n


def stored(world: World) -> list[int]:
    with world.ctx.db.read() as session:
        return sorted(session.exec(select(EventRow.n)))


def test_events_are_stored_once_and_acknowledged(world: World) -> None:
    device = world.device()
    assert send(world, device, 1, 2, 3) == 3
    assert send(world, device, 2, 3, 4) == 4
    assert send(world, device, 1) == 4  # its ack was lost: it is told again
    assert stored(world) == [1, 2, 3, 4]


def test_nothing_above_a_gap_is_acknowledged(world: World) -> None:
    device = world.device()
    assert send(world, device, 1) == 1
    assert send(world, device, 3, 4) == 1
    assert send(world, device, 2) == 4
    assert stored(world) == [1, 2, 3, 4]


def test_what_a_restored_backup_forgot_is_passed_when_the_device_repeats(world: World) -> None:
    device = world.device()
    assert send(world, device, 8, 9) is None  # perhaps 1 to 7 are still on their way
    assert send(world, device, 8) == 9  # it repeats from the oldest that it keeps: they are not
    assert send(world, device, 10) == 10


def test_repeating_a_later_event_does_not_pass_a_gap(world: World) -> None:
    device = world.device()
    send(world, device, 1, 3, 4)
    assert send(world, device, 4) == 1
    assert send(world, device, 3) == 4


def test_each_stream_counts_for_itself(world: World) -> None:
    device = world.device()
    assert send(world, device, 1, 2) == 2
    device.stream = secrets.token_bytes(16)
    assert send(world, device, 1) == 1
    assert stored(world) == [1, 1, 2]


def test_a_device_cannot_fill_the_disk(sqlite_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world = sqlite_world
    device = world.device()
    monkeypatch.setattr(events, "KEPT", 20)
    send(world, device, *range(1, 501))
    assert stored(world) == list(range(481, 501))
    assert send(world, device, 501) == 501
    for _ in range(streams.STREAMS + 3):
        device.stream = secrets.token_bytes(16)
        send(world, device, 1)
    with world.ctx.db.read() as session:
        assert len(session.exec(select(EventStreamRow)).all()) == streams.STREAMS


def test_a_device_that_chooses_its_numbers_cannot_fill_the_disk_either(
    sqlite_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = sqlite_world
    device = world.device()
    monkeypatch.setattr(events, "KEPT", 20)
    send(world, device, *(n for n in range(1, 1600) if n % 500))
    assert len(stored(world)) < 500
    chance = itertools.count(1)
    monkeypatch.setattr(random, "randrange", lambda _: next(chance) % 30)
    send(world, device, *(2**40 - 500 * n - 1 for n in range(61)))
    assert len(stored(world)) <= 21
    for _ in range(60):
        device.stream = secrets.token_bytes(16)
        send(world, device, 1)
    assert len(stored(world)) <= 21
