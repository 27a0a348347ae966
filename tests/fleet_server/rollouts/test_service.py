"""Rollouts against real rows: signed directives go out, reports come in, and the tables tell the truth."""

import dataclasses
from typing import Any

import pytest
from sqlmodel import select

from dunlin_contract import cose
from dunlin_contract.cose import Role
from dunlin_contract.fit import RuntimeInfo
from fleet_server.db.models import AuditRow, DeviceModelRow, OutboxRow
from fleet_server.errors import ConflictError, InvalidError, NotFoundError
from fleet_server.rollouts import facts, service
from fleet_server.rollouts.preview import Preview, preview
from fleet_server.rollouts.spec import RolloutSpec
from fleet_server.services import devices, directives, enrolment, roots, wipes
from tests.fleet_server.rollouts.fleet import Fleet
from tests.fleet_server.world import ACTOR, DESCRIPTION

TWO_STAGES = [{"count": 1, "soak_s": 30}, {"percent": 100}]


def running(fleet: Fleet, version: str, counter: int = 1) -> str:
    """A release that every device runs, by a completed rollout."""
    release = fleet.push(version, counter)
    rollout = fleet.start(release)
    for agent in fleet.agents.values():
        agent.follow()
    fleet.tick(1)
    assert fleet.state(rollout) == "completed"
    return release


def forecast(fleet: Fleet, release: str, **body: object) -> Preview:
    ctx = fleet.world.ctx
    with ctx.db.read() as session:
        return preview(session, RolloutSpec.parse({"release": release, **body}), ctx.clock())


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


def test_a_device_is_in_one_rollout_of_a_model_at_a_time(small_fleet: Fleet) -> None:
    fleet = small_fleet
    fleet.add("cam-1", "cam-2")
    first = fleet.start(fleet.push("1.0.0"), selector={"devices": ["cam-1"]})
    second = fleet.push("2.0.0", counter=2)
    plan = forecast(fleet, second)
    assert (plan.matched, plan.eligible) == (2, 1)
    assert [(one.device, one.why, one.reasons) for one in plan.excluded] == [
        ("cam-1", "busy", (f"it takes part in rollout {first}",))
    ]
    other = fleet.start(second)
    assert set(fleet.parts(other)) == {"cam-2"}
    fleet.start(fleet.push("1.0.0", name="faces"))


def test_the_preview_says_who_is_left_out_and_why(small_fleet: Fleet) -> None:
    fleet = small_fleet
    old = fleet.push("1.0.0", counter=1)
    fleet.add("has-new", "floored", "plain")
    new = running(fleet, "2.0.0", counter=2)
    old_runtime = dataclasses.replace(DESCRIPTION, runtimes=(RuntimeInfo(name="litert", version=(2, 0, 0)),))
    fleet.add("no-runtime", description=old_runtime)
    fleet.add("fresh", "away")
    fleet.agents["away"].connect(False)
    plan = forecast(fleet, new)
    assert {one.device: one.why for one in plan.excluded} == {
        "has-new": "already",
        "floored": "already",
        "plain": "already",
        "no-runtime": "unfit",
    }
    assert [one.reasons for one in plan.excluded if one.device == "no-runtime"] == [
        ("onnx-int8: runtime onnxruntime is not installed",)
    ]
    assert (plan.matched, plan.eligible, plan.offline) == (6, 2, ("away",))
    assert plan.bytes_total == 2 * plan.bytes_per_device["onnx-int8"] > 2 * 2000
    downgrade = forecast(fleet, old)
    lines = {one.device: one.reasons[0] for one in downgrade.excluded if one.why == "floor"}
    assert set(lines) == {"has-new", "floored", "plain"}
    assert lines["plain"] == "security counter 1 is below its floor 2: build the release with a higher one"


def test_what_cannot_work_is_refused_before_it_starts(small_fleet: Fleet) -> None:
    fleet = small_fleet
    release = fleet.push("1.0.0")
    with pytest.raises(InvalidError, match="no active device matches"):
        fleet.start(release)
    fleet.add("cam-1", "cam-2", "cam-3")
    with pytest.raises(InvalidError, match="stage 1 would starve: the gate waits for 2 devices"):
        fleet.start(release, stages=TWO_STAGES, gate={"min_samples": 2})
    with pytest.raises(NotFoundError, match="there is no release"):
        fleet.start("0" * 64)
    fleet.world.clock.now += 10**7
    with pytest.raises(InvalidError, match="past its not-after"):
        fleet.start(release)


