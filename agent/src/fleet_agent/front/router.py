"""Which worker serves which model. A route moves in one assignment, so every request sees the old or the new worker."""

import asyncio
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeAlias

from dunlin_contract.manifest import Io
from fleet_agent.frames import SERVED, Response, Status
from fleet_agent.front.comparison import Comparison, Trial, shadow
from fleet_agent.front.errors import HttpError
from fleet_agent.front.exchange import Exchange
from fleet_agent.front.limits import Limits
from fleet_agent.front.link import Link
from fleet_agent.front.rate import Rate
from fleet_agent.front.statistics import Ledger

_TRIES = 2
Key: TypeAlias = tuple[str, str, bytes]
_STATUS = {Status.REFUSED: 400, Status.FAILED: 500, Status.LACKING: 501}


@dataclass(slots=True)
class Worker:
    """A model version that a process serves.

    ``batch``: rows that it runs together at most, 1 for a model that cannot. ``labels``: names of its classes.
    ``way``: how it runs its release, if not the usual way.
    """

    id: int
    model: str
    version: str
    release: bytes
    runtime: str
    io: Io
    link: Link
    ledger: Ledger
    labels: tuple[str, ...] = ()
    batch: int = 1
    draining: bool = False
    way: str = ""

    @property
    def key(self) -> Key:
        """The same for all workers of one release of a model."""
        return self.model, self.version, self.release

    @property
    def header(self) -> bytes:
        """What names its release in the head of an answer: two releases may bear one version."""
        return b"dunlin-release: %b\r\n" % self.release.hex().encode()

    @property
    def usable(self) -> bool:
        """New requests may be sent to it."""
        return not self.link.lost and not self.draining


@dataclass(slots=True)
class Route:
    """Where requests for a model go, and those that wait for a lost worker's successor, each with its time-out."""

    worker: Worker
    waiting: "dict[Inference, asyncio.TimerHandle]" = field(default_factory=dict)


class Listener(Protocol):
    """Who hears of workers: the control loop."""

    def changed(self, worker: Worker) -> None:
        """Its statistics have changed."""

    def lost(self, worker: Worker) -> None:
        """Its data socket broke."""

    def hung(self, worker: Worker) -> None:
        """It took too long over a request: it must be replaced."""

    def disagreement(self, worker: Worker, served: Response, packed: bytes) -> Callable[[], None]:
        """What to call if a candidate answers the request otherwise than ``worker`` did."""

    def drained(self, worker: Worker) -> None:
        """It was detached, and its last request is answered."""


class Job(Protocol):
    """A request as its path understands it: what it asks of a worker, and how the answer is written."""

    model: str
    version: str | None
    timeout_s: float | None
    exchange: Exchange

    def packed(self, worker: Worker) -> bytes:
        """The request for this worker, as frames has it after its id. Raises HttpError: 400."""

    def rows(self, worker: Worker) -> int:
        """How many inferences of the model it asks for."""

    def finish(self, worker: Worker, response: Response) -> None:
        """Answer, now or soon; the response's tensors are valid only during the call. Raises HttpError."""


