"""Results are kept within caps, what is pushed out is said, and nothing that was promised is lost, wherever it dies."""

import os
import random
import signal
import sqlite3
import struct
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from dunlin_contract.golden import TensorData
from dunlin_contract.results import Result
from fleet_agent.clock import Clock
from fleet_agent.errors import StorageError
from fleet_agent.results.policy import Caps, Rate, runs, victims
from fleet_agent.results.store import RESERVE_BYTES, Draft, Refused, Standing, Store


class Hands:
    """Clocks that the test moves."""

    def __init__(self) -> None:
        self.wall, self.boot = 1_700_000_000.0, 100.0

    def clock(self) -> Clock:
        return Clock(lambda: self.wall, lambda: self.boot)

    def forward(self, seconds: float) -> None:
        self.wall += seconds
        self.boot += seconds


@pytest.fixture(name="hands")
def _hands() -> Hands:
    return Hands()


def tensor(size: int = 8) -> TensorData:
    return TensorData(name="y", dtype="uint8", shape=(size,), data=bytes(size))


def draft(size: int = 8, *, priority: int = 3, model: str = "m", kind: str = "result") -> Draft:
    inputs = (tensor(size),) if kind == "capture" else ()
    return Draft(kind=kind, model=model, release=b"\1" * 32, outputs=(tensor(size),), inputs=inputs, priority=priority)


def records(store: Store) -> list[Result]:
    found = [Result.from_bytes(data) for _, data in store.waiting(0, 10_000, 1 << 30)]
    assert [one.n for one in found] == [n for n, _ in store.waiting(0, 10_000, 1 << 30)]
    return found


def shape(store: Store) -> list[int | tuple[int, int]]:
    """Numbers that are kept, and gaps as (first, last)."""
    return [one.n if one.first is None else (one.first, one.n) for one in records(store)]


SIZE = len(Result(stream=b"\0" * 16, n=1, time_s=1_700_000_000, uptime_s=100, kind="result", model="m",
                  release=b"\1" * 32, outputs=(tensor(1000),)).to_bytes())  # fmt: skip
ROOM = Caps(most_bytes=3 * SIZE + 100)


def test_results_are_numbered_and_forgotten_only_when_acknowledged(tmp_path: Path, hands: Hands) -> None:
    store = Store(tmp_path / "results.db", Caps(), hands.clock())
    assert store.put([draft(), draft()]) == [1, 2]
    assert store.put([draft()]) == [3]
    assert not store.acknowledged(b"another stream..", 3)
    assert shape(store) == [1, 2, 3]
    assert store.acknowledged(store.stream, 2)
    assert shape(store) == [3]
    store.acknowledged(store.stream, 3)
    assert store.standing().size == store.standing().waiting == 0
    store.close()
    again = Store(tmp_path / "results.db", Caps(), hands.clock())
    assert again.stream == store.stream
    assert again.put([draft()]) == [4]
    assert [(one.stream, one.kind, one.time_s, one.uptime_s) for one in records(again)] == [
        (store.stream, "result", 1_700_000_000, 100)
    ]


def test_the_oldest_of_the_lowest_priority_goes_first_and_leaves_a_gap(tmp_path: Path, hands: Hands) -> None:
    store = Store(tmp_path / "results.db", ROOM, hands.clock())
    store.put([draft(1000, priority=5), draft(1000, priority=1), draft(1000, priority=3)])
    assert store.put([draft(1000)]) == [4]
    assert shape(store) == [1, (2, 2), 3, 4]
    store.put([draft(1000)])
    assert shape(store) == [1, (2, 3), 4, 5]
    store.put([draft(1000, priority=9)] * 2)
    assert shape(store) == [1, (2, 5), 6, 7]
    store.put([draft(1000, priority=9)])
    assert shape(store) == [(1, 5), 6, 7, 8]
    assert store.standing().gone == 5
    refused = store.put([draft(1000)])[0]
    assert isinstance(refused, Refused)
    assert refused.code == "full"
    assert shape(store) == [(1, 5), 6, 7, 8]


def test_gaps_that_meet_are_one(tmp_path: Path, hands: Hands) -> None:
    store = Store(tmp_path / "results.db", ROOM, hands.clock())
    store.put([draft(1000, priority=1), draft(1000, priority=5), draft(1000, priority=1)])
    store.put([draft(1000, priority=9), draft(1000, priority=9)])
    assert shape(store) == [(1, 1), 2, (3, 3), 4, 5]
    store.put([draft(1000, priority=9)])
    assert shape(store) == [(1, 3), 4, 5, 6]


