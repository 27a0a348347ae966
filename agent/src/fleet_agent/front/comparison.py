"""A candidate on trial against the release that serves: which requests it gets, and how its answers compare.

Nothing here may cost the release that serves anything: a copy of a request is sent on after the answer went out, and
only while the device has nothing better to do.
"""

import struct
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite, prod
from typing import TYPE_CHECKING

from dunlin_contract.sketch import Sketch
from fleet_agent.frames import Response, Status, Tensor
from fleet_agent.front.errors import HttpError

if TYPE_CHECKING:
    from fleet_agent.front.router import Worker

SAMPLED = 4096
"""Elements of an output that are compared at most: of a larger one every n-th."""
_MOST_DISTANCE = 1e12
# Coprime to 1000, so that any 1000 requests in a row visit each number once; and far from its simple fractions, so that
# two cameras that take turns are not told apart by whose turn it is.
_STRIDE = 617


@dataclass(slots=True)
class Comparison:
    """Counts since the trial began; the contract's telemetry.Comparison says what they mean."""

    pairs: int = 0
    agreed: int = 0
    errors: int = 0
    shed: int = 0
    latency_us: Sketch = field(default_factory=Sketch)
    distance: Sketch = field(default_factory=Sketch)

    def add(self, serving: "Sample", candidate: "Sample") -> bool:
        """Two answers to one request: whether they agree. Not finite in both: its inputs were not, nothing is said."""
        if not (serving.finite and candidate.finite):
            return True
        agreed = serving.top == candidate.top
        self.pairs += 1
        self.agreed += agreed
        if len(serving.values) == len(candidate.values):
            self.distance.add(_distance(serving, candidate))
        return agreed


class Sample:
    """Up to SAMPLED elements of a tensor, evenly spread. ``top``: place of the largest in the tensor."""

    __slots__ = ("finite", "top", "values")

    def __init__(self, tensor: Tensor) -> None:
        size = tensor.dtype.bytes
        count = prod(tensor.shape)
        step = max(1, -(-count // SAMPLED))
        form = f"<{tensor.dtype.format}{(step - 1) * size}x"
        taken = count // step * step * size
        self.values = array("d", (value for (value,) in struct.iter_unpack(form, tensor.data[:taken])))
        self.finite = all(map(isfinite, self.values))
        self.top = self.values.index(max(self.values)) * step if self.values and self.finite else 0


def _distance(serving: Sample, candidate: Sample) -> float:
    """Largest absolute difference in millionths of the serving release's largest absolute element."""
    most = max((abs(one - other) for one, other in zip(serving.values, candidate.values, strict=True)), default=0.0)
    if most == 0:
        return 0.0
    scale = max(map(abs, serving.values))
    return min(_MOST_DISTANCE, most / scale * 1e6) if scale else _MOST_DISTANCE


@dataclass(slots=True)
class Trial:
    """A worker beside the one that its model is routed to, and its ``share`` of the requests in permille."""

    worker: "Worker"
    mode: str
    share: int
    comparison: Comparison = field(default_factory=Comparison)
    _turn: int = 0

    def takes(self) -> bool:
        """Whether the request at hand is one of the share: of any 1000 in a row exactly ``share`` are."""
        self._turn = (self._turn + _STRIDE) % 1000
        return self._turn < self.share

    def answered(self, response: Response) -> bool:
        """Count the candidate's own answer to a request (split). False: it is none to give to a client, nor counted."""
        if response.status is not Status.SERVED:
            return False
        self.comparison.pairs += 1
        self.comparison.latency_us.add(response.run_us)
        return True


class Shadow:
    """A copy of a request on its way through the candidate; a :class:`fleet_agent.front.link.Caller`."""

    def __init__(self, comparison: Comparison, served: Response, disagreed: Callable[[], None]) -> None:
        self._comparison = comparison
        self._serving = Sample(served.tensors[0])
        self._disagreed = disagreed

    def answered(self, response: Response) -> None:
        """Compare; a candidate that refuses what the serving release took is as wrong as one that fails."""
        if response.status is not Status.SERVED:
            self._comparison.errors += 1
            return
        self._comparison.latency_us.add(response.run_us)
        if not self._comparison.add(self._serving, Sample(response.tensors[0])):
            self._disagreed()

    def lost(self) -> None:
        """It died, perhaps of this request."""
        self._comparison.errors += 1

    def overdue(self, *, running: bool) -> None:
        """It gave no answer; one that waited behind the request that hangs says nothing."""
        self._comparison.errors += running


def shadow(
    trial: Trial,
    served: Response,
    packed: bytes,
    *,
    busy: bool,
    changed: Callable[[], None],
    disagreed: Callable[[], Callable[[], None]],
) -> None:
    """Give the candidate a copy of a request that was answered, unless that would be at the cost of others.

    ``disagreed`` makes what is called if it answers otherwise; it may keep the answer that went out.
    """
    link = trial.worker.link
    if not trial.worker.usable or not trial.takes():
        return
    if busy or link.outstanding > 1:
        trial.comparison.shed += 1
        changed()
        return
    try:
        link.call(packed, Shadow(trial.comparison, served, disagreed()))
    except HttpError:  # no room: nothing that its client, who has the answer, should hear of
        trial.comparison.shed += 1
        changed()
