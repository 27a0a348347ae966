"""Rollouts against real rows: signed directives go out, reports come in, and the tables tell the truth."""

import pytest
from sqlmodel import select

from fleet_server.db.models import AuditRow, OutboxRow
from fleet_server.errors import ConflictError
from fleet_server.rollouts import service
from fleet_server.services import directives, roots
from tests.fleet_server.rollouts.fleet import TWO_STAGES, Fleet, running
from tests.fleet_server.world import ACTOR


def test_a_rollout_goes_through_its_stages_by_signed_directives(fleet: Fleet) -> None:
    fleet.add("cam-1", "cam-2", "cam-3")
    old = running(fleet, "1.0.0", counter=1)
    new = fleet.push("2.0.0", counter=2)
    rollout = fleet.start(new, stages=TWO_STAGES)
    (first,) = fleet.having(rollout, "assigned")
    assert first.desired() == bytes.fromhex(new)
    assert {agent.desired().hex() for agent in fleet.having(rollout, "waiting")} == {old}
    with fleet.world.ctx.db.read() as session:
        topics = set(session.exec(select(OutboxRow.topic)))
    assert f"dunlin/v1/{first.name}/dn/desired" in topics

    first.follow()
    fleet.tick(1)
    assert (fleet.state(rollout), fleet.parts(rollout)[first.name]) == ("soaking", "succeeded")
    fleet.tick(30)
    assert len(fleet.having(rollout, "assigned")) == 2
    for agent in fleet.having(rollout, "assigned"):
        agent.follow()
    fleet.tick(1)
    assert fleet.state(rollout) == "completed"
    assert {agent.row().floor for agent in fleet.agents.values()} == {2}
    assert all(agent.device.directive().desired["digits"].floor == 2 for agent in fleet.agents.values())


def test_a_release_that_fails_is_taken_back_from_everyone(fleet: Fleet) -> None:
    fleet.add("cam-1", "cam-2", "cam-3", "cam-4")
    old = running(fleet, "1.0.0")
    bad = fleet.push("3.0.0", counter=3)
    rollout = fleet.start(bad, stages=[{"count": 2, "soak_s": 60}, {"percent": 100}], on_breach="revert")
    good, failing = fleet.having(rollout, "assigned")
    good.follow()
    failing.refuse()
    fleet.tick(1)
    assert fleet.state(rollout) == "reverting"
    assert {agent.desired().hex() for agent in fleet.agents.values()} == {old}
    good.follow()
    failing.set(phase="idle", active=bytes.fromhex(old))
    fleet.tick(1)
    assert fleet.state(rollout) == "reverted"
    assert sorted(fleet.parts(rollout).values()) == ["reverted", "reverted", "waiting", "waiting"]
    assert {agent.row().floor for agent in fleet.agents.values()} == {1}, "only the first rollout raised it"
    with fleet.world.ctx.db.read() as session:
        of_it = select(AuditRow).where(AuditRow.target == f"rollout:{rollout}").order_by(AuditRow.id)
        actions = [row.action for row in session.exec(of_it)]
        reason = service.members(session, service.get(session, rollout), "", 10)
    assert actions == ["rollout.start", "rollout.revert", "rollout.reverted"]
    assert any(part.reason == "rolled-back: latency: p95 12.4 ms is over the budget of 1 ms" for part, _, _ in reason)


def test_the_server_may_stop_anywhere_because_all_of_it_is_in_the_tables(fleet: Fleet) -> None:
    """Every tick loads the rollout anew; nothing lives between two of them."""
    fleet.add("cam-1", "cam-2")
    rollout = fleet.start(fleet.push("1.0.0"), stages=TWO_STAGES)
    fleet.tick(10)
    before = fleet.parts(rollout)
    fleet.tick(0)
    assert fleet.parts(rollout) == before
    seqs = {name: fleet.device_row(name).seq for name in fleet.agents}
    fleet.tick(0)
    assert {name: fleet.device_row(name).seq for name in fleet.agents} == seqs, "looking is not telling"


def test_orders_are_checked_and_written_down(small_fleet: Fleet) -> None:
    fleet = small_fleet
    fleet.add("cam-1", "cam-2")
    rollout = fleet.start(fleet.push("1.0.0"), stages=TWO_STAGES)
    fleet.order(rollout, "pause")
    with pytest.raises(ConflictError, match="cannot pause a rollout that is paused; possible: resume, abort, revert"):
        fleet.order(rollout, "pause")
    fleet.order(rollout, "resume")
    fleet.order(rollout, "abort")
    assert fleet.state(rollout) == "aborted"
    with fleet.world.ctx.db.read() as session:
        rows = session.exec(select(AuditRow).where(AuditRow.target == f"rollout:{rollout}")).all()
    assert [(row.action, row.actor) for row in rows if row.action != "rollout.start"] == [
        ("rollout.pause", ACTOR),
        ("rollout.resume", ACTOR),
        ("rollout.abort", ACTOR),
    ]


def test_a_device_that_claims_to_run_the_unknown_goes_back_to_what_it_was_told(small_fleet: Fleet) -> None:
    """A device may report any digest; only a release of this server can be desired of it."""
    fleet = small_fleet
    fleet.add("cam-1")
    old = running(fleet, "1.0.0")
    agent = fleet.agents["cam-1"]
    agent.set(phase="committed", active=b"\x42" * 32)
    rollout = fleet.start(fleet.push("2.0.0", counter=2), stages=[{"percent": 100, "soak_s": 60}])
    fleet.order(rollout, "revert")
    assert agent.desired() == bytes.fromhex(old)


def test_a_new_epoch_does_not_make_every_device_late(small_fleet: Fleet) -> None:
    """Directives count from 1 again after a root rotation; an answer to the new ones is an answer."""
    fleet, world = small_fleet, small_fleet.world
    (agent,) = fleet.add("cam-1")
    for _ in range(5):
        with world.ctx.db.write() as session:
            directives.issue(session, world.ctx, "cam-1", world.clock.now)
    rollout = fleet.start(fleet.push("1.0.0"))
    assigned = agent.device.row().seq
    with world.ctx.db.write() as session:
        roots.install(session, world.ctx, world.sign_root(version=2, epoch=2), ACTOR, world.clock.now)
    agent.root_version = 2
    agent.report(seq=0)
    assert agent.device.row().epoch == 2
    assert agent.device.row().seq < assigned
    agent.follow()
    fleet.tick(1)
    assert fleet.state(rollout) == "completed"


def test_a_device_that_kept_what_was_taken_back_goes_back_with_the_others(small_fleet: Fleet) -> None:
    fleet = small_fleet
    (agent,) = fleet.add("cam-1")
    old = running(fleet, "1.0.0", counter=1)
    new = fleet.push("2.0.0", counter=2)
    first = fleet.start(new, gate={"min_served": 1000, "min_success": 0})
    agent.follow(served=1)
    agent.connect(False)
    fleet.tick(601)
    fleet.tick(1)
    assert fleet.state(first) == "completed"  # without it: it served too little, and is told to go back, but is away
    agent.connect()
    second = fleet.start(new)
    agent.follow()
    fleet.order(second, "revert")
    assert agent.desired() == bytes.fromhex(old)