def test_stages_are_forecast_as_running_totals(small_fleet: Fleet) -> None:
    fleet = small_fleet
    fleet.add("a", "b", "c", "d", tags={"ring": "late"})
    fleet.add("e", tags={"ring": "canary"})
    stages = [{"selector": {"tags": {"ring": "canary"}}}, {"percent": 40}, {"percent": 41}, {"count": 4, "soak_s": 9}]
    plan = forecast(fleet, fleet.push("1.0.0"), stages=stages)
    assert [(one.adds, one.total) for one in plan.stages] == [(1, 1), (1, 2), (1, 3), (1, 4)]
    assert plan.warnings == ("1 devices stay without it: the last stage does not take everyone",)
    assert plan.at_least_s == 9


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


def test_late_comers_get_what_their_fleet_runs(fleet: Fleet) -> None:
    fleet.add("cam-1")
    release = running(fleet, "1.0.0")
    (late,) = fleet.add("cam-2")
    fleet.tick(1)
    assert late.desired() == bytes.fromhex(release)
    late.follow()
    fleet.tick(1)
    assert late.row().floor == 1
    seq = fleet.device_row("cam-2").seq
    fleet.tick(1)
    assert fleet.device_row("cam-2").seq == seq


def test_the_newest_rollout_that_selects_a_late_comer_decides(small_fleet: Fleet) -> None:
    fleet = small_fleet
    fleet.add("cam-1")
    general = running(fleet, "1.0.0")
    fleet.add("lab-1", tags={"site": "lab"})
    fleet.tick(1)
    fleet.agents["lab-1"].follow()
    fleet.tick(1)
    special = fleet.push("2.0.0", counter=2)
    rollout = fleet.start(special, selector={"tags": {"site": "lab"}})
    fleet.agents["lab-1"].follow()
    fleet.tick(1)
    assert fleet.state(rollout) == "completed"
    (late_lab,) = fleet.add("lab-2", tags={"site": "lab"})
    (late,) = fleet.add("cam-2")
    for _ in range(3):
        fleet.tick(1)
    assert late_lab.desired() == bytes.fromhex(special)
    assert late.desired() == bytes.fromhex(general)


def test_no_completed_rollout_undoes_what_was_assigned_after_it(small_fleet: Fleet) -> None:
    fleet = small_fleet
    fleet.add("cam-1")
    running(fleet, "1.0.0")
    (late,) = fleet.add("cam-2")
    newer = fleet.push("2.0.0", counter=2)
    rollout = fleet.start(newer, selector={"devices": ["cam-2"]}, stages=[{"percent": 100, "soak_s": 60}])
    late.follow()
    fleet.tick(1)
    fleet.order(rollout, "abort")
    for _ in range(3):
        fleet.tick(1)
    assert late.desired() == bytes.fromhex(newer), "what has proven itself stays"


def test_of_rollouts_that_ran_side_by_side_the_last_to_end_decides(small_fleet: Fleet) -> None:
    fleet = small_fleet
    fleet.add("cam-1")
    fleet.add("lab-1", tags={"site": "lab"})
    newer = fleet.push("2.0.0", counter=2)
    first = fleet.start(newer, selector={"devices": ["cam-1"]}, stages=[{"percent": 100, "soak_s": 60}])
    fleet.agents["cam-1"].follow()
    fleet.tick(1)
    other = fleet.start(fleet.push("1.0.0"), selector={"tags": {"site": "lab"}})
    fleet.agents["lab-1"].follow()
    fleet.tick(1)
    assert fleet.state(other) == "completed"
    fleet.tick(60)
    assert fleet.state(first) == "completed"
    with fleet.world.ctx.db.write() as session:
        devices.patch(session, "cam-1", {"site": "lab"}, ACTOR, fleet.world.clock.now)
        floored = session.get(DeviceModelRow, ("cam-1", "digits"))
        assert floored is not None
        floored.floor = 0  # as for a release whose counter was not raised: nothing else keeps the older one away
        session.add(floored)
    for _ in range(3):
        fleet.tick(1)
    assert fleet.agents["cam-1"].desired() == bytes.fromhex(newer)


def test_what_the_newest_rollout_cannot_give_no_older_one_gives(small_fleet: Fleet) -> None:
    fleet = small_fleet
    fleet.add("a-1", tags={"ring": "a"})
    fleet.start(fleet.push("1.0.0", counter=2), selector={"tags": {"ring": "a"}})
    fleet.agents["a-1"].follow()
    fleet.tick(1)
    fleet.add("b-1", tags={"site": "b"})
    newest = fleet.start(fleet.push("2.0.0", counter=1), selector={"tags": {"site": "b"}})
    fleet.agents["b-1"].follow()
    fleet.tick(1)
    assert fleet.state(newest) == "completed"
    (both,) = fleet.add("both", tags={"ring": "a", "site": "b"})
    with fleet.world.ctx.db.write() as session:
        session.add(DeviceModelRow(device="both", model="digits", floor=2))
    fleet.tick(1)
    assert both.desired() is None


