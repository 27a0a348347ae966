"""What a source gives."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol


def _nothing() -> None:
    return


@dataclass(frozen=True, slots=True)
class Input:
    """One input. ``data`` fetches its bytes; ``done`` is called when every sink has the result. Both may raise
    NeverError.
    """

    name: str
    data: Callable[[], bytes]
    done: Callable[[], None] = _nothing


class Inputs(Protocol):
    """A source that is open."""

    durable: bool
    """Whether an input can be tried again later: what is not taken waits, instead of being lost."""

    def inputs(self) -> Iterator[Input | None]:
        """Inputs as they come; None where there was nothing for a while. Raises SourceError: nothing comes now."""
