"""The front's control loop: orders of the supervisor in; losses, drained workers and statistics out."""

import asyncio
import os
import socket
from collections import deque
from typing import Any

from dunlin_contract.manifest import Io
from fleet_agent import ipc
from fleet_agent.front.app import App
from fleet_agent.front.http_server import HttpServer
from fleet_agent.front.limits import LIMITS, Limits
from fleet_agent.front.listen import ListenError, bind_tcp, bind_unix
from fleet_agent.front.router import Router, Worker

_STATISTICS_S = 0.5


class Control:
    """Carries out orders one after the other, so that an attach is done before the route that names it."""

    def __init__(self, sock: socket.socket, limits: Limits = LIMITS) -> None:
        self._sock = sock
        self._sock.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._router = Router(limits, self)
        self._http = HttpServer(App(self._router, limits).handle, limits)
        self._orders: asyncio.Queue[ipc.Message | None] = asyncio.Queue()
        self._outbox: deque[dict[str, Any]] = deque()
        self._changed: dict[int, Worker] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Until the supervisor closes its end."""
        self._loop.add_reader(self._sock, self._read)
        while (order := await self._orders.get()) is not None:
            await self._obey(order.body, order.fds)

    async def _obey(self, body: dict[str, Any], fds: list[int]) -> None:
        match body, fds:
            case {"do": "listen", "host": str(host), "port": int(port), "socket": path}, []:
                await self._listen(host, port, path)
            case {"do": "attach", "worker": int(worker), "model": str(model), "version": str(version)}, [fd]:
                io, sock = Io.from_cbor(body["io"]), socket.socket(fileno=fd)
                await self._router.attach(worker, model, version, body["release"], body["runtime"], io, sock)
            case {"do": "route", "model": str(model), "worker": int(worker)}, []:
                self._router.route(model, worker)
            case {"do": "unroute", "model": str(model)}, []:
                self._router.unroute(model)
            case {"do": "detach", "worker": int(worker)}, []:
                self._router.detach(worker)
            case other:
                raise ipc.IpcError(f"the front has no such order: {other!r:.100}")

    async def _listen(self, host: str, port: int, path: str | None) -> None:
        try:
            sockets = [bind_tcp(host, port)]
            if path is not None:
                sockets.append(bind_unix(path))
        except ListenError as error:
            self._tell({"is": "failed", "code": error.code, "text": str(error)})
            return
        for sock in sockets:
            await self._http.listen(sock)
        self._tell({"is": "listening", "port": sockets[0].getsockname()[1]})

    # what the router tells

    def changed(self, worker: Worker) -> None:
        """Statistics go out together, twice a second, and not at all while nothing happens."""
        self._changed[worker.id] = worker
        if self._timer is None:
            self._timer = self._loop.call_later(_STATISTICS_S, self._tick)

    def lost(self, worker: Worker) -> None:
        self._statistics(worker)
        self._tell({"is": "lost", "worker": worker.id})

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
        self._tell(
            {
                "is": "stats",
                "worker": worker.id,
                "count": numbers.count,
                "errors": numbers.errors,
                "nonfinite": numbers.nonfinite,
                "sketch": numbers.run_us.counts,
            }
        )

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
