"""Power fails in every single flash operation of an update. After each cut a valid model is in place."""

import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import pytest

from demo.board import CUT, Simulated
from demo.fleet import wait_until
from demo.said import Seen, Status
from dunlin_contract import link
from hil.fleet import V1, V2, Rig, World, same

MOST_OPERATIONS = 1000
PARTS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))


@pytest.mark.smoke
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("part", range(PARTS))
def test_power_cut_at_every_flash_operation(
    simulated: Rig,
    world: World,
    tmp_path: Path,
    part: int,
    record_property: Callable[[str, object], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    board, old, new = simulated.simulated, world.digests[V1], world.digests[V2]
    simulated.nothing_lost()
    board.stop()
    snapshot = tmp_path / "snapshot"
    board.snapshot(snapshot)
    # One update that the server sees. All others begin from the same flash, with a board that is not heard: how many
    # reports it makes, each an operation, would be a matter of time.
    rollout = simulated.roll_out(new)
    board.start()
    simulated.settles(new)
    world.fleet.wait_rollout(rollout, "completed")
    board.stop()
    simulated.line.up = mute
    board.restore(snapshot)
    uncut = run_until_cut_or_committed(board, new)
    board.stop()
    assert uncut is not None

    for number in range(part + 1, MOST_OPERATIONS, PARTS):
        board.restore(snapshot)
        last = run_until_cut_or_committed(board, new, cut=number)
        if last is not None:
            break
        assert (board.ended(), board.seen.cut_at) == (CUT, number), board.log()
        valid_model_is_in_place(board, old, new)
        board.wait("2.0.0 committed after the cut", lambda seen: committed(seen.status, new))
        board.stop()
    board.stop()
    cuts = number - 1
    share = f", of which this is part {part + 1} of {PARTS}" if PARTS > 1 else ""
    record_property("operations of an uncut run", uncut)
    record_property("cuts", cuts)
    with capsys.disabled():
        print(f"\n{board.name}: power cut in each of {cuts} flash operations{share}; an uncut run has {uncut} ", end="")
    assert last == uncut
    assert uncut <= cuts < uncut + PARTS


def mute(message: link.Message) -> Iterable[link.Message]:
    """A gateway that gives, and takes nothing."""
    return () if isinstance(message, link.Up) else (message,)


def run_until_cut_or_committed(board: Simulated, new: str, **words: object) -> int | None:
    """Flash operations until the release was committed; None: power failed before."""
    board.start(**words)

    def over(seen: Seen) -> bool:
        return seen.cut_at is not None or seen.exit_code is not None or committed(seen.status, new)

    board.wait("the cut, or 2.0.0 committed", over)
    return board.seen.status.operations if committed(board.seen.status, new) else None


def committed(status: Status, release: str) -> bool:
    """Whether a release is there to stay."""
    return status.phase == "committed" and same(status.serving, release)


def valid_model_is_in_place(board: Simulated, *releases: str) -> None:
    """Power is back: what it serves is one of these, whole, and passes its self-test."""
    board.start()
    test = board.wait("the self-test after a cut", lambda seen: seen.self_tests[:1])[0]
    assert test["ok"], board.log()
    assert any(same(test["release"], release) for release in releases), board.log()


def test_killed_at_any_moment(simulated: Rig, world: World) -> None:
    """Not at a flash operation: whenever so many bytes have gone over the line."""
    board, old, new = simulated.simulated, world.digests[V1], world.digests[V2]
    rollout = simulated.roll_out(new)
    for count in (3, 9, 15):
        have = len(simulated.line.heard.gets) + count
        wait_until("it asks on", partial(asked, simulated, have), pause_s=0.005)
        board.stop()
        valid_model_is_in_place(board, old, new)
        if committed(board.seen.status, new):
            break
    simulated.settles(new)
    world.fleet.wait_rollout(rollout, "completed")
    simulated.nothing_lost()


def asked(rig: Rig, count: int) -> bool:
    """Whether the board has asked so often."""
    return len(rig.line.heard.gets) >= count
