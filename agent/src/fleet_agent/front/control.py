"""The front's control loop: orders of the supervisor in; losses, drained workers and statistics out."""

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from dunlin_contract.limits import LIMITS as CONTRACT
from fleet_agent import ipc
from fleet_agent.frames import Response
from fleet_agent.front.admission import anyone, tcp
from fleet_agent.front.app import App
from fleet_agent.front.disagreements import Disagreements
from fleet_agent.front.http_server import HttpServer
from fleet_agent.front.limits import LIMITS
from fleet_agent.front.listen import ListenError, bind_tcp, bind_unix
from fleet_agent.front.router import Router, Worker
from fleet_agent.sandbox import enter, profiles
from fleet_agent.sandbox.kernel import SandboxError

_STATISTICS_S = 0.5


class Control:
    """Carries out orders one after the other, so that an attach is done before the route that names it."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._sock.setblocking(False)
        self._parent = os.getppid()
        self._loop = asyncio.get_running_loop()
        self._parts: tuple[Router, HttpServer] | None = None
        self._orders: asyncio.Queue[ipc.Message | None] = asyncio.Queue()
        self._outbox: deque[dict[str, Any]] = deque()
        self._changed: dict[int, Worker] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._disagreements = Disagreements(self._tell)

    async def run(self) -> None:
        """Until the supervisor closes its end."""
        self._loop.add_reader(self._sock, self._read)
        while (order := await self._orders.get()) is not None:
            await self._obey(order.body, order.fds)

    async def _obey(self, body: dict[str, Any], fds: list[int]) -> None:
        match body, fds:
            case {"do": "listen", "host": str(host), "port": int(port), "socket": path}, []:
                await self._listen(host, port, path, body)
            case {"do": "attach", "worker": int()}, [fd, *labels] if len(labels) < 2:
                await self._router.attach(body, socket.socket(fileno=fd), _labels(labels))
            case {"do": "batch", "worker": int(worker), "rows": int(rows)}, []:
                self._router.batch(worker, rows)
            case {"do": "route", "model": str(model), "worker": int(worker)}, []:
                self._router.route(model, worker)
            case {"do": "limit", "per_s": per_s}, [] if per_s is None or isinstance(per_s, float):
                self._router.rate.limit(per_s)
            case {"do": "trial", "worker": int(worker), "mode": str(mode), "share": int(share)}, []:
                self._router.try_beside(worker, mode, share)
            case {"do": "capture", "model": str(model)}, [*room] if len(room) < 2:
                self._disagreements.order(model, room[0] if room else None)
            case {"do": "captured", "model": str(model)}, []:
                self._disagreements.freed(model)
            case {"do": "unroute", "model": str(model)}, []:
                self._router.unroute(model)
            case {"do": "detach", "worker": int(worker)}, []:
                self._router.detach(worker)
            case other:
                raise ipc.IpcError(f"the front has no such order: {other!r:.100}")

    @property
    def _router(self) -> Router:
        if self._parts is None:
            raise ipc.IpcError("the front was not told yet where to listen")
        return self._parts[0]

    async def _listen(self, host: str, port: int, path: str | None, order: dict[str, Any]) -> None:
        token = order.get("token")
        try:
            sockets = [(bind_tcp(host, port, wide=token is not None), tcp(token))]
            if path is not None:
                sockets.append((bind_unix(path), anyone))
        except ListenError as error:
            self._tell({"is": "failed", "code": error.code, "text": str(error)})
            return
        limits = replace(LIMITS, **order.get("limits", {}))
        shared_memory = bool(order.get("shared_memory", True))
        router = Router(limits, self)
        app = App(
            router,
            limits,
            shared_memory=shared_memory,
            connections=lambda: http.connections,
        )
        http = HttpServer(app.handle, limits)
        self._parts = router, http
        for sock, admit in sockets:
            await http.listen(sock, admit)
        try:
            # Its sockets are all there: from here on it opens none, and few files.
            confined = enter.enter(profiles.front(shared_memory), self._parent)
        except SandboxError as error:
            self._tell({"is": "failed", "code": "sandbox", "text": f"the front's sandbox does not work: {error}"})
            return
        port = sockets[0][0].getsockname()[1]
        self._tell({"is": "listening", "port": port, "sandbox": confined.to_map()})

    # what the router tells

    def changed(self, worker: Worker) -> None:
        """Statistics go out together, twice a second, and not at all while nothing happens."""
        self._changed[worker.id] = worker
        if self._timer is None:
            self._timer = self._loop.call_later(_STATISTICS_S, self._tick)

    def lost(self, worker: Worker) -> None:
        self._statistics(worker)
        self._tell({"is": "lost", "worker": worker.id})

    def hung(self, worker: Worker) -> None:
        self._statistics(worker)
        self._tell({"is": "hung", "worker": worker.id})

    def disagreement(self, worker: Worker, served: Response, packed: bytes) -> Callable[[], None]:
        return self._disagreements.watch(worker.model, worker.id, served, packed)

    def drained(self, worker: Worker) -> None:
        self._statistics(worker)
        self._tell({"is": "drained", "worker": worker.id})

    def _tick(self) -> None:
        self._timer = None
        for worker in list(self._changed.values()):
            self._statistics(worker)

    def _statistics(self, worker: Worker) -> None:
        if self._changed.pop(worker.id, None) is None:
            return
        numbers = worker.link.statistics
        message = {
            "is": "stats",
            "worker": worker.id,
            "count": numbers.count,
            "errors": numbers.errors,
            "nonfinite": numbers.nonfinite,
            "sketch": numbers.run_us.counts,
        }
        compared = self._router.comparison(worker)
        if compared is not None:
            message["compared"] = {
                "pairs": compared.pairs,
                "agreed": compared.agreed,
                "errors": compared.errors,
                "shed": compared.shed,
                "latency_us": compared.latency_us.counts,
                "distance": compared.distance.counts,
            }
        self._tell(message)

    # the control socket

    def _read(self) -> None:
        try:
            while True:
                message = ipc.recv(self._sock)
                self._orders.put_nowait(message)
                if message is None:
                    self._loop.remove_reader(self._sock)
                    return
        except BlockingIOError:
            return
        except ipc.IpcError:
            # A supervisor that sends no messages is none.
            self._loop.remove_reader(self._sock)
            self._orders.put_nowait(None)

    def _tell(self, message: dict[str, Any]) -> None:
        self._outbox.append(message)
        self._flush()

    def _flush(self) -> None:
        """A supervisor that is busy for a while loses nothing: what does not fit into its socket waits here."""
        try:
            while self._outbox:
                ipc.send(self._sock, self._outbox[0])
                self._outbox.popleft()
            self._loop.remove_writer(self._sock)
        except BlockingIOError:
            self._loop.add_writer(self._sock, self._flush)
        except ConnectionError:
            os._exit(0)


def _labels(fds: list[int]) -> tuple[str, ...]:
    """The names of a model's classes, one a line, from the file that came with it."""
    if not fds:
        return ()
    with open(fds[0], "rb", buffering=0) as file:
        raw = os.pread(file.fileno(), CONTRACT.labels_bytes, 0)
    return tuple(raw.decode("utf-8", "replace").splitlines())
