"""Hardware that fails: a numbered event names the part, and the old model serves."""

import pytest

from demo.fleet import DIGITS
from demo.reference import needles
from hil.fleet import V1, V2, Rig, World, same

SLOT_BYTES = 1 << 20
SECTOR_BYTES = 4096


def test_a_worn_sector_in_the_free_slot(simulated: Rig, world: World) -> None:
    """It claims success and keeps what it held: found before the release is tried."""
    board = simulated.simulated
    model = (DIGITS / "models" / "v1-int8.tflite").read_bytes()
    (piece,) = needles(model, 1)
    at = board.flash().index(piece)
    # The first release that a board gets is in its first slot.
    board.stop()
    board.start(worn=(at + SLOT_BYTES) // SECTOR_BYTES * SECTOR_BYTES)
    simulated.roll_out(world.digests[V2])
    simulated.wait_event("update-refused", "flash")
    simulated.settles(world.digests[V1], "refused")
    simulated.goes_on(world.digests[V1])
    simulated.nothing_lost()


def test_flash_that_cannot_be_written(simulated: Rig, world: World) -> None:
    board = simulated.simulated
    board.stop()
    board.start(readonly=1)
    test = board.wait("the self-test", lambda seen: seen.self_tests[:1])[0]
    assert test["ok"]
    assert same(test["release"], world.digests[V1])
    simulated.roll_out(world.digests[V2])
    simulated.wait_event("device-fault", "flash")
    simulated.goes_on(world.digests[V1])
    board.stop()
    board.start()
    simulated.settles(world.digests[V2])


@pytest.mark.parametrize(
    ("words", "code"),
    [({"entropy": "none"}, "entropy"), ({"clock": "frozen"}, "clock"), ({"clock": "backwards"}, "clock")],
)
def test_a_part_that_fails_while_it_serves(simulated: Rig, world: World, words: dict[str, str], code: str) -> None:
    """It may not be able to tell before the part works again: a signature takes random numbers, a repeat takes time."""
    board = simulated.simulated
    board.stop()
    board.start(**words)
    simulated.goes_on(world.digests[V1])
    board.wait(f"it notices: {code}", lambda seen: code in seen.logs)
    board.stop()
    board.start()
    simulated.wait_event("device-fault", code)
    simulated.update(V2)
    simulated.nothing_lost()


def test_without_entropy_no_keys_are_made(rig: Rig) -> None:
    """Better no device than one whose keys can be guessed."""
    board = rig.simulated
    board.start(entropy="none")
    assert board.ended() == 1
    assert "entropy" in board.log()
    board.start()
    rig.enrol()
