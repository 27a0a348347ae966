"""A journal that takes nothing for a while: what was decided meanwhile is followed in the order of the directives."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from dunlin_contract.directive import Desired, Lease
from fleet_agent.clock import Clock
from fleet_agent.journal import Journal, Write
from fleet_agent.supervisor.leases import Leases
from tests.agent.fleet import Agent, Fleet, commit, until


def refusing(digest: bytes) -> str:
    """Hook: the first time that the journal is told to desire this release, the disk is full."""
    return f"""
import sqlite3
import fleet_agent.journal as journal, fleet_agent.supervisor.updates as updates
updates._RETRY_S = 1.0
refused, model = [], journal.Write.model
def full(self, name, state):
    if state is not None and state.desired == {digest!r} and not refused:
        refused.append(1)
        raise sqlite3.OperationalError("database or disk is full")
    model(self, name, state)
journal.Write.model = full
"""


def test_what_a_newer_directive_has_overtaken_is_not_tried_again(fleet: Fleet) -> None:
    one, two, other = fleet.release(1.0), fleet.release(2.0, version="2.0.0"), fleet.release(7.0, name="other")
    with Agent(fleet, hook=refusing(two.digest)) as agent:
        commit(fleet, agent, one, 1.0)
        fleet.offer(two, other)
        fleet.desire(two)
        until(lambda: "disk is full" in agent.text(), "the journal refuses")
        fleet.desire(one, other)
        agent.until_serves(7.0, "other")  # takes longer than the pause before the next try
        until(lambda: agent.work(model="other") or fleet.model("other").phase == "committed", "other is committed")
        assert agent.infer() == 1.0
        assert [e.kind for e in fleet.events if e.release == two.digest] == []


def test_what_the_journal_refused_is_tried_again(fleet: Fleet) -> None:
    one, two = fleet.release(1.0), fleet.release(2.0, version="2.0.0")
    with Agent(fleet, hook=refusing(two.digest)) as agent:
        commit(fleet, agent, one, 1.0)
        commit(fleet, agent, two, 2.0)
        assert "disk is full" in agent.text()


_NOTHING_REMEMBERED = """
import sqlite3
import fleet_agent.journal as journal
refused, fact = [], journal.Write.fact
def full(self, name, value):
    if name in {"remembered", "lease-elapsed"} and name not in refused:
        refused.append(name)
        raise sqlite3.OperationalError("database or disk is full")
    fact(self, name, value)
journal.Write.fact = full
"""


def test_an_agent_that_starts_on_a_full_disk_connects_and_follows(fleet: Fleet) -> None:
    one = fleet.release(1.0)
    with Agent(fleet, hook=_NOTHING_REMEMBERED) as agent:
        fleet.until_reported("it is online", lambda _: True)
        fleet.offer(one)
        fleet.desire(one)
        agent.until_serves(1.0)
        until(lambda: "disk is full" in agent.text(), "the journal refused")


class _Later:
    """A loop that keeps the last call for the test to make."""

    def after(self, _: float, call: Callable[[], object]) -> None:
        self.call = call


def test_a_full_disk_does_not_end_the_watch_over_leases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, ended = [1000.0], []
    journal, later = Journal(tmp_path / "journal.db"), _Later()
    leases = Leases(later, journal, Clock(since_boot=lambda: now[0]), lambda *what: ended.append(what))  # type: ignore[arg-type]
    lease = Lease(seconds=600, action="stop")
    leases.start(
        {
            "adder": Desired(
                release=bytes(32), floor=0, grant=b"grant", lease=lease, manifest=bytes(32), index=(bytes(32),)
            )
        }
    )

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Write, "fact", full)
    for _ in range(3):
        now[0] += 301
        later.call()
    assert ended == [("adder", "stop")]
    journal.close()