def test_old_ones_go_by_the_time_that_the_agent_ran(tmp_path: Path, hands: Hands) -> None:
    caps = Caps(most_age_s=3600)
    store = Store(tmp_path / "results.db", caps, hands.clock())
    store.put([draft()])
    hands.forward(3000)
    store.put([draft()])
    store.close()
    hands.wall += 10 * 365 * 86_400  # it lay in a drawer, or somebody set the clock
    hands.boot = 5
    store = Store(tmp_path / "results.db", caps, hands.clock())
    store.expire()
    assert shape(store) == [1, 2]
    hands.forward(601)
    store.expire()
    assert shape(store) == [(1, 1), 2]


def test_an_hour_has_room_for_so_many_results_and_any_captures(tmp_path: Path, hands: Hands) -> None:
    store = Store(tmp_path / "results.db", Caps(per_hour=2), hands.clock())
    answers = store.put([draft()] * 3)
    assert [one.code if isinstance(one, Refused) else one for one in answers] == [1, 2, "rate"]
    assert store.put([draft(kind="capture")]) == [3]
    hands.forward(3600)
    assert store.put([draft()]) == [4]


def test_captures_push_out_captures_first(tmp_path: Path, hands: Hands) -> None:
    store = Store(tmp_path / "results.db", Caps(capture_bytes=5000), hands.clock())
    store.put([draft(priority=0), draft(1000, kind="capture"), draft(1000, kind="capture")])
    store.put([draft(1000, kind="capture")])
    assert shape(store) == [1, (2, 2), 3, 4]


def test_a_record_that_no_server_takes_is_refused(tmp_path: Path, hands: Hands) -> None:
    store = Store(tmp_path / "results.db", Caps(), hands.clock())
    wrong = Draft("result", "m", b"short", (tensor(),))
    answers = store.put([draft(300_000), wrong, draft()])
    assert [one.code if isinstance(one, Refused) else one for one in answers] == ["too-large", "malformed", 1]


def test_a_wiped_models_results_are_gone_from_the_file(tmp_path: Path, hands: Hands) -> None:
    store = Store(tmp_path / "results.db", Caps(), hands.clock())
    secret = struct.pack(">16s", b"what a camera saw"[:16]) * 2000  # more than a page
    shown = TensorData(name="y", dtype="uint8", shape=(len(secret),), data=secret)
    store.put([Draft("result", "m", b"\1" * 32, (shown,)), draft(model="other")])

    def on_disk() -> bool:
        return any(secret[:64] in path.read_bytes() for path in tmp_path.iterdir())

    assert on_disk()
    assert store.forget("m") == 1
    assert not on_disk()
    assert shape(store) == [(1, 1), 2]


def test_a_full_disk_refuses_and_keeps_what_was_there(tmp_path: Path, hands: Hands) -> None:
    store = Store(tmp_path / "results.db", Caps(), hands.clock())
    store.put([draft()])
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count={pages + 2}")
    with pytest.raises(StorageError) as caught:
        store.put([draft(100_000)])
    assert caught.value.code == "disk-full"
    assert store.standing().waiting == 1
    store._db.execute("PRAGMA max_page_count=100000")
    assert store.put([draft(100_000)]) == [2]


@pytest.fixture(name="small_disk")
def _small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB, or a skip where none can be mounted."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system can be mounted by root only")
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


def test_results_leave_room_on_a_small_disk_and_acknowledgements_empty_it(small_disk: Path, hands: Hands) -> None:
    store = Store(small_disk / "results.db", Caps(), hands.clock())

    def fill() -> None:
        for n in range(1, 1000):
            assert store.put([draft(30_000)]) == [n]

    with pytest.raises(StorageError) as caught:
        fill()
    assert caught.value.code == "disk-full"
    about = os.statvfs(small_disk)
    assert about.f_bavail * about.f_frsize > RESERVE_BYTES // 2
    kept = store.standing().waiting
    assert shape(store) == list(range(1, kept + 1))
    for n in range(1, kept + 1):
        store.acknowledged(store.stream, n)
    assert store.standing() == Standing()
    assert store.put([draft(30_000)]) == [kept + 1]
    store.close()


def test_what_is_no_database_is_told_apart(tmp_path: Path, hands: Hands) -> None:
    (tmp_path / "results.db").write_bytes(b"rubbish " * 1000)
    with pytest.raises(StorageError) as caught:
        Store(tmp_path / "results.db", Caps(), hands.clock())
    assert caught.value.code == "damaged"


# Killed at every statement.


class Dying(sqlite3.Connection):
    """Counts statements; the one before which the process is to die kills it, as SIGKILL does."""

    left = 0

    def execute(self, *arguments: object) -> sqlite3.Cursor:
        Dying.left -= 1
        if Dying.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().execute(*arguments)  # type: ignore[arg-type]


