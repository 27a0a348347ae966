"""Two owners order a wipe: the model is gone, a signed receipt says so, and nothing old brings it back."""

import pytest

from demo.board import Simulated
from demo.fleet import DIGITS
from demo.reference import needles
from hil.fleet import V1, V2, Rig, World


@pytest.mark.smoke
def test_wipe(serving: Rig, world: World) -> None:
    board = serving.board
    plain = needles((DIGITS / "models" / "v1-int8.tflite").read_bytes(), 8)
    if isinstance(board, Simulated):
        assert all(piece in board.flash() for piece in plain)
    _, before = serving.directive()

    wipe = world.fleet.draft_wipe(serving.device, "it is lent to somebody")
    world.fleet.sign_wipe(wipe, "ops-1")
    world.fleet.sign_wipe(wipe, "ops-2")
    receipt = world.fleet.wait_wipe(wipe, 60 * board.patience)["receipt"]
    assert [(one["model"], one["releases"]) for one in receipt["erased"]] == [("digits", [world.digests[V1]])]
    assert receipt["canary_unreadable"]
    if isinstance(board, Simulated):
        board.wait("nothing serves", lambda seen: not seen.status.serving)
        flash = board.flash()
        assert not any(piece in flash for piece in plain)
        # It has keys of its own still, but not the one that old grants were for.
        serving.forge(desired=before.desired)
        serving.wait_event("update-refused", "grant-open")
        board.stop()
        board.start()
        board.wait("it runs again", lambda seen: seen.status.device == serving.device)
        assert not board.seen.status.serving
    serving.nothing_lost()


def test_an_order_of_one_owner_wipes_nothing(serving: Rig, world: World) -> None:
    wipe = world.fleet.draft_wipe(serving.device, "only one signs")
    world.fleet.sign_wipe(wipe, "ops-1")
    serving.update(V2)
    assert not world.fleet.api.get(f"/wipes/{wipe}")["receipt"]
    if isinstance(serving.board, Simulated):
        serving.goes_on(world.digests[V2])
