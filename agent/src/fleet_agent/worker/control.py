"""The control loop: load, self-test, serve; see ``fleet_agent.ipc`` for how messages travel."""

import os
import socket
import time
from dataclasses import asdict
from typing import Any

from dunlin_contract.errors import ContractError
from dunlin_contract.golden import Golden
from dunlin_contract.limits import LIMITS
from dunlin_contract.manifest import Io
from fleet_agent import ipc
from fleet_agent.runtimes import protocol
from fleet_agent.runtimes.errors import ModelError
from fleet_agent.worker import data, selftest
from fleet_agent.worker.model import Model


def serve(control: socket.socket) -> None:
    """Do what the supervisor says until it closes its end (or dies)."""
    model: Model | None = None
    while (message := ipc.recv(control)) is not None:
        match message.body, message.fds:
            case {"do": "load", "runtime": str(runtime), "io": io, "threads": int(threads)}, [model_fd, data_fd]:
                model = _load(control, runtime, Io.from_cbor(io), threads, model_fd)
                if model is None:
                    os.close(data_fd)
                else:
                    data.start(model, data_fd)
            case {"do": "golden", "tolerance": float(tolerance), "top1_permille": int(top1)}, [fd] if model:
                ipc.send(control, {"is": "golden"} | _golden(model, fd, tolerance, top1))
            case {"do": "serve"}, [fd] if model:
                data.start(model, fd)
            case other:
                raise ipc.IpcError(f"the worker has no such order here: {other!r:.100}")


def _load(control: socket.socket, runtime: str, io: Io, threads: int, fd: int) -> Model | None:
    _silence()
    start = time.monotonic()
    try:
        session = protocol.load(runtime, f"/proc/self/fd/{fd}", io, threads)
    except ModelError as error:
        ipc.send(control, {"is": "failed", "code": error.code, "text": str(error)})
        return None
    finally:
        os.close(fd)
    ms = (time.monotonic() - start) * 1000
    ipc.send(control, {"is": "loaded", "ms": ms, "rss": _rss_bytes()})
    return Model(session, io)


def _golden(model: Model, fd: int, tolerance: float, top1_permille: int) -> dict[str, Any]:
    try:
        with open(fd, "rb", buffering=0):
            raw = os.pread(fd, min(os.fstat(fd).st_size, LIMITS.golden_bytes + 1), 0)
        verdict = selftest.run(model, Golden.from_bytes(raw), tolerance, top1_permille)
    except ContractError as error:
        verdict = selftest.Verdict(False, 0.0, 0, 0, f"the golden samples are unreadable: {error}")
    return asdict(verdict)


def _silence() -> None:
    """What a runtime prints may hold parts of the model, and the agent's output ends in a log on disk."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(null, stream)
    os.close(null)


def _rss_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
