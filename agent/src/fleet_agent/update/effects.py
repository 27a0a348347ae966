"""What is to be done for one model, after the new state is in the journal. Executors do them in order."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """Fetch and verify the manifest and index of ``release``, choose a variant, open the grant."""

    release: bytes


@dataclass(frozen=True, slots=True)
class Download:
    """Bring ``release`` into ``slot``, fetching only what is missing.

    ``recheck``: first check again what the slot already holds, and forget what is damaged.
    """

    slot: str
    release: bytes
    recheck: bool


@dataclass(frozen=True, slots=True)
class CancelFetch:
    """Stop fetching for the candidate; what arrived stays."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Decrypt the release in ``slot`` into sealed memory."""

    slot: str
    run: int


@dataclass(frozen=True, slots=True)
class Load:
    """Give the staged release to a worker."""

    slot: str
    run: int


@dataclass(frozen=True, slots=True)
class Test:
    """Run the golden self-test in the worker."""

    slot: str
    run: int


@dataclass(frozen=True, slots=True)
class Try:
    """Run the tested candidate in ``slot`` beside the release that serves, as the contract's Trial says."""

    slot: str
    run: int
    mode: str
    share: int


@dataclass(frozen=True, slots=True)
class Watch:
    """Judge the release that serves from ``slot`` by its real requests."""

    slot: str
    run: int


@dataclass(frozen=True, slots=True)
class Serve:
    """Let requests go to ``slot`` as soon as its worker is ready, and keep that worker alive."""

    slot: str


@dataclass(frozen=True, slots=True)
class Unserve:
    """Let no request in."""


@dataclass(frozen=True, slots=True)
class Retire:
    """Let the worker of ``slot`` finish what it has and end it."""

    slot: str


@dataclass(frozen=True, slots=True)
class Discard:
    """Delete what ``slot`` holds."""

    slot: str


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete everything of this model, its storage key first."""


@dataclass(frozen=True, slots=True)
class Note:
    """Tell the server: an event, numbered and kept in the same transaction as the new state."""

    kind: str
    release: bytes | None
    code: str
    text: str


Effect = (
    Plan
    | Download
    | CancelFetch
    | Stage
    | Load
    | Test
    | Try
    | Watch
    | Serve
    | Unserve
    | Retire
    | Discard
    | Remove
    | Note
)
