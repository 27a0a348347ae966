"""A board becomes a device of the fleet, once, through its gateway."""

import pytest

from demo.board import Simulated
from demo.programs import ProgramError
from hil.fleet import GATEWAY, V1, Rig, World
from hil.targets.base import Target


@pytest.mark.smoke
def test_enrol(enrolled: Rig) -> None:
    enrolled.online()
    enrolled.wait("its first report", lambda: enrolled.known()["reported_at"])
    known = enrolled.known()
    assert (known["kind"], known["gateway"]) == ("microcontroller", GATEWAY)
    about = known["description"]
    assert about["hardware_class"] == enrolled.board.hardware_class
    assert about["tier"] == {"keystore": "flash", "model_store": "plain-flash"}
    assert [one["name"] for one in about["runtimes"]] == ["tflm"]
    assert about["arena_bytes"] > 0
    assert about["flash_bytes"] > 0
    assert known["certificate_not_after"] is None
    assert known["models"] == {}


def test_a_board_enrols_once(enrolled: Rig) -> None:
    with pytest.raises(ProgramError, match=f"is enrolled already as {enrolled.device}"):
        enrolled.enrol()


def test_a_forgotten_claim_is_of_no_use(rig: Rig) -> None:
    """The reset button while it enrols: the next claim does it."""
    rig.board.start()
    rig.line.wait(lambda heard: bool(heard.hellos))
    if not rig.board.has_power_switch:
        pytest.skip(f"{rig.board.name} cannot be switched off from here")
    rig.board.stop()
    rig.board.start()
    rig.enrol()
    rig.online()


def test_boards_behind_one_gateway_do_not_mix(simulated: Rig, world: World, target: Target) -> None:
    """A second board of the same kind gets its own release, and the first never hears of it."""
    board = target.board(simulated.simulated.directory.with_name("second"))
    assert isinstance(board, Simulated)
    board.prepare()
    board.words["predict"] = 1
    try:
        with world.rig(board) as second:
            board.start()
            second.enrol()
            second.update("2.0.0")
            simulated.goes_on(world.digests[V1])
            assert simulated.believed()["active"] == world.digests[V1]
            assert simulated.simulated.seen.status.device != board.seen.status.device
            second.nothing_lost()
    finally:
        board.close()
