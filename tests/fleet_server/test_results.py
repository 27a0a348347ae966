"""Results are stored once, gaps are believed, and nothing is acknowledged that is neither here nor said to be gone."""

import itertools
import random
import secrets
from dataclasses import dataclass, field, replace

import pytest
from sqlalchemy import text
from sqlmodel import Session, select

from dunlin_contract import envelopes
from dunlin_contract.golden import TensorData
from dunlin_contract.results import Result
from dunlin_contract.topics import Address
from fleet_server.db.models import EventStreamRow, ResultRow
from fleet_server.services import devices, results, streams
from tests.fleet_server.children import hear
from tests.fleet_server.world import Device, World


def tensor(size: int = 4) -> TensorData:
    return TensorData(name="scores", dtype="float32", shape=(size,), data=b"\0\0\x80\x3f" * size)


@dataclass
class Sender:
    """One device's stream of results."""

    world: World
    device: Device
    stream: bytes = field(default_factory=lambda: secrets.token_bytes(16))

    def result(self, n: int, size: int = 4, kind: str = "result", **more: object) -> Result:
        values: dict[str, object] = {"model": "digits", "release": b"\7" * 32, "outputs": (tensor(size),)}
        if kind == "capture":
            values["inputs"] = (tensor(1),)
        return Result(stream=self.stream, n=n, time_s=5, uptime_s=10, kind=kind, **(values | more))  # type: ignore[arg-type]

    def gap(self, first: int, n: int) -> Result:
        return Result(stream=self.stream, n=n, time_s=5, uptime_s=10, kind="gap", first=first)

    def send(self, *records: Result | int) -> int | None:
        """Send in one transaction; up to which number the ack goes."""
        world = self.world
        with world.ctx.db.write() as session:
            row = devices.get(session, self.device.name, lock=True)
            whole = [self.result(one) if isinstance(one, int) else one for one in records]
            due = [results.receive(session, world.ctx, row, one, world.clock.now) for one in whole]
        with world.ctx.db.read() as session:
            envelope = streams.ack_for(session, world.ctx, due[-1])
        if envelope is None:
            return None
        ack = envelopes.open_ack(envelope, world.root)
        assert (ack.device, ack.stream) == (self.device.name, self.stream)
        return ack.n

    def stored(self) -> list[int | tuple[int, int]]:
        with self.world.ctx.db.read() as session:
            rows = list(session.exec(select(ResultRow).order_by(ResultRow.n, ResultRow.kind)))  # type: ignore[arg-type]
        return [row.n if row.first is None else (row.first, row.n) for row in rows]


@pytest.fixture(name="sender")
def _sender(world: World) -> Sender:
    return Sender(world, world.device())


def test_results_are_stored_once_and_acknowledged(sender: Sender) -> None:
    assert sender.send(1, 2, 3) == 3
    assert sender.send(2, 3, 4) == 4
    assert sender.send(1) == 4
    assert sender.stored() == [1, 2, 3, 4]


def test_a_gap_is_as_good_as_what_it_speaks_of(sender: Sender) -> None:
    assert sender.send(1) == 1
    assert sender.send(5, 6) == 1
    assert sender.send(sender.gap(2, 4)) == 6
    assert sender.send(sender.gap(2, 4)) == 6
    assert sender.stored() == [1, (2, 4), 5, 6]


def test_a_gap_may_come_first_and_may_grow(sender: Sender) -> None:
    assert sender.send(sender.gap(4, 6)) is None
    assert sender.send(7) is None
    assert sender.send(1) == 1
    assert sender.send(sender.gap(2, 6)) == 7
    assert sender.stored() == [1, (2, 6), 7]


def test_what_came_stays_though_the_device_pushed_it_out_meanwhile(sender: Sender) -> None:
    assert sender.send(1, 3) == 1
    # Before it heard an ack for number 3, its caps pushed it out, together with number 2, which had not come.
    assert sender.send(sender.gap(2, 3)) == 3
    assert sender.send(sender.gap(2, 5), 6) == 6
    assert sender.stored() == [1, (2, 3), 3, (2, 5), 6]