class Router:
    """Workers and routes."""

    def __init__(self, limits: Limits, listener: Listener) -> None:
        self._limits = limits
        self._listener = listener
        self._workers: dict[int, Worker] = {}
        self._routes: dict[str, Route] = {}
        self._trials: dict[str, Trial] = {}
        self._ledgers: dict[Key, Ledger] = {}
        self.rate = Rate()

    # orders of the supervisor

    async def attach(self, order: Mapping[str, Any], sock: socket.socket, labels: tuple[str, ...] = ()) -> None:
        """Take the front's end of a worker's data socket; ``order`` says what the worker is."""
        number, model, version, release = order["worker"], order["model"], order["version"], order["release"]
        before = self._workers.pop(number, None)
        if before:
            before.link.close()
        link = Link(self._limits, lambda: self._changed(worker), lambda: self._lost(worker), lambda: self._hung(worker))
        ledger = self._ledgers.setdefault((model, version, release), Ledger(model, version))
        ledger.load_ms, ledger.rss = order.get("load_ms", 0), order.get("rss", 0)
        io = Io.from_cbor(order["io"])
        worker = Worker(number, model, version, release, order["runtime"], io, link, ledger, labels)
        worker.way = order.get("way", "")
        # Nobody may find it before it can be written to: a copy of what serves already is asked at once.
        await asyncio.get_running_loop().create_connection(lambda: link, sock=sock)
        self._workers[number] = worker

    def batch(self, number: int, rows: int) -> None:
        """The worker was found to run up to ``rows`` rows together."""
        if number in self._workers:
            self._workers[number].batch = rows

    def route(self, model: str, number: int) -> None:
        """New requests for ``model`` go to that worker from now on."""
        worker = self._workers[number]
        if self._trial_of(worker) is not None:
            del self._trials[model]  # promoted
        before = self._routes.get(model)
        self._routes[model] = Route(worker)
        self._moved(before)
        self._forget_ledgers()

    def unroute(self, model: str) -> None:
        """The model is not served any more."""
        self._moved(self._routes.pop(model, None))
        self._forget_ledgers()

    def try_beside(self, number: int, mode: str, share: int) -> None:
        """Run that worker beside the one that its model is routed to, until it is routed to or detached."""
        worker = self._workers[number]
        self._trials[worker.model] = Trial(worker, mode, share)

    def comparison(self, worker: Worker) -> Comparison | None:
        """What was counted of a worker on trial."""
        trial = self._trial_of(worker)
        return trial.comparison if trial is not None and trial.mode != "standby" else None

    def detach(self, number: int) -> None:
        """Let the worker finish what it has, then close its socket and say so."""
        worker = self._workers.get(number)
        if worker:
            worker.draining = True
            if self._trial_of(worker) is not None:
                del self._trials[worker.model]
            self._close_if_drained(worker)

    # questions of the API

    def find(self, model: str, version: str | None) -> Worker:
        """The worker that ``model`` is routed to, or the least busy of its copies.

        Raises:
            HttpError: 404, there is no such model, or it serves another version.
        """
        route = self._routes.get(model)
        if route is None:
            raise HttpError(404, f"this device serves no model {model[:64]!r}; POST /v2/repository/index lists them")
        if version is not None and version != route.worker.version:
            raise HttpError(404, f"model {model!r} serves version {route.worker.version}, not {version[:64]!r}")
        if route.worker.usable and not route.worker.link.outstanding:
            return route.worker  # none is less busy
        usable = [worker for worker in self.copies(route.worker) if worker.usable]
        return min(usable, key=_outstanding) if usable else route.worker

    def copies(self, worker: Worker) -> list[Worker]:
        """All workers that run the same release of a model the same way, itself among them while it is attached."""
        return [other for other in self._workers.values() if (other.key, other.way) == (worker.key, worker.way)]

    def routed(self) -> list[Worker]:
        """The serving worker of each model, by the model's name."""
        return [self.find(model, None) for model in sorted(self._routes)]

    def ledgers(self) -> list[Ledger]:
        """What was counted of each version that is there, by model and version."""
        return sorted(self._ledgers.values(), key=lambda ledger: (ledger.model, ledger.version))

    def pending(self, ledger: Ledger) -> int:
        """Requests that the workers of a version have not answered yet."""
        return sum(worker.link.outstanding for worker in self._workers.values() if worker.ledger is ledger)

    def split(self, model: str, version: str | None) -> Trial | None:
        """The trial whose candidate is to answer the request at hand: never one that asks for a version."""
        trial = self._trials.get(model)
        if trial is None or trial.mode != "split" or version is not None or not trial.takes():
            return None
        if not trial.worker.usable:
            return None
        if trial.worker.link.outstanding >= self._limits.queued_requests:
            trial.comparison.shed += 1
            return None
        return trial

    def shadowed(self, worker: Worker) -> Trial | None:
        """The trial whose candidate gets copies of what this worker answers."""
        trial = self._trials.get(worker.model)
        return trial if trial is not None and trial.mode == "shadow" and trial.worker.key != worker.key else None

    def shadow(self, worker: Worker, response: Response, packed: bytes) -> None:
        """A request was answered by ``worker``, and the answer went out: send a copy on, if it is to be."""
        trial = self.shadowed(worker)
        if trial is not None and packed and response.status is Status.SERVED:
            same = self.copies(worker)
            candidate = trial.worker
            # One that runs is no queue; one that waits is, and the candidate would take its processor.
            busy = sum(map(_outstanding, same)) > len(same)
            watch = partial(self._listener.disagreement, worker, response, packed)
            shadow(trial, response, packed, busy=busy, changed=lambda: self._changed(candidate), disagreed=watch)

    def made_up_for(self, trial: Trial, response: Response) -> None:
        """What the candidate of a split did not serve has run on the release that serves.

        Only what that one serves was the candidate's fault: a damaged picture is not.
        """
        if response.status is Status.SERVED:
            trial.comparison.errors += 1
            self._changed(trial.worker)

    def _trial_of(self, worker: Worker) -> Trial | None:
        trial = self._trials.get(worker.model)
        return trial if trial is not None and trial.worker is worker else None

    def wait(self, inference: "Inference") -> None:
        """Start ``inference`` again when the supervisor has named a successor for the model's lost worker.

        Raises:
            HttpError: 503, as many wait already as may.
        """
        model = inference.job.model
        waiting = self._routes[model].waiting
        if len(waiting) >= self._limits.queued_requests:
            raise HttpError(503, f"model {model!r} is being restarted and requests wait already; try again")
        give_up = asyncio.get_running_loop().call_later(self._limits.reroute_s, self._give_up, waiting, inference)
        waiting[inference] = give_up

    def _give_up(self, waiting: "dict[Inference, asyncio.TimerHandle]", inference: "Inference") -> None:
        del waiting[inference]
        inference.fail("BACKEND", HttpError(503, f"model {inference.job.model!r} stopped; try again"))

    def _moved(self, route: Route | None) -> None:
        for inference, give_up in list(route.waiting.items() if route else ()):
            give_up.cancel()
            inference.start()

    def _changed(self, worker: Worker) -> None:
        self._listener.changed(worker)
        self._close_if_drained(worker)

    def _lost(self, worker: Worker) -> None:
        worker.ledger.lost += 1
        self._listener.lost(worker)
        self._close_if_drained(worker)

    def _hung(self, worker: Worker) -> None:
        worker.ledger.hung += 1
        self._listener.hung(worker)

    def _close_if_drained(self, worker: Worker) -> None:
        if worker.draining and (worker.link.idle or worker.link.lost) and worker.id in self._workers:
            del self._workers[worker.id]
            worker.link.close()
            self._listener.drained(worker)
            self._forget_ledgers()

    def _forget_ledgers(self) -> None:
        """A version that is neither loaded nor waited for is gone, and its numbers with it."""
        kept = [*self._workers.values(), *(route.worker for route in self._routes.values())]
        known = {worker.key for worker in kept}
        self._ledgers = {key: ledger for key, ledger in self._ledgers.items() if key in known}


