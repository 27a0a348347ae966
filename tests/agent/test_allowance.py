"""The day's number of kept requests: never more in any 24 hours, whatever restarts and clocks do."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet_agent.clock import Clock, SignedTime
from fleet_agent.errors import StorageError
from fleet_agent.journal import Journal
from fleet_agent.supervisor.allowance import Allowance

HOUR = 3600
FLOOR = 1_790_000_000


class Device:
    """A clock by hand and a journal; ``boot`` begins anew, as after a power cut."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.db"
        self.run = 0.0
        self.floor = FLOOR
        self.journal: Journal | None = None
        self.allowance = self.boot()

    def boot(self) -> Allowance:
        if self.journal is not None:
            self.journal.close()
        self.run = 100.0
        self.journal = Journal(self.path)
        clock = Clock(lambda: 0.0, lambda: self.run)
        self.allowance = Allowance(self.journal, clock, SignedTime(clock, self.floor))
        return self.allowance

    def take(self, per_day: int, times: int = 100_000, model: str = "m") -> int:
        taken = 0
        while taken < times and self.allowance.take(model, per_day):
            taken += 1
        return taken


@pytest.fixture(name="device")
def _device(tmp_path: Path) -> Iterator[Device]:
    made = Device(tmp_path)
    yield made
    assert made.journal is not None
    made.journal.close()


def test_a_days_number_and_no_more(device: Device) -> None:
    assert device.allowance.left("m", 10) == 10
    assert device.take(10) == 10
    assert device.allowance.left("m", 10) == 0
    assert device.take(10, model="other") == 10
    device.run += 23.9 * HOUR
    assert device.take(10) == 0
    device.run += 1.2 * HOUR
    assert device.take(10) == 10


def test_in_any_24_hours_not_only_from_midnight_to_midnight(device: Device) -> None:
    taken: list[float] = []
    for _ in range(400):
        device.run += 700
        taken += [device.run] * device.take(100, 7)
    assert len(taken) > 300
    for at in taken:
        assert sum(at - 24 * HOUR < each <= at for each in taken) <= 100


def test_a_restart_makes_no_room(device: Device) -> None:
    assert device.take(1000, 10) == 10
    left = device.allowance.left("m", 1000)
    for _ in range(5):
        device.boot()
    # What was written down ahead of its use is lost, a 32nd of the day at most for each restart in use.
    assert 1000 - 10 - 1000 // 32 <= device.allowance.left("m", 1000) <= left
    total = 10
    while got := device.take(1000, 40):
        total += got
        device.boot()
    assert 500 < total <= 1000


def test_a_day_ends_although_the_device_is_switched_off_every_evening(device: Device) -> None:
    assert device.take(10) == 10
    for _ in range(4):
        for _ in range(48):
            device.run += 600
            device.allowance.note()
        device.boot()
    assert device.take(10) == 10


def test_neither_wall_clock_nor_signed_time_makes_room(device: Device) -> None:
    assert device.take(10) == 10
    device.floor += 30 * 24 * HOUR
    device.boot()
    assert device.take(10) == 0


def test_it_is_no_earlier_than_what_was_run_before_a_restart(device: Device) -> None:
    device.run += 5 * HOUR
    assert device.allowance.now == FLOOR + 5 * HOUR
    device.allowance.note()
    device.boot()
    assert device.allowance.now == FLOOR + 5 * HOUR
    device.run += HOUR
    assert device.allowance.now == FLOOR + 6 * HOUR
    device.floor = FLOOR + 100 * HOUR
    device.boot()
    assert device.allowance.now == FLOOR + 100 * HOUR


def test_what_was_set_aside_is_gone_with_its_hour(device: Device) -> None:
    """Else more than a day's number could be used in 24 hours: written down in the first, used in the last."""
    assert device.take(320, 1) == 1  # ten were set aside
    device.run += HOUR
    assert device.allowance.left("m", 320) == 310
    assert device.take(320) == 310


def test_a_wipe_forgets_its_model_alone(device: Device) -> None:
    device.take(5)
    device.take(5, model="other")
    device.allowance.forget("m")
    device.allowance.forget("never-seen")
    device.boot()
    assert device.allowance.left("m", 5) == 5
    assert device.allowance.left("other", 5) == 0


def test_what_cannot_be_written_down_may_not_be_kept(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    assert device.journal is not None

    def full() -> None:
        raise StorageError("disk-full", "no")

    monkeypatch.setattr(device.journal, "transaction", full)
    with pytest.raises(StorageError):
        device.allowance.take("m", 5)
    monkeypatch.undo()
    assert device.allowance.left("m", 5) == 5


def test_a_damaged_note_is_no_note(device: Device) -> None:
    assert device.journal is not None
    device.take(5)
    with device.journal.transaction() as write:
        write.fact("captures", b"garbage")
    device.boot()
    assert device.allowance.left("m", 5) == 5


def test_a_hundred_thousand_a_day_are_few_writes(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    assert device.journal is not None
    written: list[int] = []
    transaction = device.journal.transaction
    monkeypatch.setattr(device.journal, "transaction", lambda: (written.append(1), transaction())[1])
    assert device.take(100_000) == 100_000
    assert len(written) <= 33
