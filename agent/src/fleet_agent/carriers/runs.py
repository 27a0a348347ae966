"""What is asked for at a time over HTTP: chunks that lie one after the other in one payload."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from fleet_agent.carriers.base import Locate, Place

RUN_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Run:
    """Chunks of one payload, end to end: their names, and where each lies."""

    names: tuple[bytes, ...]
    places: tuple[Place, ...]

    @property
    def path(self) -> str:
        """Of the payload on the server (the contract's section 11)."""
        first = self.places[0]
        return f"/device/v1/payloads/{first.release.hex()}/{first.payload}"

    @property
    def first(self) -> int:
        """Its first byte in the payload's ciphertext."""
        return self.places[0].offset

    @property
    def last(self) -> int:
        """Its last byte there."""
        return self.places[-1].offset + self.places[-1].length - 1


def next_run(names: Iterable[bytes], locate: Locate) -> Run | None:
    """The chunks to ask for next: from the first of ``names`` on, as far as those after it follow in the payload, up to
    RUN_BYTES. None: nothing is wanted that could be asked for.
    """
    run: list[tuple[bytes, Place]] = []
    end, size = 0, 0
    for name in names:
        place = locate(name)
        if place is None:
            if run:
                break
            continue
        first = run[0][1] if run else place
        follows = (place.release, place.payload, place.offset) == (first.release, first.payload, end)
        if run and (not follows or size + place.length > RUN_BYTES):
            break
        run.append((name, place))
        end, size = place.offset + place.length, size + place.length
    return Run(tuple(name for name, _ in run), tuple(place for _, place in run)) if run else None


class Asked(Protocol):
    """Whom a fetcher tells; in a thread of its own."""

    def chunk(self, run: Run, number: int, data: bytes) -> None:
        """Bytes where chunk ``number`` of a run should be, as long as it is."""

    def ended(self, run: Run, why: str) -> None:
        """The run is over; ``why`` is empty when all of it came."""


class Fetcher(Protocol):
    """Brings runs, one at a time, without making its caller wait."""

    def fetch(self, run: Run) -> None:
        """Begin a run; the one before has ended."""

    def abort(self) -> None:
        """End the run soon."""

    def close(self) -> None:
        """No more runs."""
