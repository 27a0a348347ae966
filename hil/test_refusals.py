"""Releases that a board cannot take: the server says so before a rollout, the board itself if it is told to anyway."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from demo.api import ApiError
from demo.board import Simulated
from demo.fleet import DIGITS
from hil import releases
from hil.fleet import V1, V2, Build, Rig, World
from hil.releases import Release, digits

PADDING_BYTES = 200_000
MODEL_V2 = DIGITS / "models" / "v2-int8.tflite"


@dataclass(frozen=True, slots=True)
class Refusal:
    """``words``: of a board that cannot take the release, though it can take 1.0.0; ``reason``: what all say of it."""

    release: Callable[[World], Release]
    reason: str
    build: Build | None = None
    words: tuple[tuple[str, int], ...] = ()


def padded(world: World) -> Release:
    """The second network with so much behind it that no small slot holds it."""
    model = world.fleet.directory / "recipes" / "padded.tflite"
    model.write_bytes(MODEL_V2.read_bytes() + bytes(PADDING_BYTES))
    return digits("2.1.0", 2, world.hardware, model=model)


def other_operator(world: World) -> Release:
    """The second network with an operator that the firmware was not built with."""
    model = releases.with_relu(MODEL_V2, world.fleet.directory / "recipes" / "op.tflite")
    return digits("2.3.0", 2, world.hardware, model=model)


REFUSALS = {
    "wrong hardware": Refusal(lambda _: digits("2.4.0", 2, ["somebody-elses-board"]), "hardware class"),
    "larger than the slot": Refusal(padded, "flash", words=(("slot", 65536),)),
    "arena too small": Refusal(
        lambda world: digits("2.2.0", 2, world.hardware, arena_kib=96), "arena", words=(("arena", 65536),)
    ),
    "operator missing": Refusal(other_operator, "missing: RELU"),
    "plaintext in flash refused": Refusal(
        lambda world: digits("2.5.0", 2, world.hardware, stores=("locked", "no-swap")),
        "accepts no model in plain-flash",
        build=releases.build_unchecked,
    ),
}


@pytest.mark.parametrize(
    "why", [pytest.param(why, marks=[pytest.mark.smoke] if why == "wrong hardware" else []) for why in REFUSALS]
)
def test_refused(rig: Rig, world: World, why: str, pytestconfig: pytest.Config) -> None:
    refusal = REFUSALS[why]
    if refusal.words and not isinstance(rig.board, Simulated):
        pytest.skip(f"{rig.board.name} is a real board: its memory is what it is")
    if why == "operator missing" and not pytestconfig.getoption("--tflm-root"):
        pytest.skip("a lent TFLM has every operator: give --tflm-root")
    if isinstance(rig.board, Simulated):
        rig.board.words.update(refusal.words, predict=1)
    rig.board.start()
    rig.enrol()
    rig.update(V1)
    release = world.release(refusal.release(world), refusal.build)

    with pytest.raises(ApiError, match=refusal.reason):
        rig.roll_out(release)
    version = next(version for version, digest in world.digests.items() if digest == release)
    rig.forge(desired={rig.model: rig.desired(world.bundles[version], world.root(), world.fleet.keys_dir)})
    event = rig.wait_event("update-refused", "no-variant")
    assert event["release"] == release
    assert refusal.reason in event["text"]
    if isinstance(rig.board, Simulated):
        rig.goes_on(world.digests[V1])
    rig.update(V2)
    rig.nothing_lost()
