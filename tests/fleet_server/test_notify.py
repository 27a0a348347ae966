"""Changes reach subscribers after the commit, from any thread, and not before."""

import asyncio
import threading

import pytest

from fleet_server.db.engine import touch
from fleet_server.db.models import MetaRow
from fleet_server.notify import MAX_PENDING, Notifier
from tests.fleet_server.world import World


async def test_topics_come_from_other_threads_and_only_those_asked_for() -> None:
    notifier = Notifier()
    with notifier.subscribe("device:", "rollout:3") as subscription:
        for topic in ("device:a", "release:x", "rollout:3", "device:a"):
            threading.Thread(target=notifier.publish, args=(topic,)).start()
        seen: set[str] = set()
        while seen != {"device:a", "rollout:3"}:
            seen |= await subscription.next()


async def test_silence_ends_in_an_empty_set() -> None:
    with Notifier().subscribe() as subscription:
        assert await subscription.next(timeout_s=0.0) == set()


async def test_a_slow_subscriber_costs_a_bounded_set() -> None:
    notifier = Notifier()
    with notifier.subscribe("device:") as subscription:
        for number in range(MAX_PENDING + 1):
            notifier.publish(f"device:{number}")
        assert await subscription.next() == {"fleet"}


async def test_closing_wakes_everyone() -> None:
    notifier = Notifier()
    with notifier.subscribe("device:") as subscription:
        waiting = asyncio.create_task(subscription.next())
        await asyncio.sleep(0)
        notifier.close()
        assert await waiting == set()
        assert subscription.closed


def test_a_listener_has_its_topic_for_itself() -> None:
    notifier, calls = Notifier(), []
    notifier.listen("outbox", lambda: calls.append(1))
    notifier.publish("outbox")
    notifier.publish("device:a")
    assert calls == [1]


def test_nothing_is_told_before_the_commit_or_after_a_rollback(sqlite_world: World) -> None:
    told: list[bool] = []

    def visible() -> None:
        with sqlite_world.ctx.db.read() as session:
            told.append(session.get(MetaRow, "x") is not None)

    sqlite_world.ctx.notifier.listen("x", visible)

    def fails() -> None:
        with sqlite_world.ctx.db.write() as session:
            touch(session, "x")
            raise ValueError("rolled back")

    with pytest.raises(ValueError, match="rolled back"):
        fails()
    assert told == []
    with sqlite_world.ctx.db.write() as session:
        session.add(MetaRow(key="x"))
        touch(session, "x")
    assert told == [True]
