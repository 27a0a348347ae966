"""The agent is killed the moment after (and before) each phase of an update is in its journal, and started again."""

from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from demo.device import traffic
from demo.fleet import wait_until
from dunlin_contract.bundle import BundleFile
from dunlin_contract.envelopes import open_first_root, root_digest
from tests.journeys.world import BULKY, V1, V2, Watched, World, traced

PHASES = ["planned", "downloading", "verified", "staged", "loaded", "testing", "probation", "committed"]
"""The last two end otherwise: a release that was on probation when the power went may be why it went, so the device
goes back to the one it knows; and one that is committed stays."""


@pytest.mark.parametrize("when", ["", "before:"])
@pytest.mark.parametrize("phase", PHASES)
def test_killed_at(world: World, tmp_path: Path, phase: str, when: str) -> None:
    watched = world.watched()
    device = watched.device
    again = watched.unserved()
    device.stop()
    device.start(traced(device, tmp_path, f"{when}{phase}"))
    world.online(device)
    again()
    again = watched.unserved()
    rollout = world.roll_out(V2, device)
    while device.program.running:  # a probation ends by requests; those that the cut drops are not the point here
        with suppress(traffic.TrafficError):
            device.answers()
    assert (tmp_path / f"{device.name}.killed").read_text() == phase

    device.start(traced(device, tmp_path))
    again()
    if (phase == "probation" and not when) or (phase == "committed" and when):
        assert world.wait_event(device, "update-rolled-back")["code"] == "restarted"
        watched.check(V1, phase="rolled-back")
    else:
        world.fleet.wait_rollout(rollout, "completed")
        watched.check(V2)


def test_no_chunk_is_fetched_twice_after_its_receipt_was_journaled(world: World, tmp_path: Path) -> None:
    watched = world.watched()
    device = watched.device
    again = watched.unserved()
    trace = tmp_path / f"{device.name}.trace"
    device.stop()
    device.start(traced(device, tmp_path))
    rollout = world.roll_out(BULKY, device)
    for receipts in (3, 9, 15):
        wait_until(f"{receipts} receipts", lambda least=receipts: _receipts(trace) >= least, pause_s=0.005)
        device.kill()
        with open(trace, "a") as file:
            file.write("cut\n")
        device.start(traced(device, tmp_path))
    again()
    world.fleet.wait_rollout(rollout, "completed")
    watched.check(BULKY)

    leaves = _leaves(world, BULKY)
    held: set[str] = set()
    asked_again = []
    resumed = Counter[str]()
    for line in trace.read_text().splitlines():
        word, *rest = line.split()
        if word == "ask" and rest[0] in held:
            asked_again.append(rest[0])
        elif word == "receipt":
            held.add(leaves[int(rest[2])])
        resumed[word] += 1
    assert asked_again == []
    # A kill between a commit and its line in the trace costs the trace a line, never the journal a receipt.
    assert 15 <= len(held) <= len(leaves)
    assert resumed["cut"] == 3


def _receipts(trace: Path) -> int:
    return trace.read_text().count("receipt") if trace.exists() else 0


def _leaves(world: World, version: str) -> list[str]:
    envelope = (world.fleet.keys_dir / "root.cose").read_bytes()
    root = open_first_root(envelope, root_digest(envelope))
    with BundleFile.open(world.bundles[version], root) as bundle:
        return [leaf.hex() for leaf in bundle.leaves]


def test_killed_while_it_only_serves(world: World) -> None:
    watched: Watched = world.watched()
    again = watched.unserved()
    watched.device.kill()
    watched.device.start()
    again()
    watched.check(V1)
