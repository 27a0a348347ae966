"""What the rollout engine speaks of: states, members, facts, the events that come in and the effects that go out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from dunlin_contract.sketch import Sketch
from fleet_server.drift import Drift
from fleet_server.rollouts.spec import RolloutSpec


class State(StrEnum):
    """Where a rollout stands."""

    RUNNING = "running"
    SOAKING = "soaking"
    PAUSED = "paused"
    REVERTING = "reverting"
    REVERTED = "reverted"
    ABORTED = "aborted"
    COMPLETED = "completed"


FINAL = frozenset({State.REVERTED, State.ABORTED, State.COMPLETED})


class Part(StrEnum):
    """Where one device stands in a rollout.

    ``trying``: told to run the release beside the one that serves; ``comparing``: it does.
    """

    WAITING = "waiting"
    OFFLINE = "offline"
    TRYING = "trying"
    COMPARING = "comparing"
    ASSIGNED = "assigned"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REVERTING = "reverting"
    REVERTED = "reverted"
    DROPPED = "dropped"


UNASSIGNED = frozenset({Part.WAITING, Part.OFFLINE})
UNDERWAY = (Part.TRYING, Part.ASSIGNED)
"""Parts that end in time, one way or another, since each has a deadline."""
SETTLED = frozenset({Part.SUCCEEDED, Part.FAILED})


@dataclass(frozen=True, slots=True)
class Member:
    """One device's part. ``stage`` is None until it is assigned; ``previous`` is the release it ran before (hex).

    ``seq`` is the directive that carried the assignment (or the way back): what the device said before it has seen that
    one proves nothing. ``excused`` failures were accepted by the operator who resumed, and no longer count in the gate.
    """

    part: Part = Part.WAITING
    stage: int | None = None
    previous: str | None = None
    seq: int | None = None
    assigned_at: float | None = None
    deadline: float | None = None
    settled_at: float | None = None
    reason: str = ""
    excused: bool = False


@dataclass(frozen=True, slots=True)
class Compared:
    """What a device, or several together, counted of a candidate beside the release that serves, since its trial began.

    The contract's telemetry.Comparison says what each is. ``serving_us``: latency of the release that serves.
    """

    pairs: int = 0
    agreed: int = 0
    errors: int = 0
    shed: int = 0
    candidate_us: Mapping[int, int] = field(default_factory=dict)
    serving_us: Mapping[int, int] = field(default_factory=dict)

    @property
    def requests(self) -> int:
        """Requests that say something of the candidate."""
        return self.pairs + self.errors

    @property
    def candidate_p95_us(self) -> float:
        """The candidate's 95th percentile; 0: nothing was counted."""
        return Sketch(self.candidate_us).quantile(0.95)

    @property
    def serving_p95_us(self) -> float:
        """That of the release that serves, on the same devices."""
        return Sketch(self.serving_us).quantile(0.95)


@dataclass(frozen=True, slots=True)
class Fact:
    """What is known of a device now, for the model that the rollout is about.

    ``eligible``: it may take part (selected, fits, not in another rollout). ``gone``: something stronger than this
    rollout decides what it runs (wiped, rejected). ``heard``: number of the last directive that it says it has seen.
    ``phase`` is one of the contract's PHASES and speaks of ``candidate``; ``active`` is the release that serves (hex).
    ``way_back`` is the release that it would return to if it were assigned now; None: it has none of this model.
    ``tries``: it can hold a candidate beside the release that serves. ``compared``: what it counted, while it
    does; evidence until ``compared_until`` (unix seconds), since who is silent for longer may do otherwise by now.
    ``counts``: it can count for drift; ``drift``: what it counted since the rollout assigned it. ``temperature_c`` was
    measured at ``measured_at`` (unix seconds); None: unknown.
    """

    online: bool = True
    eligible: bool = True
    gone: bool = False
    heard: int = 0
    active: str | None = None
    way_back: str | None = None
    candidate: str | None = None
    phase: str = "idle"
    served: int = 0
    error: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    hardware: str = ""
    tries: bool = False
    compared: Compared = field(default_factory=Compared)
    compared_until: float = 0.0
    counts: bool = False
    drift: Drift = field(default_factory=Drift)
    temperature_c: float | None = None
    measured_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Rollout:
    """A rollout as the engine sees it. ``since`` is when the present state, or its stage, began (unix seconds)."""

    id: int
    spec: RolloutSpec
    counter: int
    state: State = State.RUNNING
    stage: int = 0
    since: float = 0.0
    reason: str = ""
    members: Mapping[str, Member] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observed:
    """What is known of the fleet now. A device without a fact is left as it stands; an empty one is a bare tick.

    ``owed_until``: evidence that is missing may still come until then, since the server has not listened for long.
    """

    facts: Mapping[str, Fact] = field(default_factory=dict)
    owed_until: float = 0.0


class Action(StrEnum):
    """What an operator may order."""

    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"
    ABORT = "abort"
    REVERT = "revert"


@dataclass(frozen=True, slots=True)
class Ordered:
    """An operator's order. ``by`` is who, for the reason that is shown."""

    action: Action
    by: str


Event = Observed | Ordered


@dataclass(frozen=True, slots=True)
class Assign:
    """The device's desired release becomes the rollout's."""

    device: str


@dataclass(frozen=True, slots=True)
class Try:
    """The device runs the rollout's release beside its desired one."""

    device: str


@dataclass(frozen=True, slots=True)
class EndTrial:
    """The device no longer runs the rollout's release beside its desired one."""

    device: str


@dataclass(frozen=True, slots=True)
class Restore:
    """The device's desired release becomes what it had before, and no trial; None: the model leaves the device."""

    device: str
    release: str | None


@dataclass(frozen=True, slots=True)
class RaiseFloor:
    """The device may no longer run a release of this model whose security counter is below ``counter``."""

    device: str
    counter: int


@dataclass(frozen=True, slots=True)
class Announce:
    """Something an operator should hear of.

    ``kind``: stage, soak, promote, pause, resume, abort, revert, complete, reverted.
    """

    kind: str
    text: str


Effect = Assign | Try | EndTrial | Restore | RaiseFloor | Announce
Step = tuple[Rollout, tuple[Effect, ...]]


class NotAllowedNowError(ValueError):
    """The order makes no sense in the rollout's present state; the message says what does."""


ALLOWED: dict[State, tuple[Action, ...]] = {
    State.RUNNING: (Action.PAUSE, Action.ABORT, Action.REVERT),
    State.SOAKING: (Action.PAUSE, Action.PROMOTE, Action.ABORT, Action.REVERT),
    State.PAUSED: (Action.RESUME, Action.PROMOTE, Action.ABORT, Action.REVERT),
    State.REVERTING: (),
    State.REVERTED: (),
    State.ABORTED: (),
    State.COMPLETED: (),
}


def allowed(state: State, *, comparing: bool) -> tuple[Action, ...]:
    """What may be ordered of a rollout; ``comparing``: some of its devices have the release on trial."""
    return tuple(action for action in ALLOWED[state] if comparing or action is not Action.PROMOTE)
