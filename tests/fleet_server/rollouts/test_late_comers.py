"""Devices that come, or are tagged, after a rollout has ended: what the newest one that selects them gives."""

from fleet_server.db.models import DeviceModelRow
from fleet_server.services import devices
from tests.fleet_server.rollouts.fleet import Fleet, running
from tests.fleet_server.world import ACTOR


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