class Inference:
    """One request on its way. When its worker is lost it runs on the next one: inference is idempotent."""

    def __init__(self, router: Router, job: Job) -> None:
        self.job = job
        self._router = router
        self._losses = 0
        self._worker: Worker | None = None
        self._trial: Trial | None = None
        self._spared = False
        self._unserved: Trial | None = None
        self._packed = b""
        self._admitted = False

    def start(self) -> None:
        """Send it to the worker of the moment, or wait a little for a lost one's successor."""
        self.job.exchange.attempt(self._start)

    def _start(self) -> None:
        job = self.job
        serving = self._router.find(job.model, job.version)
        if not self._admitted:
            self._admit(serving)
        self._trial = None if self._spared else self._router.split(job.model, job.version)
        if self._trial is not None:
            try:
                self._send(self._trial.worker)
            except HttpError:
                self._spare()
            return
        if not serving.usable:
            self._worker = serving
            self._router.wait(self)
            return
        self._send(serving)

    def _admit(self, serving: Worker) -> None:
        """Count the request, once however often it is sent."""
        try:
            self._router.rate.admit(self.job.model)
        except HttpError:
            serving.ledger.failed("REJECTED", self.job.exchange.age_ns)
            raise
        self._admitted = True

    def _send(self, worker: Worker) -> None:
        job = self.job
        self._worker = worker
        packed = job.packed(worker)
        self._packed = packed if self._router.shadowed(worker) is not None else b""
        try:
            worker.link.call(packed, self, job.timeout_s)
        except HttpError:
            worker.ledger.failed("REJECTED", job.exchange.age_ns)
            raise

    def _spare(self) -> None:
        """The candidate on trial did not answer as it should: the release that serves does, and no client notices."""
        self._unserved = self._trial
        self._again()

    def _again(self) -> None:
        self._trial, self._spared = None, True
        self.start()

    def answered(self, response: Response) -> None:
        """See :class:`fleet_agent.front.link.Caller`."""
        self.job.exchange.attempt(self._answer, response)

    def _answer(self, response: Response) -> None:
        # The worker that ran it tells the version, wherever the route points by now.
        worker, job = self._worker, self.job
        assert worker is not None
        if self._trial is not None and not self._trial.answered(response):
            worker.ledger.failed("BACKEND", job.exchange.age_ns)
            self._spare()
            return
        if self._unserved is not None:
            self._router.made_up_for(self._unserved, response)
        if response.status not in SERVED:
            worker.ledger.failed("BACKEND" if response.status is Status.FAILED else "OTHER", job.exchange.age_ns)
            raise HttpError(_STATUS[response.status], response.text)
        if job.exchange.gone:
            worker.ledger.failed("CANCELED", job.exchange.age_ns)
            return
        try:
            job.finish(worker, response)
        except HttpError:
            worker.ledger.failed("OTHER", job.exchange.age_ns)
            raise
        worker.ledger.served(response, job.rows(worker), job.exchange.age_ns)
        self._router.shadow(worker, response, self._packed)

    def lost(self) -> None:
        """See :class:`fleet_agent.front.link.Caller`."""
        if self._trial is not None:
            self._trial.comparison.errors += 1
            self._again()
            return
        self._losses += 1
        if self._losses < _TRIES:
            self.start()
        else:
            model = self.job.model
            self.fail("BACKEND", HttpError(503, f"model {model!r} stopped twice while it ran this request"))

    def overdue(self, *, running: bool) -> None:
        """See :class:`fleet_agent.front.link.Caller`."""
        model = self.job.model
        if self._trial is not None and self.job.timeout_s is None:
            self._trial.comparison.errors += running
            self._again()
        elif running:
            self.fail("BACKEND", HttpError(504, f"model {model!r} did not answer in time"))
        else:
            text = f"the time of this request passed while others were served by model {model!r}"
            self.fail("REJECTED", HttpError(503, text))

    def fail(self, reason: str, error: HttpError) -> None:
        """Answer with an error and count it; ``reason`` is one of ``statistics.REASONS``."""
        if self._worker is not None:
            self._worker.ledger.failed(reason, self.job.exchange.age_ns)
        self.job.exchange.fail(error)


def _outstanding(worker: Worker) -> int:
    return worker.link.outstanding
