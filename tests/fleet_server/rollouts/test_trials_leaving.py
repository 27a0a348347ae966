"""What ends a trial besides its rollout: the device is wiped, rejected, or enrolled again with other keys."""

from fleet_server.db.models import DeviceModelRow
from fleet_server.services import enrolment
from tests.fleet_server.rollouts.fleet import Agent, Fleet, running, wipe
from tests.fleet_server.rollouts.test_trials import trial, try_out
from tests.fleet_server.world import ACTOR


def _trying(fleet: Fleet) -> tuple[int, Agent]:
    fleet.add("cam-1")
    running(fleet, "1.0.0", counter=1)
    rollout = fleet.start(fleet.push("2.0.0", counter=2), mode="shadow")
    (agent,) = fleet.agents.values()
    try_out(agent)
    fleet.tick(1)
    assert fleet.parts(rollout) == {"cam-1": "comparing"}
    return rollout, agent


def _row(fleet: Fleet) -> DeviceModelRow:
    with fleet.world.ctx.db.read() as session:
        row = session.get(DeviceModelRow, ("cam-1", "digits"))
    assert row is not None
    return row


def test_a_rejected_device_has_nothing_on_trial(fleet: Fleet) -> None:
    rollout, _ = _trying(fleet)
    ctx = fleet.world.ctx
    with ctx.db.write() as session:
        enrolment.reject(session, ctx, "cam-1", ACTOR, ctx.clock())
    assert _row(fleet).trial is None
    fleet.tick(1)
    assert fleet.parts(rollout) == {"cam-1": "dropped"}


def test_a_wipe_ends_the_trial_and_its_grant(fleet: Fleet) -> None:
    rollout, agent = _trying(fleet)
    wipe(fleet, "cam-1")
    row = _row(fleet)
    assert (row.trial, row.trial_grant, row.trial_grant_release) == (None, None, None)
    assert trial(agent) is None
    fleet.tick(1)
    assert fleet.parts(rollout) == {"cam-1": "dropped"}


def test_a_device_that_enrols_again_with_other_keys_keeps_no_grant_of_a_trial(fleet: Fleet) -> None:
    _trying(fleet)
    assert _row(fleet).trial_grant is not None
    world = fleet.world
    with world.ctx.db.write() as session:
        enrolment.reject(session, world.ctx, "cam-1", ACTOR, world.ctx.clock())
    world.device("cam-1")
    assert _row(fleet).trial_grant is None
