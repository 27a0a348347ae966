"""What the front keeps of requests that a candidate answers otherwise: one at a time, whole, and only when asked."""

import os
from collections.abc import Callable

import numpy as np
import pytest

from dunlin_contract.limits import LIMITS
from dunlin_contract.results import Result
from fleet_agent import captured, frames
from fleet_agent.frames import NO_TIME, Image, Response, Status
from fleet_agent.front.comparison import Comparison, Sample, Shadow
from fleet_agent.front.disagreements import Disagreements
from tests.agent.test_worker import tensor

ASKED = [tensor("x", np.array([[1, 2, 3, 4]], "float32"))]


def answer(*values: float, status: Status = Status.SERVED) -> Response:
    outputs = [tensor("y", np.array([values], "float32"))] if status is Status.SERVED else []
    return Response(1, status, NO_TIME, outputs, (), "")


class Desk:
    def __init__(self) -> None:
        self.told: list[dict[str, object]] = []
        self.disagreements = Disagreements(self.told.append)
        self.fd = captured.room()

    def order(self) -> None:
        self.disagreements.order("m", os.dup(self.fd))

    def watch(self, packed: bytes | None = None, served: Response | None = None) -> Callable[[], None]:
        packed = frames.pack_tensors(ASKED) if packed is None else packed
        return self.disagreements.watch("m", 7, served or answer(0, 9, 0, 0), packed)

    def taken(self) -> Result:
        length = self.told[-1]["bytes"]
        assert isinstance(length, int)
        return captured.unpack(self.fd, length)


@pytest.fixture(name="desk")
def _desk() -> Desk:
    return Desk()


def test_without_an_order_nothing_is_kept(desk: Desk) -> None:
    desk.watch()()
    desk.order()
    before = desk.watch()
    desk.disagreements.order("m", None)
    before()
    desk.watch()()
    assert desk.told == []


def test_the_request_and_the_answer_that_went_out_are_kept_one_at_a_time(desk: Desk) -> None:
    desk.order()
    raw = bytearray(answer(0, 9, 0, 0).tensors[0].data)
    served = answer(0, 9, 0, 0)
    served = served._replace(tensors=[served.tensors[0]._replace(data=memoryview(raw))])
    first, second = desk.watch(served=served), desk.watch()
    raw[:] = bytes(16)  # the front's buffer holds something else by then
    first()
    second()
    desk.watch()()
    assert [(one["is"], one["worker"]) for one in desk.told] == [("captured", 7)]
    kept = desk.taken()
    assert (kept.kind, kept.reason) == ("capture", "disagreement")
    assert np.frombuffer(kept.inputs[0].data, "float32").tolist() == [1, 2, 3, 4]
    assert np.frombuffer(kept.outputs[0].data, "float32").tolist() == [0, 9, 0, 0]
    desk.disagreements.freed("m")
    desk.watch()()
    assert len(desk.told) == 2


def test_an_image_is_kept_as_it_came(desk: Desk) -> None:
    desk.order()
    desk.watch(frames.pack_image(Image("image/jpeg", 3, b"picture")))()
    (picture,) = desk.taken().inputs
    assert (picture.name, picture.data) == ("image/jpeg", b"picture")


def test_what_is_too_large_is_told_once(desk: Desk) -> None:
    desk.order()
    large = frames.pack_image(Image("image/jpeg", 0, bytes(LIMITS.result_bytes)))
    desk.watch(large)()
    desk.watch(large)()
    assert desk.told == [{"is": "captured", "worker": 7, "bytes": 0}]
    desk.watch()()
    assert desk.taken().reason == "disagreement"


@pytest.mark.parametrize(
    ("candidate", "disagrees"),
    [
        (answer(0, 9, 0, 0), False),
        (answer(9, 0, 0, 0), True),
        (answer(float("nan"), 0, 0, 0), False),
        (answer(status=Status.FAILED), False),
    ],
)
def test_only_another_largest_element_is_a_disagreement(candidate: Response, disagrees: bool) -> None:
    called: list[int] = []
    Shadow(Comparison(), answer(0, 8, 0, 1), lambda: called.append(1)).answered(candidate)
    assert bool(called) == disagrees


def test_comparing_says_whether_both_agree() -> None:
    compared = Comparison()
    one, other = (Sample(answer(*values).tensors[0]) for values in ((1, 2, 3, 4), (4, 3, 2, 1)))
    assert compared.add(one, one)
    assert not compared.add(one, other)
    assert (compared.pairs, compared.agreed) == (2, 1)
