"""What may happen to one model. ``run`` must be the state's for the event to count; others are late and ignored."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Booted:
    """The agent started: no process of an earlier life is there any more."""


@dataclass(frozen=True, slots=True)
class Desired:
    """A directive names ``release`` for this model, with a security floor.

    The floor only rises, except with a ``new_epoch``, which is how a root rotation undoes a stolen director's.
    ``new_grant``: the directive before named the same release with another grant.
    """

    release: bytes
    floor: int
    new_epoch: bool = False
    new_grant: bool = False


@dataclass(frozen=True, slots=True)
class Undesired:
    """A directive no longer names the model: it leaves the device."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A directive names ``release`` as a candidate beside the desired one, in ``mode``, for ``share`` permille.

    ``floor`` and ``new_grant`` as in Desired.
    """

    release: bytes
    floor: int
    mode: str
    share: int
    new_grant: bool = False


@dataclass(frozen=True, slots=True)
class NoTrial:
    """A directive names no candidate beside the desired release."""


@dataclass(frozen=True, slots=True)
class Planned:
    """The candidate's manifest is genuine, a variant fits, its grant opens."""

    release: bytes
    version: str
    variant: str
    counter: int


@dataclass(frozen=True, slots=True)
class PlanRefused:
    """The candidate cannot be had by this device."""

    release: bytes
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Downloaded:
    """Every chunk of the candidate is in its slot and was checked."""

    release: bytes


@dataclass(frozen=True, slots=True)
class DownloadRefused:
    """The slot cannot take the candidate (a full disk)."""

    release: bytes
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Staged:
    """The candidate is decrypted into sealed memory and its SHA-256 is the signed one."""

    run: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """The runtime took the candidate."""

    run: int


@dataclass(frozen=True, slots=True)
class TestStarted:
    """The golden self-test runs."""

    run: int


@dataclass(frozen=True, slots=True)
class TestPassed:
    """The candidate gives the signed outputs for the signed inputs."""

    run: int


@dataclass(frozen=True, slots=True)
class NoRoom:
    """The candidate does not fit into memory beside the release that serves."""

    run: int
    text: str


@dataclass(frozen=True, slots=True)
class TrialFailed:
    """The candidate did not stage, load or pass its test, or died. ``damaged``: the disk holds other bytes."""

    run: int
    code: str
    text: str
    damaged: bool = False


@dataclass(frozen=True, slots=True)
class TrialStable:
    """The candidate has been on trial since the last start for as long as a probation takes."""

    run: int


@dataclass(frozen=True, slots=True)
class ProbationPassed:
    """The candidate served well for as long as was asked."""

    run: int


@dataclass(frozen=True, slots=True)
class ProbationFailed:
    """The candidate broke a limit while it served."""

    run: int
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class ActiveDamaged:
    """The bytes of the known-good release in ``slot`` are no longer the signed ones."""

    slot: str
    text: str


@dataclass(frozen=True, slots=True)
class LeaseEnded:
    """The lease ran out and its action is to stop."""


@dataclass(frozen=True, slots=True)
class LeaseRenewed:
    """A directive renewed the lease."""


Event = (
    Booted
    | Desired
    | Undesired
    | Trial
    | NoTrial
    | Planned
    | PlanRefused
    | Downloaded
    | DownloadRefused
    | Staged
    | Loaded
    | TestStarted
    | TestPassed
    | NoRoom
    | TrialFailed
    | TrialStable
    | ProbationPassed
    | ProbationFailed
    | ActiveDamaged
    | LeaseEnded
    | LeaseRenewed
)
