"""Orders to keep some of a model's requests, and what is kept: only what two ops keys and this device's owner allow.

An order holds while a directive carries it and until its end. Its workers mark what it picks, one at a time; what comes
is counted against the day's number before it goes to the results' store.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from dunlin_contract.capture import CaptureOrder, check_capture
from dunlin_contract.errors import ContractError
from dunlin_contract.results import Result
from fleet_agent import captured
from fleet_agent.config.capture import Capture
from fleet_agent.errors import StorageError, line
from fleet_agent.results.store import Draft, Refused
from fleet_agent.supervisor.allowance import Allowance
from fleet_agent.supervisor.instance import Instance
from fleet_agent.supervisor.log import log
from fleet_agent.supervisor.loop import Loop
from fleet_agent.supervisor.results import Results
from fleet_agent.supervisor.serving import Serving
from fleet_agent.supervisor.unlocking import Answer, Unlocker

_PRIORITY = 5
_RETRY_S = 15.0
_LOOK_S = 600.0
_FULL_S = 60.0


@dataclass(slots=True)
class Parts:
    """What captures work with. ``trying``: whether a model has a candidate on trial; ``tell``: code, text, model."""

    loop: Loop
    unlocker: Unlocker
    serving: Serving
    results: Results
    allowance: Allowance
    device: str
    root_version: Callable[[], int]
    trying: Callable[[str], bool]
    tell: Callable[[str, str, str], None]


@dataclass(slots=True, eq=False)
class _Standing:
    """An envelope that the directive carries. ``order`` is there while it is followed."""

    envelope: bytes
    root_version: int
    order: CaptureOrder | None = None
    room: int | None = None
    told: set[str] = field(default_factory=set)


class Captures:
    """Use it in the loop's thread."""

    def __init__(self, parts: Parts, consent: Capture) -> None:
        self._parts = parts
        self._consent = consent
        self._orders: dict[str, _Standing] = {}
        self.kept: dict[str, int] = {}
        """How many were kept of each model since the agent started."""

    def start(self) -> None:
        """Begin to look at the time."""
        self._parts.loop.after(_LOOK_S, self._look)

    def follow(self, envelopes: Mapping[str, bytes]) -> None:
        """Follow what a directive carries, by model; what it does not carry ends."""
        for model in list(self._orders):
            if envelopes.get(model) != self._orders[model].envelope:
                self._drop(model)
        for model, envelope in envelopes.items():
            if model not in self._orders:
                self._begin(model, envelope)

    def forget(self, model: str) -> None:
        """The model is being wiped. Raises StorageError."""
        self._drop(model)
        self._parts.allowance.forget(model)

    def close(self) -> None:
        """Note how long the agent has run."""
        if self._orders:
            self._note()

    def status(self, model: str) -> dict[str, object]:
        """An order that is followed, for status; empty: there is none."""
        standing = self._orders.get(model)
        if standing is None or standing.order is None:
            return {}
        order = standing.order
        left = self._parts.allowance.left(model, self._per_day(order))
        kept = self.kept.get(model, 0)
        return {"order": order.order_id.hex(), "not_after": order.not_after, "kept": kept, "left_today": left}

    # An order.

    def _begin(self, model: str, envelope: bytes) -> None:
        standing = self._orders[model] = _Standing(envelope, self._parts.root_version())
        if not self._consent.allows(model):
            why = "its [capture] does not name this model" if self._consent.consent else "it has no [capture] consent"
            text = f"an order to keep requests is not followed: agent.toml: {why}"
            self._say(model, standing, "capture-consent", text)
            return
        self._verify(model, standing)

    def _verify(self, model: str, standing: _Standing) -> None:
        ask: dict[str, object] = {"do": "verify", "what": "capture"}
        self._parts.unlocker.ask(ask, partial(self._verified, model, standing), data=standing.envelope)

    def _verified(self, model: str, standing: _Standing, answer: Answer) -> None:
        if self._orders.get(model) is not standing:
            return
        if answer.refused:
            self._refuse(model, standing, f"{answer.text} [{answer.code}]")
            return
        if not answer.ok:
            again = lambda: self._verify(model, standing) if self._orders.get(model) is standing else None  # noqa: E731
            self._parts.loop.after(_RETRY_S, again)
            return
        try:
            order = CaptureOrder.from_bytes(answer.blob())
            check_capture(order, self._parts.device, model)
        except ContractError as error:
            self._refuse(model, standing, f"{error.detail} [{error.rule}]")
            return
        if self._parts.allowance.now >= order.not_after:
            self._refuse(model, standing, "it has ended [expired]")
            return
        standing.order = order
        log(f"{model}: keeps requests by order {order.order_id.hex()}, {self._per_day(order)} a day at most")
        self._parts.loop.after(max(1.0, order.not_after - self._parts.allowance.now), self._end_what_is_over)
        self.apply(model)

    def _refuse(self, model: str, standing: _Standing, why: str) -> None:
        self._withdraw(model, standing)
        self._say(model, standing, "capture-refused", f"an order to keep requests was refused: {why}")

    def _drop(self, model: str) -> None:
        standing = self._orders.pop(model, None)
        if standing is not None:
            self._withdraw(model, standing)

    def _withdraw(self, model: str, standing: _Standing) -> None:
        standing.order = None
        self._stop(model, standing)

    def _stop(self, model: str, standing: _Standing) -> None:
        """Let nobody keep anything, for good or until the next look."""
        self._parts.serving.front.capture(model, None)
        if standing.room is not None:
            os.close(standing.room)
            standing.room = None
        for worker, _ in self._parts.serving.workers(model):
            worker.capture(None)

    def _look(self) -> None:
        """Now and then: the time, a new root whose keys did not sign, room for more since hours have passed."""
        for model, standing in list(self._orders.items()):
            if standing.order is not None and standing.root_version != self._parts.root_version():
                standing.root_version = self._parts.root_version()
                self._verify(model, standing)
            self.apply(model)
        self._end_what_is_over()
        if self._orders:
            self._note()
        self._parts.loop.after(_LOOK_S, self._look)

    def _end_what_is_over(self) -> None:
        for model, standing in self._orders.items():
            if standing.order is not None and self._parts.allowance.now >= standing.order.not_after:
                self._withdraw(model, standing)
                self._say(model, standing, "capture-ended", "an order to keep requests has ended")

    def _note(self) -> None:
        try:
            self._parts.allowance.note()
        except StorageError as error:
            log(str(error))

    def _per_day(self, order: CaptureOrder) -> int:
        return min(order.per_day, self._consent.per_day)

    # Who marks what it picks.

    def apply(self, model: str) -> None:
        """Tell the workers that answer for a model, and the front, what to keep; the others keep nothing."""
        standing = self._orders.get(model)
        order = standing.order if standing is not None else None
        if standing is None or order is None or not self._parts.allowance.left(model, self._per_day(order)):
            return
        kinds = self._consent.kinds
        policy = {
            "random": order.random_permille if "random" in kinds else 0,
            "margin": order.margin_permille if "margin" in kinds else 0,
            "classes": list(order.classes) if "class" in kinds else [],
        }
        for worker, answers in self._parts.serving.workers(model):
            worker.capture(policy if answers and any(policy.values()) else None)
        if order.disagreement and "disagreement" in kinds and standing.room is None:
            standing.room = captured.room()
            self._parts.serving.front.capture(model, standing.room)

    # What they picked.

    def worker_kept(self, worker: Instance, length: int) -> None:
        """A worker that answers has marked a request."""
        self._kept(worker, worker.room, length, partial(worker.ask, {"do": "captured"}))

    def front_kept(self, worker: Instance, length: int) -> None:
        """The front has, since a candidate answered it differently than ``worker``."""
        standing = self._orders.get(worker.model)
        if standing is not None and self._parts.trying(worker.model):
            again = partial(self._parts.serving.front.capture_again, worker.model)
            self._kept(worker, standing.room, length, again)

    def _kept(self, worker: Instance, room: int | None, length: int, again: Callable[[], None]) -> None:
        model = worker.model
        standing = self._orders.get(model)
        order = standing.order if standing is not None else None
        if standing is None or order is None or room is None:
            return
        if not length:
            self._say(model, standing, "capture-too-large", "a request is larger than what the fleet takes of one")
            return
        try:
            result = captured.unpack(room, length)
        except ContractError as error:
            log(f"{model}: what was to be kept is unreadable: {line(str(error))}")
            return
        if result.kind != "capture" or result.reason not in self._consent.kinds:
            return
        self._put(worker, standing, order, result, again)

    def _put(
        self, worker: Instance, standing: _Standing, order: CaptureOrder, result: Result, again: Callable[[], None]
    ) -> None:
        model, allowance = worker.model, self._parts.allowance
        try:
            taken = allowance.take(model, self._per_day(order))
        except StorageError as error:
            log(f"{error}; no requests are kept meanwhile")
            taken = False
        if not taken:
            self._stop(model, standing)
            return

        def told(answer: int | Refused) -> None:
            if isinstance(answer, Refused):
                self._say(model, standing, answer.code, f"a request is not kept: {answer.text}")
                self._parts.loop.after(_FULL_S, again)
                return
            self.kept[model] = self.kept.get(model, 0) + 1
            if allowance.left(model, self._per_day(order)):
                again()
            else:
                self._stop(model, standing)

        release, sides = worker.copy.release, (result.outputs, result.inputs)
        draft = Draft("capture", model, release, *sides, reason=result.reason, priority=_PRIORITY)
        self._parts.results.put(draft, told)

    def _say(self, model: str, standing: _Standing, code: str, text: str) -> None:
        """Once for each order."""
        if code not in standing.told:
            standing.told.add(code)
            log(f"{model}: {text}")
            self._parts.tell(code, line(text), model)
