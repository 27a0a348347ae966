"""A release on trial beside the one that serves: real broker, real server, a real agent and its traffic."""

import os
import signal
from pathlib import Path
from typing import Any

from demo.device import Device
from demo.fleet import wait_until
from tests.journeys.world import V1, V2, Watched, World


def part(world: World, rollout: str) -> dict[str, Any]:
    (only,) = world.fleet.api.get(f"/rollouts/{rollout}")["devices"]
    return dict(only)


def compares(world: World, rollout: str) -> None:
    """Wait until the device has the release on trial."""
    first = wait_until("the device tries", lambda: one if (one := part(world, rollout))["state"] != "trying" else None)
    assert first["state"] == "comparing", first


def workers(device: Device) -> list[int]:
    """The device's workers, the youngest last."""
    lines = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in device.pids()}
    return sorted(pid for pid, line in lines.items() if b"fleet_agent.worker" in line)


def test_a_release_is_compared_in_the_shadow_and_then_promoted(world: World) -> None:
    watched = world.watched()
    gate = {"min_pairs": 50, "agreement_min": 0.5, "error_share_max": 0.0}
    stages = [{"percent": 100, "soak_s": 2}]
    rollout = world.roll_out(V2, watched.device, mode="shadow", stages=stages, gate=gate, on_breach="abort")
    compares(world, rollout)
    watched.goes_on()
    done = world.fleet.wait_rollout(rollout, "completed", "aborted", "paused")
    assert (done["state"], done["reason"]) == ("completed", "")
    seen = done["stages"][0]["comparison"]
    assert seen["pairs"] >= 50
    assert seen["agreed"] >= seen["pairs"] / 2
    assert (seen["errors"], seen["candidate_p95_us"] > 0, seen["serving_p95_us"] > 0) == (0, True, True)
    watched.check(V2)
    assert "trial" in {event["code"] for event in world.events(watched.device)}


def test_a_candidate_that_dies_on_trial_ends_the_rollout_and_no_request_fails(world: World) -> None:
    watched = world.watched()
    # The soak outlasts the test: the candidate dies while it is compared, not after it was promoted.
    stages = [{"percent": 100, "soak_s": 3600}]
    rollout = world.roll_out(V2, watched.device, mode="canary", share=0.3, stages=stages, on_breach="abort")
    compares(world, rollout)
    both = answered(watched)
    assert both == {V1, V2}
    os.kill(workers(watched.device)[-1], signal.SIGKILL)
    ended = world.fleet.wait_rollout(rollout, "aborted", "completed")
    assert ended["state"] == "aborted"
    assert f"{watched.device.name}: refused: crash: the worker died" in ended["reason"]
    # What the device said of it is in the events, for good.
    assert world.wait_event(watched.device, "update-refused", "crash")["release"] == world.releases[V2]
    watched.check(V1)
    assert part(world, rollout)["state"] in ("failed", "reverted")


def answered(watched: Watched) -> set[str]:
    """Versions that answer the device's 450 test images."""
    return {answer.version for answer in watched.device.answers()}
