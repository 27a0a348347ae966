"""Which worker serves which model. A route moves in one assignment, so every request sees the old or the new worker."""

import asyncio
import socket
from dataclasses import dataclass, field
from typing import Protocol

from dunlin_contract.manifest import Io
from fleet_agent import frames
from fleet_agent.frames import Response, Status
from fleet_agent.front.errors import HttpError
from fleet_agent.front.exchange import Exchange
from fleet_agent.front.limits import Limits
from fleet_agent.front.link import Link
from fleet_agent.front.oip import InferRequest, infer_answer

_TRIES = 2


@dataclass(slots=True)
class Worker:
    """A model version that a process serves."""

    id: int
    model: str
    version: str
    release: bytes
    runtime: str
    io: Io
    link: Link
    draining: bool = False

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

    def drained(self, worker: Worker) -> None:
        """It was detached, and its last request is answered."""


class Router:
    """Workers and routes."""

    def __init__(self, limits: Limits, listener: Listener) -> None:
        self._limits = limits
        self._listener = listener
        self._workers: dict[int, Worker] = {}
        self._routes: dict[str, Route] = {}

    # orders of the supervisor

    async def attach(
        self, number: int, model: str, version: str, release: bytes, runtime: str, io: Io, sock: socket.socket
    ) -> None:
        """Take the front's end of a worker's data socket."""
        before = self._workers.pop(number, None)
        if before:
            before.link.close()
        link = Link(self._limits, lambda: self._changed(worker), lambda: self._lost(worker))
        worker = Worker(number, model, version, release, runtime, io, link)
        self._workers[number] = worker
        await asyncio.get_running_loop().create_connection(lambda: link, sock=sock)

    def route(self, model: str, number: int) -> None:
        """New requests for ``model`` go to that worker from now on."""
        worker = self._workers[number]
        before = self._routes.get(model)
        self._routes[model] = Route(worker)
        self._moved(before)

    def unroute(self, model: str) -> None:
        """The model is not served any more."""
        self._moved(self._routes.pop(model, None))

    def detach(self, number: int) -> None:
        """Let the worker finish what it has, then close its socket and say so."""
        worker = self._workers.get(number)
        if worker:
            worker.draining = True
            self._close_if_drained(worker)

    # questions of the API

    def find(self, model: str, version: str | None) -> Worker:
        """The worker that ``model`` is routed to.

        Raises:
            HttpError: 404, there is no such model, or it serves another version.
        """
        route = self._routes.get(model)
        if route is None:
            raise HttpError(404, f"this device serves no model {model[:64]!r}; POST /v2/repository/index lists them")
        if version is not None and version != route.worker.version:
            raise HttpError(404, f"model {model!r} serves version {route.worker.version}, not {version[:64]!r}")
        return route.worker

    def routed(self) -> list[Worker]:
        """The serving worker of each model, by the model's name."""
        return [self._routes[model].worker for model in sorted(self._routes)]

    def wait(self, model: str, inference: "Inference") -> None:
        """Start ``inference`` again when the supervisor has named a successor for the model's lost worker.

        Raises:
            HttpError: 503, as many wait already as may.
        """
        waiting = self._routes[model].waiting
        if len(waiting) >= self._limits.queued_requests:
            raise HttpError(503, f"model {model!r} is being restarted and requests wait already; try again")
        give_up = asyncio.get_running_loop().call_later(self._limits.reroute_s, self._give_up, waiting, inference)
        waiting[inference] = give_up

    def _give_up(self, waiting: "dict[Inference, asyncio.TimerHandle]", inference: "Inference") -> None:
        del waiting[inference]
        inference.exchange.fail(HttpError(503, f"model {inference.model!r} stopped; try again"))

    def _moved(self, route: Route | None) -> None:
        for inference, give_up in list(route.waiting.items() if route else ()):
            give_up.cancel()
            inference.start()

    def _changed(self, worker: Worker) -> None:
        self._listener.changed(worker)
        self._close_if_drained(worker)

    def _lost(self, worker: Worker) -> None:
        self._listener.lost(worker)
        self._close_if_drained(worker)

    def _close_if_drained(self, worker: Worker) -> None:
        if worker.draining and (worker.link.idle or worker.link.lost) and worker.id in self._workers:
            del self._workers[worker.id]
            worker.link.close()
            self._listener.drained(worker)


class Inference:
    """One infer request on its way. When its worker is lost it runs on the next one: inference is idempotent."""

    def __init__(
        self, router: Router, model: str, version: str | None, request: InferRequest, exchange: Exchange
    ) -> None:
        self.model = model
        self.exchange = exchange
        self._router = router
        self._version = version
        self._request = request
        self._losses = 0
        self._worker: Worker | None = None

    def start(self) -> None:
        """Send it to the worker of the moment, or wait a little for a lost one's successor."""
        self.exchange.attempt(self._start)

    def _start(self) -> None:
        self._worker = worker = self._router.find(self.model, self._version)
        if worker.usable:
            worker.link.call(frames.pack_tensors(self._request.arranged(worker.io)), self)
        else:
            self._router.wait(self.model, self)

    def answered(self, response: Response) -> None:
        """See :class:`fleet_agent.front.link.Caller`."""
        self.exchange.attempt(self._answer, response)

    def _answer(self, response: Response) -> None:
        assert self._worker is not None
        if response.status is Status.REFUSED:
            raise HttpError(400, response.text)
        if response.status is Status.FAILED:
            raise HttpError(500, response.text)
        # The version is that of the worker that ran it, wherever the route points by now.
        answer = infer_answer(self.model, self._worker.version, self._request, response.tensors)
        self.exchange.respond(200, *answer)

    def lost(self) -> None:
        """See :class:`fleet_agent.front.link.Caller`."""
        self._losses += 1
        if self._losses < _TRIES:
            self.start()
        else:
            self.exchange.fail(HttpError(503, f"model {self.model!r} stopped twice while it ran this request"))

    def overdue(self) -> None:
        """See :class:`fleet_agent.front.link.Caller`."""
        self.exchange.fail(HttpError(504, f"model {self.model!r} did not answer in time"))
