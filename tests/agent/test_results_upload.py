"""Results on their way: sent until acknowledged, in order, past restarts; trouble of the disk is told once."""

import queue
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from dunlin_contract.event import Ack
from dunlin_contract.results import Result
from fleet_agent.results import store as stores
from fleet_agent.results.policy import Caps
from fleet_agent.results.store import Draft, Refused
from fleet_agent.supervisor.link import Link
from fleet_agent.supervisor.loop import Loop, Timer
from fleet_agent.supervisor.results import Results
from tests.agent.test_results_store import Hands, draft


class Desk:
    """Loop and link by hand: ``sent`` is what went up, ``later`` what waits for a time."""

    def __init__(self, path: Path, hands: Hands, caps: Caps | None = None) -> None:
        self.inbox: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self.later: list[Timer] = []
        self.sent: list[Result] = []
        self.told: list[tuple[str, str, str]] = []
        self.answers: list[int | Refused] = []
        self.results = Results(
            cast(Loop, self), cast(Link, self), path, caps or Caps(), hands.clock(), lambda *one: self.told.append(one)
        )

    def post(self, call: Callable[[], object]) -> None:
        self.inbox.put(call)

    def after(self, _: float, call: Callable[[], object]) -> Timer:
        timer = Timer(call)
        self.later.append(timer)
        return timer

    def publish(self, kind: str, payload: bytes, qos: int) -> None:
        assert (kind, qos) == ("results", 1)
        self.sent.append(Result.from_bytes(payload))

    def put(self, one: Draft) -> None:
        self.results.put(one, self.answers.append)

    def ack(self, n: int, stream: bytes | None = None) -> None:
        self.results.acknowledged(Ack(device="dev-1", stream=stream or self.sent[-1].stream, n=n))

    def until(self, condition: Callable[[], Any]) -> None:
        """Do what is posted until it is so; the deadline is there to end a broken test."""
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline
            try:
                self.inbox.get(timeout=0.05)()
            except queue.Empty:
                continue

    def settle(self) -> None:
        """Everything asked for is done, and what came of it too."""
        done: list[int] = []
        for place in range(1, 4):
            self.results._ask(lambda _: self.post(lambda: done.append(1)))
            self.until(lambda place=place: len(done) == place)  # type: ignore[misc]

    def fire(self) -> None:
        for timer in list(self.later):
            timer.fire()
        self.later.clear()


@pytest.fixture(name="hands")
def _hands() -> Hands:
    return Hands()


def numbers(desk: Desk) -> list[int]:
    return [one.n for one in desk.sent]


def test_a_device_without_results_has_no_file_and_no_thread(tmp_path: Path, hands: Hands) -> None:
    desk = Desk(tmp_path / "results.db", hands)
    desk.results.start()
    desk.results.online()
    desk.results.acknowledged(Ack(device="dev-1", stream=b"\0" * 16, n=1))
    desk.results.forget("m")
    desk.results.close()
    assert not (tmp_path / "results.db").exists()


def test_what_was_promised_goes_up_until_it_is_acknowledged(tmp_path: Path, hands: Hands) -> None:
    desk = Desk(tmp_path / "results.db", hands)
    desk.results.start()
    for _ in range(3):
        desk.put(draft())
    desk.until(lambda: len(desk.answers) == 3)
    assert desk.answers == [1, 2, 3]
    assert desk.sent == []
    desk.results.online()
    desk.until(lambda: len(desk.sent) == 3)
    desk.ack(2)
    desk.settle()
    assert numbers(desk) == [1, 2, 3]
    desk.fire()  # no word of number 3
    desk.until(lambda: len(desk.sent) == 4)
    assert numbers(desk) == [1, 2, 3, 3]
    desk.ack(3, b"another stream..")
    desk.settle()
    assert desk.results.status()["waiting"] == 1
    desk.results.close()
    again = Desk(tmp_path / "results.db", hands)
    again.results.online()
    again.until(lambda: again.sent)
    assert (again.sent[0].n, again.sent[0].stream) == (3, desk.sent[0].stream)
    again.ack(3)
    again.settle()
    again.put(draft())
    again.until(lambda: len(again.sent) == 2)
    assert numbers(again) == [3, 4]
    again.results.close()


