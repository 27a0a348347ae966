"""What the device remembers about one model; written to the journal before any effect of a change acts."""

from enum import StrEnum

from dunlin_contract.ids import DIGEST_BYTES
from dunlin_contract.limits import LIMITS
from dunlin_contract.schema import Record, at, boolean, format_version, octets, one_of, record, text, uint


class Phase(StrEnum):
    """Where the candidate of one model stands. The names are those of the wire."""

    IDLE = "idle"
    PLANNED = "planned"
    DOWNLOADING = "downloading"
    VERIFIED = "verified"
    STAGED = "staged"
    LOADED = "loaded"
    TESTING = "testing"
    TRIAL = "trial"
    PROBATION = "probation"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled-back"
    REFUSED = "refused"


RUNNING = frozenset({Phase.STAGED, Phase.LOADED, Phase.TESTING, Phase.TRIAL, Phase.PROBATION})
"""Phases in which the candidate has (or is about to have) a process."""

UNDERWAY = RUNNING | {Phase.PLANNED, Phase.DOWNLOADING, Phase.VERIFIED}
"""Phases from which the candidate may still come to serve."""

MODES = ("shadow", "split", "standby")
"""What a candidate beside the desired release does; the contract's Trial says it in full."""

SLOTS = ("a", "b")


class Copy(Record):
    """A release in one slot.

    ``complete``: every byte is there and was checked against the signed Merkle root. ``tested``: it passed its golden
    self-test on this device. ``committed``: it also came through a probation here.
    """

    release: bytes = at(0, octets(DIGEST_BYTES))
    version: str = at(1, text(LIMITS.version_bytes))
    variant: str = at(2, text(24))
    counter: int = at(3, uint(LIMITS.counter))
    complete: bool = at(4, boolean, default=False)
    tested: bool = at(5, boolean, default=False)
    committed: bool = at(6, boolean, default=False)


class State(Record):
    """One model. ``active`` is the slot of the known-good release, ``trial`` that of the candidate once it has one.

    ``failed`` is a release that was refused or rolled back and is not tried again while it stays desired; ``code`` and
    ``text`` say why. ``run`` numbers the attempts to bring a candidate up, so that news of an earlier attempt is told
    from news of this one. ``halted``: the lease ran out and nothing may serve. ``stopped_first``: the known-good
    release was stopped to make room for the candidate.

    ``beside``: the release that a directive wants on trial beside the desired one, with its ``mode`` and ``share``
    (permille of the requests). It is the candidate only while the desired release is active.
    """

    format: int = format_version(default=1)
    phase: str = at(1, one_of(*(phase.value for phase in Phase)), default=Phase.IDLE)
    a: Copy | None = at(2, record(Copy), default=None)
    b: Copy | None = at(3, record(Copy), default=None)
    active: str | None = at(4, one_of(*SLOTS), default=None)
    trial: str | None = at(5, one_of(*SLOTS), default=None)
    desired: bytes | None = at(6, octets(DIGEST_BYTES), default=None)
    candidate: bytes | None = at(7, octets(DIGEST_BYTES), default=None)
    floor: int = at(8, uint(LIMITS.counter), default=0)
    failed: bytes | None = at(9, octets(DIGEST_BYTES), default=None)
    code: str = at(10, text(64), default="")
    text: str = at(11, text(LIMITS.text_bytes), default="")
    run: int = at(12, uint(LIMITS.sequence), default=0)
    repairs: int = at(13, uint(255), default=0)
    restarts: int = at(14, uint(255), default=0)
    halted: bool = at(15, boolean, default=False)
    stopped_first: bool = at(16, boolean, default=False)
    beside: bytes | None = at(17, octets(DIGEST_BYTES), default=None)
    mode: str = at(18, one_of(*MODES), default=MODES[0])
    share: int = at(19, uint(1000, 1), default=1000)

    def copy(self, slot: str | None) -> Copy | None:
        """What ``slot`` holds."""
        return {"a": self.a, "b": self.b}.get(slot or "")

    @property
    def spare(self) -> str:
        """The slot that may be overwritten: never the one of the known-good release."""
        return "b" if self.active == "a" else "a"

    @property
    def on_trial(self) -> bool:
        """The candidate is one to run beside the active release, not to replace it."""
        return self.candidate is not None and self.candidate == self.beside and self.phase in UNDERWAY

    @property
    def serving(self) -> str | None:
        """The slot that requests should go to, if any."""
        if self.halted:
            return None
        if self.phase == Phase.PROBATION:
            return self.trial
        if self.stopped_first:
            return None
        return self.active
