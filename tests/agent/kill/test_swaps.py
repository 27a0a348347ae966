"""Swapping releases drops no request, mixes none up, and leaves nothing behind in memory."""

import os
from pathlib import Path

import pytest

from tests.agent.kill.swaps import swap

SOAK = "DUNLIN_SOAK" in os.environ
SWAPS = 1000 if SOAK else 10
GROWN = 1.05

pytestmark = pytest.mark.timeout(7200 if SOAK else 400)


def test_no_request_fails_and_memory_stays(tmp_path: Path) -> None:
    seen: list[dict[str, int]] = []
    client = swap(tmp_path, SWAPS, {10: seen.append, SWAPS: seen.append} if SOAK else {SWAPS: seen.append})
    assert client.wrong == []
    assert client.versions == {"1.0.0", "2.0.0"}
    assert client.asked > SWAPS
    early, late = sum(seen[0].values()), sum(seen[-1].values())
    assert late <= GROWN * early, f"{seen[0]} became {seen[-1]}"