def test_a_long_queue_goes_up_in_order_as_it_is_acknowledged(tmp_path: Path, hands: Hands) -> None:
    desk = Desk(tmp_path / "results.db", hands)
    for _ in range(150):
        desk.put(draft())
        if len(desk.answers) % 50 == 0:
            desk.settle()
    desk.until(lambda: len(desk.answers) == 150)
    desk.results.online()
    acked = 0
    while acked < 150:
        desk.until(lambda: desk.sent and desk.sent[-1].n > acked)  # noqa: B023
        assert desk.sent[-1].n - acked <= 32
        acked = desk.sent[-1].n
        desk.ack(acked)
    desk.settle()
    assert numbers(desk) == list(range(1, 151))
    assert desk.results.status() == {"waiting": 0, "bytes": 0, "pushed_out": 0, "refused": 0, "trouble": ""}
    desk.results.close()


def test_a_full_disk_is_told_once_and_its_end_too(
    tmp_path: Path, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path / "results.db", hands)
    desk.put(draft())
    desk.until(lambda: desk.answers == [1])
    put = stores.Store._put

    def full(*_: object) -> int:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(stores.Store, "_put", full)
    for _ in range(3):
        desk.put(draft())
    desk.until(lambda: len(desk.answers) == 4)
    desk.settle()
    assert all(isinstance(one, Refused) and one.code == "disk-full" for one in desk.answers[1:])
    assert [code for _, code, _ in desk.told] == ["disk-full"]
    assert "database or disk is full" in str(desk.results.status()["trouble"])
    monkeypatch.setattr(stores.Store, "_put", put)
    desk.put(draft())
    desk.until(lambda: len(desk.answers) == 5)
    desk.settle()
    assert desk.answers[-1] == 2
    assert [text for _, _, text in desk.told][1:] == ["results are kept again"]
    desk.results.close()


def test_a_damaged_file_begins_a_new_stream(tmp_path: Path, hands: Hands) -> None:
    (tmp_path / "results.db").write_bytes(b"rubbish " * 1000)
    desk = Desk(tmp_path / "results.db", hands)
    desk.put(draft())
    desk.until(lambda: desk.answers)
    first = desk.answers[0]
    assert isinstance(first, Refused)
    assert first.code == "damaged"
    desk.put(draft())
    desk.until(lambda: len(desk.answers) == 2)
    desk.settle()
    assert desk.answers[1] == 1
    assert desk.told[0][1] == "damaged"
    desk.results.close()


class Server:
    """Which numbers it may acknowledge: those that came, and those that were said to be gone."""

    def __init__(self) -> None:
        self.upto = 0
        self.have: set[int] = set()
        self.gone: set[int] = set()

    def take(self, result: Result) -> None:
        if result.first is None:
            self.have.add(result.n)
        else:
            self.gone |= set(range(result.first, result.n + 1))
        while self.upto + 1 in self.have or self.upto + 1 in self.gone:
            self.upto += 1


def test_a_day_offline(tmp_path: Path, hands: Hands) -> None:
    """24 hours at a result every 6 s, of which an hourly one is important; the disk holds a part of them."""
    caps = Caps(most_bytes=1 << 20, most_age_s=24 * 3600, per_hour=700)
    desk = Desk(tmp_path / "results.db", hands, caps)
    desk.results.start()
    important: set[int] = set()
    for minute in range(24 * 60):
        for second in range(10):
            one = draft(150, priority=9 if second == minute % 60 == 0 else 3)
            hands.forward(6)
            desk.put(one)
        desk.until(lambda: len(desk.answers) == 10 * (minute + 1))  # noqa: B023
        if minute % 60 == 0:
            number = desk.answers[-10]
            assert isinstance(number, int)
            important.add(number)
        if minute % 600 == 300:  # the power goes now and then
            desk.results.close()
            answers = desk.answers
            desk = Desk(tmp_path / "results.db", hands, caps)
            desk.answers = answers
            desk.results.start()
    promised = {one for one in desk.answers if isinstance(one, int)}
    assert len(promised) == 14_400
    desk.settle()
    assert int(str(desk.results.status()["bytes"])) <= caps.most_bytes
    assert int(str(desk.results.status()["pushed_out"])) > 10_000
    desk.results.online()
    server, seen = Server(), 0
    while server.upto < 14_400:
        desk.until(lambda: len(desk.sent) > seen)  # noqa: B023
        for result in desk.sent[seen:]:
            server.take(result)
        seen = len(desk.sent)
        desk.ack(server.upto)
    assert server.have | server.gone == promised
    assert not server.have & server.gone
    assert important <= server.have
    # All that fitted came, the newest whole.
    assert sum(len(one.to_bytes()) for one in desk.sent if one.first is None) > 0.95 * caps.most_bytes
    newest = 14_400 - len(server.have) + len(important) + 1
    assert set(range(newest, 14_401)) <= server.have
    desk.settle()
    assert desk.results.status()["waiting"] == 0
    desk.results.close()