def _life(path: Path, hands: Hands, say: Callable[[str], object]) -> None:
    """Everything that a store does; each promise is said as soon as it was given."""
    store = Store(path, ROOM, hands.clock())
    for priority in (1, 5, 1, 9, 9, 3, 9):
        for answer in store.put([draft(1000, priority=priority)]):
            if isinstance(answer, int):
                say(f"{answer} ")
    say("a4 ")
    store.acknowledged(store.stream, 4)
    hands.forward(ROOM.most_age_s + 1)
    store.expire()
    for answer in store.put([draft(), draft(model="other")]):
        say(f"{answer} ")
    store.forget("other")
    store.close()


def _died(path: Path, statement: int) -> tuple[bool, list[str]]:
    """One life in a process of its own. Whether it ended by itself, and what it promised."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            Dying.left = statement
            connect = sqlite3.connect
            sqlite3.connect = lambda *a, **k: connect(*a, factory=Dying, **k)  # type: ignore[assignment]
            _life(path, Hands(), lambda text: os.write(write, text.encode()))
            os._exit(0)
        finally:
            os._exit(1)
    os.close(write)
    with os.fdopen(read) as said:
        words = said.read().split()
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return not os.WIFSIGNALED(status), words


def _covered(shown: Sequence[int | tuple[int, int]]) -> Iterator[int]:
    for one in shown:
        yield from range(one[0], one[1] + 1) if isinstance(one, tuple) else (one,)


def test_no_promise_is_broken_at_whichever_statement_it_is_killed(tmp_path: Path, hands: Hands) -> None:
    statement, ended = 0, False
    while not ended:
        statement += 1
        path = tmp_path / f"{statement}.db"
        ended, words = _died(path, statement)
        acked = 4 if "a4" in words else 0
        promised = [int(word) for word in words if word != "a4"]
        store = Store(path, ROOM, hands.clock())
        shown = shape(store)
        numbers = list(_covered(shown))
        assert sorted(set(numbers)) == numbers, (statement, shown)
        # From the first that is not acknowledged on, every number is a record or said to be gone.
        last = max([0, *numbers, *promised])
        assert set(range(acked + 1, last + 1)) <= set(numbers), (statement, shown)
        assert set(promised) <= set(numbers) | set(range(1, acked + 1)), (statement, shown)
        assert store._sizes == store._counted()
        assert store.put([draft(priority=9)]) == [last + 1], statement
        store.close()
    assert statement > 60


def test_any_order_of_calls_leaves_no_number_unsaid(tmp_path: Path, hands: Hands) -> None:
    chance = random.Random(7)
    store = Store(tmp_path / "results.db", Caps(most_bytes=8000, most_age_s=500, capture_bytes=3000), hands.clock())
    last = acked = 0
    for _ in range(600):
        hands.forward(chance.randrange(30))
        match chance.randrange(8):
            case 0 if last > acked:
                acked = chance.randrange(acked, last + 1)
                store.acknowledged(store.stream, acked)
            case 1:
                store.forget(chance.choice(("a", "b")))
            case _:
                kind = chance.choice(("result", "result", "capture"))
                size, priority = chance.randrange(900), chance.randrange(10)
                (answer,) = store.put([draft(size, priority=priority, model=chance.choice("ab"), kind=kind)])
                last = answer if isinstance(answer, int) else last
        shown = shape(store)
        numbers = list(_covered(shown))
        assert numbers == sorted(set(numbers))
        assert set(range(acked + 1, last + 1)) <= set(numbers)
        gaps = [one for one in shown if isinstance(one, tuple)]
        assert all(first - 1 not in {end for _, end in gaps} for first, _ in gaps)
        assert store._sizes == store._counted()
        assert store.standing().size <= 8000
    assert last > 100


# The policy alone.


def test_victims_are_as_few_as_will_do_or_none() -> None:
    rows = [(4, 10), (7, 10), (1, 10)]
    assert victims(rows, 0) == []
    assert victims(rows, 11) == [4, 7]
    assert victims(rows, 30) == [4, 7, 1]
    assert victims(rows, 31) is None


def test_runs() -> None:
    assert runs([]) == []
    assert runs([5, 3, 4, 9]) == [(3, 5), (9, 9)]


def test_the_rate_counts_any_sixty_minutes() -> None:
    rate = Rate(3)
    assert [rate.take(now) for now in (0, 1800, 3540, 3599)] == [True, True, True, False]
    assert [rate.take(now) for now in (3600, 3601)] == [True, False]
