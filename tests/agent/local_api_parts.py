"""A front and workers as the supervisor would start them: real processes, real sockets, no supervisor."""

import fcntl
import hashlib
import http.client
import itertools
import json
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dunlin_contract.manifest import Io
from fleet_agent import ipc

PATIENCE_S = 30
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


def memfd(data: bytes) -> int:
    """A sealed memfd, as the unlocker makes one."""
    fd = os.memfd_create("model", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, data)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    return fd


class Process:
    """A child of the agent and our end of its control socket."""

    def __init__(self, module: str) -> None:
        self.control, theirs = ipc.pair()
        self.pid = ipc.spawn(module, theirs)
        theirs.close()
        self.control.settimeout(PATIENCE_S)
        self.status: int | None = None

    def send(self, fds: tuple[int, ...] = (), **message: object) -> None:
        ipc.send(self.control, message, fds)

    def receive(self) -> dict[str, Any]:
        message = ipc.recv(self.control)
        assert message is not None, "the child closed its control socket"
        return message.body

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def wait(self) -> int:
        if self.status is None:
            self.status = os.waitpid(self.pid, 0)[1]
        return self.status

    def close(self) -> None:
        self.control.close()
        self.wait()


class Worker(Process):
    """A worker; ``data`` is the front's end of its data socket."""

    def __init__(self) -> None:
        super().__init__("fleet_agent.worker")
        self.data, self._theirs = socket.socketpair()

    def load(
        self,
        model: Path | bytes,
        runtime: str,
        io: Io,
        threads: int = 1,
        labels: bytes | None = None,
        baseline: bytes | None = None,
        **more: object,
    ) -> dict[str, Any]:
        """Load; returns the worker's answer."""
        fds = [memfd(model if isinstance(model, bytes) else model.read_bytes())]
        beside = {"labels": labels, "baseline": baseline}
        extra = [name for name, content in beside.items() if content is not None]
        fds += [memfd(content) for content in beside.values() if content is not None]
        order = {
            "do": "load",
            "runtime": runtime,
            "io": io.to_cbor(),
            "threads": threads,
            "cpus": [],
            "delegate": "cpu",
            "extra": extra,
        }
        self.send((fds[0], self._theirs.fileno(), *fds[1:]), **(order | more))
        ipc.close_all(fds)
        self._theirs.close()
        return self.receive()

    def serve_again(self) -> None:
        """Give the loaded worker a new data socket."""
        self.data.close()
        self.data, self._theirs = socket.socketpair()
        self.send((self._theirs.fileno(),), do="serve")
        self._theirs.close()

    def close(self) -> None:
        self.data.close()
        self._theirs.close()
        super().close()

    def golden(self, payload: bytes, tolerance: float, top1_permille: int) -> dict[str, Any]:
        """Run the self-test; returns the worker's verdict."""
        fd = memfd(payload)
        self.send((fd,), do="golden", tolerance=tolerance, top1_permille=top1_permille)
        os.close(fd)
        return self.receive()

    def batch(self, payload: bytes, rows: int, tolerance: float = 0.0) -> int:
        """Let requests run together; returns how many rows the worker found possible."""
        fd = memfd(payload)
        self.send((fd,), do="batch", rows=rows, tolerance=tolerance)
        os.close(fd)
        answer = self.receive()
        assert answer["is"] == "batch", answer
        return int(answer["rows"])


