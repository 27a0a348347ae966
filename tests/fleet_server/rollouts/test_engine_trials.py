"""Releases on trial in the engine: what pauses, orders and deadlines do to devices that try one."""

from dataclasses import replace

from fleet_server.rollouts.terms import State
from tests.fleet_server.rollouts.test_engine import compare_all, trying
from tests.fleet_server.rollouts.world import NEW, OLD, World


def _one_late(count: int = 8) -> tuple[World, str]:
    """All but one of the devices on trial compare."""
    world = trying(count)
    late, *others = world.having("trying")
    for name in others:
        world.devices[name].compare()
    world.look(1)
    return world, late


def test_a_revert_ends_every_trial() -> None:
    world, late = _one_late()
    world.order("revert")
    assert {(one.desired, one.trial) for one in world.devices.values()} == {(OLD, None)}
    assert (len(world.having("reverting")), late in world.having("reverting")) == (4, True)
    world.commit_all()
    world.look(1)
    assert world.rollout.state is State.REVERTED


def test_time_spent_paused_counts_against_no_device_that_begins_its_trial() -> None:
    world, late = _one_late()
    world.order("pause")
    world.look(3600)
    assert world.having("failed") == []
    world.order("resume")
    world.look(1)
    assert world.having("trying") == [late]
    world.look(98)
    assert world.having("failed") == [late]


def test_a_promotion_after_a_pause_takes_up_the_others_where_they_were() -> None:
    world, late = _one_late()
    world.order("pause")
    world.look(3600)
    world.order("promote")
    world.look(1)
    assert (world.rollout.state, world.having("trying"), world.having("failed")) == (State.RUNNING, [late], [])


def test_a_promotion_accepts_the_failures_that_paused_the_rollout() -> None:
    world, late = _one_late()
    world.devices[late].fail("refused")
    world.look(1)
    assert world.rollout.state is State.PAUSED
    world.order("promote")
    world.look(1)
    assert (world.rollout.state, len(world.having("assigned"))) == (State.RUNNING, 3)


def test_a_promoted_device_has_as_long_again_and_is_believed_only_when_it_has_heard_of_it() -> None:
    world = trying()
    compare_all(world)
    world.order("promote")
    names = world.having("assigned")
    for name in names:
        device = world.devices[name]
        # From before: it has run this release by an order that was taken back since.
        device.fact = replace(device.fact, active=NEW, candidate=None, phase="committed")
    world.look(99)
    assert world.having("assigned") == names
    world.commit_all()
    world.look(0.5)
    assert world.having("succeeded") == names
