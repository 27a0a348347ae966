"""Memory of the agent after 1,000 swaps against its memory after 10, and what a client without pauses saw meanwhile.

Usage: ``python benchmarks/swaps.py [SWAPS]``. Goals: 1.05 times at most; no request fails or gets another's answer.
"""

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.agent.kill.swaps import swap

EARLY = 10
GOAL = 1.05


def main() -> int:
    """Swap, measure and print."""
    swaps = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    seen: dict[int, dict[str, int]] = {}
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dunlin-bench-") as folder:
        client = swap(
            Path(folder), swaps, {mark: lambda kib, mark=mark: seen.update({mark: kib}) for mark in (EARLY, swaps)}
        )
    took = time.monotonic() - began
    print(
        f"{swaps} swaps of a LiteRT model in {took:.0f} s; {client.asked} requests, {len(client.wrong)} of them wrong"
    )
    for mark, kib in seen.items():
        parts = ", ".join(f"{name} {size / 1024:.1f}" for name, size in sorted(kib.items()))
        print(f"  after {mark:>5}  {sum(kib.values()) / 1024:6.1f} MiB  ({parts})")
    ratio = sum(seen[swaps].values()) / sum(seen[EARLY].values())
    print(f"  ratio {ratio:.3f}, goal {GOAL}")
    return 0 if ratio <= GOAL and not client.wrong else 1


if __name__ == "__main__":
    sys.exit(main())