def test_a_device_wiped_while_it_was_away_gets_nothing_when_it_is_back(small_fleet: Fleet) -> None:
    """Even one that its rollout named: it was named before the wipe."""
    fleet = small_fleet
    _, away = fleet.add("cam-1", "cam-2")
    away.connect(False)
    fleet.start(fleet.push("1.0.0"), selector={"devices": ["cam-1", "cam-2"]})
    fleet.agents["cam-1"].follow()
    fleet.tick(1)
    order = wipe(fleet, "cam-2")
    away.connect()
    away.tell("wiped", receipt=away.device.receipt(order))
    fleet.tick(1)
    assert away.desired() is None


def test_a_device_that_is_tagged_later_joins(small_fleet: Fleet) -> None:
    fleet = small_fleet
    fleet.add("cam-1", tags={"site": "lab"})
    (other,) = fleet.add("cam-2")
    release = fleet.push("1.0.0")
    fleet.start(release, selector={"tags": {"site": "lab"}})
    fleet.agents["cam-1"].follow()
    fleet.tick(1)
    assert other.desired() is None
    with fleet.world.ctx.db.write() as session:
        devices.patch(session, "cam-2", {"site": "lab"}, ACTOR, fleet.world.clock.now)
    fleet.tick(1)
    assert other.desired() == bytes.fromhex(release)


def test_a_wiped_device_drops_out_and_gets_nothing_by_itself(fleet: Fleet) -> None:
    fleet.add("cam-1", "cam-2")
    running(fleet, "1.0.0")
    rollout = fleet.start(fleet.push("2.0.0", counter=2), stages=[{"percent": 100, "soak_s": 100}])
    gone = fleet.agents["cam-1"]
    order = wipe(fleet, "cam-1")
    fleet.tick(1)
    assert fleet.parts(rollout)["cam-1"] == "dropped"
    fleet.agents["cam-2"].follow()
    fleet.tick(1)
    fleet.tick(100)
    assert fleet.state(rollout) == "completed"
    gone.models = {}
    gone.report()
    gone.tell("wiped", receipt=gone.device.receipt(order))
    fleet.tick(1)
    assert gone.desired() is None

    again = fleet.push("3.0.0", counter=3)
    plan = forecast(fleet, again)
    assert [(one.device, one.why) for one in plan.excluded] == [("cam-1", "wiped")]
    fleet.start(again, selector={"devices": ["cam-1"]})
    assert gone.desired() == bytes.fromhex(again)


def test_a_wipe_that_is_signed_while_a_rollout_decides_wins(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """On PostgreSQL the order may be committed between the rollout's look at the fleet and its decision."""
    if fleet.world.ctx.db.is_sqlite:
        pytest.skip("SQLite has one writer: nothing changes while a rollout decides")
    (agent,) = fleet.add("cam-1")
    running(fleet, "1.0.0")
    orders: list[bytes] = []
    look = facts.observe

    def looked(*arguments: Any) -> Any:
        seen = look(*arguments)
        orders.append(wipe(fleet, "cam-1"))
        return seen

    release = fleet.push("2.0.0", counter=2)
    with monkeypatch.context() as patch:
        patch.setattr(facts, "observe", looked)
        fleet.start(release)
    agent.models = {}
    agent.report()
    agent.tell("wiped", receipt=agent.device.receipt(orders[0]))
    fleet.tick(1)
    assert agent.desired() is None


def wipe(fleet: Fleet, device: str) -> bytes:
    """A wipe order of the whole device that both ops keys have signed; its payload."""
    world = fleet.world
    with world.ctx.db.write() as session:
        row = wipes.draft(session, device, None, "", ACTOR, world.clock.now)
    for key in world.ops:
        signature = cose.signature(row.payload, key, Role.WIPE)
        with world.ctx.db.write() as session:
            wipes.add_signature(session, world.ctx, row.id, signature, ACTOR, world.clock.now)
    return row.payload


def test_a_rejected_device_drops_out(small_fleet: Fleet) -> None:
    fleet = small_fleet
    fleet.add("cam-1", "cam-2")
    rollout = fleet.start(fleet.push("1.0.0"))
    with fleet.world.ctx.db.write() as session:
        enrolment.reject(session, fleet.world.ctx, "cam-1", ACTOR, fleet.world.clock.now)
    fleet.agents["cam-2"].follow()
    fleet.tick(1)
    assert fleet.state(rollout) == "completed"
    assert fleet.parts(rollout) == {"cam-1": "dropped", "cam-2": "succeeded"}


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