class Front(Process):
    """A front that listens on a free port and on ``folder/api.sock``; ``order`` is the rest of its first order."""

    def __init__(self, folder: Path, **order: object) -> None:
        super().__init__("fleet_agent.front")
        self.path = str(folder / "api.sock")
        self.send(**{"do": "listen", "host": "127.0.0.1", "port": 0, "socket": self.path} | order)
        self.port: int = self.receive()["port"]
        self.url = f"127.0.0.1:{self.port}"
        self.control.settimeout(None)
        self.statistics: dict[int, dict[str, Any]] = {}
        self._numbers = itertools.count(1)
        self._told: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with suppress(OSError):
            while (message := ipc.recv(self.control)) is not None:
                if message.body["is"] == "stats":
                    self.statistics[message.body["worker"]] = message.body
                self._told.put(message.body)

    def told(self, kind: str, until: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """The next message of a kind that ``until`` accepts."""
        while True:
            message = self._told.get(timeout=PATIENCE_S)
            if message["is"] == kind and until(message):
                return message

    def attach(
        self, worker: Worker, model: str, version: str, io: Io, runtime: str = "onnxruntime", labels: bytes = b""
    ) -> int:
        """Hand over the worker's data socket; returns the number that the front knows it by."""
        number = next(self._numbers)
        names = [memfd(labels)] if labels else []
        self.send(
            (worker.data.fileno(), *names),
            do="attach",
            worker=number,
            model=model,
            version=version,
            release=hashlib.sha256(version.encode()).digest(),
            io=io.to_cbor(),
            runtime=runtime,
        )
        ipc.close_all(names)
        worker.data.close()
        return number

    def serve(self, worker: Worker, model: str, version: str, io: Io, runtime: str = "onnxruntime") -> int:
        """Attach and route."""
        number = self.attach(worker, model, version, io, runtime)
        self.send(do="route", model=model, worker=number)
        return number

    def close(self) -> None:
        with suppress(OSError):
            self.control.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        super().close()


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=PATIENCE_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE_S)
        self.sock.connect(self._path)


class Client:
    """Keeps one connection and speaks plain JSON."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self.connection = connection

    def ask(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and JSON answer (None when empty)."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        self.connection.request(method, path, data, headers or {})
        response = self.connection.getresponse()
        text = response.read()
        return response.status, json.loads(text) if text else None

    def infer(self, model: str, *inputs: dict[str, Any], **more: object) -> tuple[int, Any]:
        """POST .../infer."""
        return self.ask("POST", f"/v2/models/{model}/infer", {"inputs": list(inputs)} | more)


@contextmanager
def device(folder: Path, **order: object) -> Iterator["Device"]:
    """A front and the workers that are started on it; all gone afterwards. ``order``: see :class:`Front`."""
    made = Device(folder, **order)
    try:
        yield made
    finally:
        made.close()


class Device:
    """Front, workers and clients of one test."""

    def __init__(self, folder: Path, **order: object) -> None:
        self.folder = folder
        self.front = Front(folder, **order)
        self.workers: list[Worker] = []
        self.clients: list[Client] = []

    def worker(self, model: Path, io: Io, runtime: str = "onnxruntime") -> Worker:
        """A worker with ``model`` loaded."""
        worker = Worker()
        self.workers.append(worker)
        answer = worker.load(model, runtime, io)
        assert answer["is"] == "loaded", answer
        return worker

    def serve(self, worker: Worker, model: str, version: str, io: Io) -> int:
        """Attach and route, and wait until the front says so."""
        number = self.front.serve(worker, model, version, io)
        self.wait_for(model, version)
        return number

    def wait_for(self, model: str, version: str) -> None:
        """Orders are not acknowledged: ask until the route has moved."""
        client = self.client()
        deadline = time.monotonic() + PATIENCE_S
        while client.ask("GET", f"/v2/models/{model}/versions/{version}/ready")[0] != 200:
            assert time.monotonic() < deadline, f"{model} {version} is not served"
        client.connection.close()

    def client(self, *, unix: bool = False) -> Client:
        """A client over TCP or the Unix socket."""
        connection = (
            UnixConnection(self.front.path)
            if unix
            else http.client.HTTPConnection("127.0.0.1", self.front.port, timeout=PATIENCE_S)
        )
        self.clients.append(Client(connection))
        return self.clients[-1]

    def close(self) -> None:
        for client in self.clients:
            client.connection.close()
        self.front.close()
        for worker in self.workers:
            worker.close()
