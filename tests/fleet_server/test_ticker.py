"""What time causes is done by one process at a time, and a failure is tried again."""

import threading

from sqlmodel import Session, select

from fleet_server.context import Context
from fleet_server.db.models import MetaRow
from fleet_server.ticker import LOCK, Ticker
from tests.fleet_server.world import World


def test_work_that_fails_is_rolled_back_and_does_not_stop_the_ticker(world: World) -> None:
    def fails(session: Session, _ctx: Context, _now: float) -> None:
        session.add(MetaRow(key="half"))
        session.flush()
        raise RuntimeError("a fault in a tick")

    ticker = Ticker(world.ctx, [])
    assert not ticker.once(fails)
    assert ticker.once(lambda session, _ctx, _now: session.add(MetaRow(key="whole")))
    with world.ctx.db.read() as session:
        assert [row.key for row in session.exec(select(MetaRow))] == ["whole"]


def test_one_process_ticks_at_a_time(world: World) -> None:
    """On PostgreSQL the second gives way; on SQLite it waits for the only writer. Never do two work at once."""
    inside, done = threading.Event(), threading.Event()
    at_work: list[int] = []

    def slow(_session: Session, _ctx: Context, _now: float) -> None:
        at_work.append(1)
        inside.set()
        done.wait(20)
        at_work.pop()

    def quick(_session: Session, _ctx: Context, _now: float) -> None:
        assert at_work == []

    first = threading.Thread(target=Ticker(world.ctx, []).once, args=(slow,))
    first.start()
    assert inside.wait(20)
    second = Ticker(world.ctx, [])
    if world.ctx.db.is_sqlite:
        threading.Timer(0.2, done.set).start()
        assert second.once(quick)
    else:
        assert not second.once(quick)
        done.set()
    first.join()
    assert second.once(quick)


def test_the_lock_is_free_again_after_the_transaction(world: World) -> None:
    for _ in range(2):
        with world.ctx.db.write() as session:
            assert world.ctx.db.try_lock(session, LOCK)


def test_a_started_ticker_works_until_it_is_stopped(sqlite_world: World) -> None:
    object.__setattr__(sqlite_world.ctx.config, "tick_s", 0.01)
    worked = threading.Event()
    ticker = Ticker(sqlite_world.ctx, [lambda _session, _ctx, _now: worked.set()])
    ticker.start()
    assert worked.wait(20)
    ticker.stop()
