"""What the supervisor takes for the front's numbers."""

from typing import Any

import pytest

from fleet_agent import ipc
from fleet_agent.supervisor.front import Compared, Front, Listen, Numbers
from fleet_agent.supervisor.loop import Loop

GOOD: dict[str, Any] = {"is": "stats", "worker": 3, "count": 7, "errors": 1, "nonfinite": 0, "sketch": {40: 6}}
COMPARED = {"pairs": 4, "agreed": 3, "errors": 1, "shed": 2, "latency_us": {9: 4}, "distance": {0: 4}}


class Heard:
    """A listener that keeps numbers; the front tells it nothing else here."""

    def __init__(self) -> None:
        self.numbers: list[tuple[int, Numbers]] = []

    def worker_numbers(self, number: int, numbers: Numbers) -> None:
        self.numbers.append((number, numbers))


def said(body: dict[str, Any]) -> list[tuple[int, Numbers]]:
    heard = Heard()
    front = Front(Loop(), Listen("127.0.0.1", 0, None), heard)  # type: ignore[arg-type]
    front._received(ipc.Message(body, []))
    return heard.numbers


def test_numbers_arrive() -> None:
    assert said(GOOD) == [(3, Numbers(7, 1, 0, {40: 6}))]
    compared = Compared(4, 3, 1, 2, {9: 4}, {0: 4})
    assert said(GOOD | {"compared": COMPARED}) == [(3, Numbers(7, 1, 0, {40: 6}, compared))]


@pytest.mark.parametrize(
    "wrong",
    [
        {"sketch": {"a": 1}},
        {"sketch": {10**9: 1}},
        {"sketch": {1: -1}},
        {"sketch": [1]},
        {"count": 2**63},
        {"errors": -1},
        {"nonfinite": 0.5},
        {"compared": COMPARED | {"pairs": "many"}},
        {"compared": COMPARED | {"distance": {-1: 1}}},
    ],
    ids=str,
)
def test_what_is_no_number_does_not_get_into_what_is_judged_and_told(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not a"):
        said(GOOD | wrong)
