"""Drift as devices send it: differences in windows, merged over workers, days and devices, and bounded."""

import secrets

import pytest
from sqlmodel import func, select

from dunlin_contract.drift import SHARES
from dunlin_contract.limits import LIMITS
from dunlin_contract.telemetry import DriftCounts, ModelTelemetry, Telemetry
from fleet_server import drift
from fleet_server.db.models import QualityWindowRow
from fleet_server.services import devices, enrolment, quality, reports
from fleet_server.services.quality import DAY_S, KEPT_S, MOST_WINDOWS, WINDOW_S, Quality
from tests.fleet_server import field
from tests.fleet_server.field import HALF
from tests.fleet_server.world import ACTOR, NOW, World

RELEASE = bytes(range(32))
MORNING = NOW // WINDOW_S * WINDOW_S + 60.0


def say(world: World, *counts: int, device: str = "cam-1", release: bytes = RELEASE, **more: object) -> None:
    """Send telemetry with these counts of one feature since the worker's start; none: without drift."""
    field.say(world, device, release.hex(), *counts, **more)  # type: ignore[arg-type]


def seen(world: World, device: str = "cam-1", release: bytes = RELEASE) -> Quality:
    with world.ctx.db.read() as session:
        return quality.of_device(session, device, world.clock.now)[("digits", release.hex())]


def counts(found: Quality) -> tuple[int, ...]:
    return found.drift.features[0].counts


@pytest.fixture(autouse=True)
def morning(world: World) -> None:
    """The clock stands at the beginning of a window, and there is a device."""
    world.device()
    world.clock.now = MORNING


def test_counts_since_the_workers_start_are_counted_once(world: World) -> None:
    say(world, 10, 20)
    assert counts(seen(world)) == (10, 20)
    world.clock.now += 300
    say(world, 10, 20)
    say(world, 15, 40)
    assert counts(seen(world)) == (15, 40)
    assert seen(world).at == MORNING + 300
    world.clock.now += WINDOW_S
    say(world, 16, 40)
    assert counts(seen(world)) == (16, 40)
    with world.ctx.db.read() as session:
        assert [row.drift[0]["counts"] for row in session.exec(select(QualityWindowRow).order_by("start"))] == [
            [15, 40],
            [1, 0],
        ]


@pytest.mark.parametrize("fall", ["a bin", "the requests"])
def test_a_new_worker_begins_anew_and_what_the_old_one_saw_stays(world: World, fall: str) -> None:
    say(world, 10, 20, count=30)
    if fall == "a bin":
        say(world, 9, 50, count=59)
        assert counts(seen(world)) == (19, 70)
    else:
        say(world, 11, 21, count=29)
        assert counts(seen(world)) == (21, 41)


def test_telemetry_without_drift_keeps_the_place_and_a_restart_without_it_loses_nothing(world: World) -> None:
    say(world, 10, 20)
    say(world, count=31)
    say(world, 10, 22, count=32)
    assert counts(seen(world)) == (10, 22)
    say(world, count=1)  # a new worker that has not counted yet
    say(world, 11, 23, count=34)
    assert counts(seen(world)) == (21, 45)


def test_only_the_last_day_counts_and_a_week_is_kept(world: World) -> None:
    say(world, 10, 0)
    world.clock.now += DAY_S + 1
    say(world, 10, 5)
    assert counts(seen(world)) == (0, 5)
    world.clock.now += KEPT_S
    say(world, 11, 5)
    with world.ctx.db.read() as session:
        assert session.exec(select(func.count()).select_from(QualityWindowRow)).one() == 1


def test_answers_by_confidence_add_up_too(world: World) -> None:
    say(world, confidence=(1,) * 20, count=20)
    say(world, confidence=(2,) * 20, count=40)
    say(world, confidence=(1,) * 20, count=20)  # a new worker
    assert seen(world).confidence == (3,) * 20
    say(world, confidence=(0,) * 19 + (5,), count=60)  # and another that has answered more by now
    assert seen(world).confidence == (3,) * 19 + (8,)
    assert seen(world).drift.features == ()


def test_one_kind_of_count_without_the_other_takes_nothing_away(world: World) -> None:
    say(world, 10, 20, confidence=(1,) * 20, count=30)
    say(world, confidence=(2,) * 20, count=40)
    say(world, 11, 20, count=50)
    assert (counts(seen(world)), seen(world).confidence) == ((11, 20), (2,) * 20)


def test_a_releases_drift_is_that_of_all_its_devices_counts_together(world: World) -> None:
    for name in ("cam-2", "cam-3", "cam-4"):
        world.device(name)
    say(world, 500, 500)
    say(world, 0, 1000, device="cam-2")
    say(world, 7, 7, device="cam-3", expected=(SHARES - 1, 1))
    say(world, 9, 9, device="cam-4", release=bytes(32))
    with world.ctx.db.read() as session:
        found = quality.of_release(session, RELEASE.hex(), world.clock.now)
    together, other = drift.groups({device: one.drift for device, one in found.items()})
    assert (together.devices, together.drift.features[0].counts) == (("cam-1", "cam-2"), (500, 1500))
    assert together.drift.features[0].ks == pytest.approx(0.25, abs=0.001)
    assert other.devices == ("cam-3",)
    with world.ctx.db.write() as session:
        enrolment.reject(session, world.ctx, "cam-2", ACTOR, world.clock.now)
    with world.ctx.db.read() as session:
        assert set(quality.of_release(session, RELEASE.hex(), world.clock.now)) == {"cam-1", "cam-3"}


def test_another_baseline_of_the_same_release_takes_the_place_of_the_first(world: World) -> None:
    say(world, 500, 500)
    say(world, 1, 2, 3, expected=(1, 1, SHARES - 2), count=2000)
    assert counts(seen(world)) == (1, 2, 3)
    world.clock.now += WINDOW_S
    say(world, 600, 500, count=3000)
    assert counts(seen(world)) == (600, 500)


def test_shares_of_nothing_are_left_out(world: World) -> None:
    say(world, 10, 20, expected=(0, 0), confidence=(5,) * 20)
    assert (seen(world).drift.features, seen(world).confidence) == ((), (5,) * 20)


def test_made_up_releases_do_not_fill_the_disk(world: World) -> None:
    one = DriftCounts(feature="x", counts=(1, 2), expected=HALF)
    for _ in range(MOST_WINDOWS // LIMITS.models + 2):
        world.clock.now += 1
        models = {
            f"m-{n}": ModelTelemetry(release=secrets.token_bytes(32), count=3, errors=0, latency_us={}, drift=(one,))
            for n in range(LIMITS.models)
        }
        with world.ctx.db.write() as session:
            numbers = Telemetry(models=models, memory_bytes=1, load_permille=1)
            reports.telemetry(session, devices.get(session, "cam-1", lock=True), numbers, world.clock.now)
    with world.ctx.db.read() as session:
        assert session.exec(select(func.count()).select_from(QualityWindowRow)).one() == MOST_WINDOWS
        newest = select(QualityWindowRow.release).where(QualityWindowRow.at == world.clock.now)
        assert set(session.exec(newest)) == {one.release.hex() for one in models.values()}


def test_the_largest_counts_there_are_do_no_harm(world: World) -> None:
    say(world, LIMITS.sequence, LIMITS.sequence, count=LIMITS.sequence, confidence=(LIMITS.sequence,) * 20)
    say(world, 0, LIMITS.sequence, count=0, confidence=(LIMITS.sequence,) * 20)
    assert counts(seen(world)) == (LIMITS.sequence, LIMITS.sequence)
    assert seen(world).drift.features[0].psi < 0.001