def test_a_gap_may_reach_over_what_came(sender: Sender) -> None:
    assert sender.send(1) == 1
    assert sender.send(3) == 1
    assert sender.send(sender.gap(2, 5)) == 5


def test_nothing_above_a_missing_number_is_acknowledged(sender: Sender) -> None:
    assert sender.send(1, 4) == 1
    assert sender.send(sender.gap(2, 2)) == 2
    assert sender.send(3) == 4


def test_many_above_a_missing_number_are_acknowledged_once_it_comes(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "_PAGE", 3)
    assert sender.send(1, *range(3, 13)) == 1
    assert sender.send(2) == 12


def test_what_comes_above_a_missing_number_costs_no_look_at_all_that_lies_there(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int | None] = []
    really = streams._pass_gap

    def counted(session: Session, kind: streams.Kind, stream: EventStreamRow, repeated: int | None) -> None:
        looks.append(repeated)
        really(session, kind, stream, repeated)

    monkeypatch.setattr(streams, "_pass_gap", counted)
    assert sender.send(1, *range(3, 13)) == 1
    assert looks == []
    assert sender.send(12) == 1
    assert looks == [12]
    assert sender.send(sender.gap(2, 2)) == 12
    assert looks == [12, None]


def test_what_a_restored_backup_forgot_is_passed_when_the_device_repeats(sender: Sender) -> None:
    assert sender.send(8, 9) is None
    assert sender.send(8) == 9


def test_events_and_results_do_not_meet(sender: Sender) -> None:
    hear(sender.world, Address(sender.device.name), "events", sender.device.event(1).to_bytes())
    due = hear(sender.world, Address(sender.device.name), "results", sender.result(1).to_bytes())
    assert [one.stream for one in due] == [sender.stream.hex()]
    assert sender.stored() == [1]


def test_what_comes_late_is_pruned_now_and_then(sqlite_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for every message: it reads as many rows as are kept."""
    sender = Sender(sqlite_world, sqlite_world.device())
    monkeypatch.setattr(results, "KEPT", 20)
    chance = itertools.count(1)
    monkeypatch.setattr(random, "randrange", lambda every: next(chance) % every)
    prunes = []
    prune = results._prune

    def counted(session: Session, device: str, most_bytes: int) -> None:
        prunes.append(device)
        prune(session, device, most_bytes)

    monkeypatch.setattr(results, "_prune", counted)
    sender.send(100_000)
    begun = len(prunes)
    sender.send(*range(2, 152))
    assert len(prunes) - begun == 3
    assert len(sender.stored()) == 20


@pytest.mark.parametrize("by", ["device", "model", "kind"])
def test_a_page_of_results_is_found_by_an_index(sqlite_world: World, by: str) -> None:
    with sqlite_world.ctx.db.read() as session:
        query = f"EXPLAIN QUERY PLAN SELECT * FROM result WHERE {by} = 'x' ORDER BY id DESC LIMIT 100"
        (plan,) = [row[3] for row in session.connection().execute(text(query))]
    assert plan == f"SEARCH result USING INDEX ix_result_{by}_id ({by}=?)"


def test_a_device_cannot_fill_the_disk(sqlite_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sender = Sender(sqlite_world, sqlite_world.device())
    monkeypatch.setattr(results, "KEPT", 20)
    assert sender.send(*range(1, 151)) == 150
    assert sender.stored() == list(range(131, 151))
    monkeypatch.setattr(results, "KEPT", 1000)
    ctx = sender.world.ctx
    sender.world.ctx = replace(ctx, config=replace(ctx.config, results_bytes=100_000))
    assert sender.send(*(sender.result(n, 10_000) for n in range(151, 201))) == 200
    assert sender.stored() == [199, 200]
