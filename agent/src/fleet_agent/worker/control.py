"""The control loop: load, self-test, serve; see ``fleet_agent.ipc`` for how messages travel."""

import os
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from dunlin_contract.errors import ContractError
from dunlin_contract.golden import Golden
from dunlin_contract.limits import LIMITS
from dunlin_contract.manifest import Io
from fleet_agent import ipc, locking
from fleet_agent.runtimes import protocol
from fleet_agent.runtimes.errors import ModelError
from fleet_agent.sandbox import enter, profiles
from fleet_agent.sandbox.kernel import SandboxError
from fleet_agent.sandbox.privileges import Account
from fleet_agent.worker import data, images, selftest
from fleet_agent.worker.batches import Answering
from fleet_agent.worker.capturing import Capturing
from fleet_agent.worker.model import Model
from fleet_agent.worker.quality import Quality

_BESIDE = {"labels": LIMITS.labels_bytes, "baseline": LIMITS.baseline_bytes}
_MOST_THREADS = 4
"""More gain nothing on models of an edge device's size; whoever knows better says so in agent.toml."""


class SettingsError(ModelError):
    """The device cannot run models as its owner asked."""

    code = "settings"


def serve(control: socket.socket) -> None:
    """Do what the supervisor says until it closes its end (or dies)."""
    parent = os.getppid()
    model: Model | None = None
    answering: Answering | None = None
    while (message := ipc.recv(control)) is not None:
        match message.body, message.fds:
            case {"do": "load", "extra": list(extra)} as order, [model_fd, data_fd, *more] if len(extra) == len(more):
                model = _load(control, order, model_fd, parent)
                beside = {name: _beside(fd, _BESIDE[name]) for name, fd in zip(extra, more, strict=True)}
                if model is None:
                    os.close(data_fd)
                else:
                    answering = _answering(control, model, beside)
                    data.start(answering, data_fd)
            case {"do": "golden", "tolerance": float(tolerance), "top1_permille": int(top1)}, [fd] if model:
                ipc.send(control, {"is": "golden"} | _golden(model, fd, tolerance, top1))
            case {"do": "batch", "rows": int(rows), "tolerance": float(tolerance)}, [fd] if model:
                model.batch = _batch(model, fd, rows, tolerance)
                ipc.send(control, {"is": "batch", "rows": model.batch})
            case {"do": "serve"}, [fd] if answering:
                data.start(answering, fd)
            case {"do": "counts"}, [] if answering:
                ipc.send(control, {"is": "counts"} | answering.quality.counts())
            case {"do": "capture"} as order, [fd] if answering:
                answering.capturing.order(order, fd)
                os.close(fd)
            case {"do": "capture"}, [] if answering:
                answering.capturing.end()
            case {"do": "captured"}, [] if answering:
                answering.capturing.freed()
            case other:
                raise ipc.IpcError(f"the worker has no such order here: {other!r:.100}")


def _load(control: socket.socket, order: dict[str, Any], fd: int, parent: int) -> Model | None:
    """Everything is opened and imported before the sandbox, and the model is touched after."""
    _silence()
    io = Io.from_cbor(order["io"])
    start = time.monotonic()
    pinned: locking.Pinned | None = None
    try:
        threads = _threads(order["threads"], order["cpus"])
        locked = locking.lock_process()
        pinned = _pinned(fd) if locked else None
        images.prepare(io)
        protocol.prepare(order["runtime"])
        memory = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        account = Account(*order["account"]) if order.get("account") else None
        confined = enter.enter(profiles.worker(order["delegate"]), parent, account)
        session = _session(order, f"/proc/self/fd/{fd}", io, threads)
    except ModelError as error:
        ipc.send(control, {"is": "failed", "code": error.code, "text": str(error)})
        return None
    except SandboxError as error:
        ipc.send(control, {"is": "failed", "code": "sandbox", "text": f"the worker's sandbox does not work: {error}"})
        os._exit(enter.EXIT_REFUSED)
    finally:
        os.close(fd)
    if pinned is not None and not session.maps:
        # It has a copy, in pages that are locked as all of this process's are.
        pinned.close()
    ms = (time.monotonic() - start) * 1000
    about = {"runs_on": session.runs_on, "note": session.note, "threads": threads, "locked": locked}
    about["sandbox"] = confined.to_map()
    ipc.send(control, {"is": "loaded", "ms": ms, "rss": _rss_bytes(memory)} | about)
    return Model(session, io)


def _session(order: Mapping[str, Any], path: str, io: Io, threads: int) -> protocol.Session:
    engine = order.get("engine")
    if engine is not None:
        return protocol.load_engine(path, io, engine["compute"], engine["rows"])
    return protocol.load(order["runtime"], path, io, threads, order["delegate"])


def _pinned(fd: int) -> locking.Pinned:
    try:
        return locking.Pinned(fd)
    except OSError as error:
        raise SettingsError(f"the model's memory cannot be locked ({error.strerror})") from None


def _threads(wanted: int, cpus: list[int]) -> int:
    """Keep to ``cpus`` (empty: all) from now on; how many threads that leaves, ``wanted`` (0: up to four) at most."""
    try:
        if cpus:
            os.sched_setaffinity(0, cpus)
        usable = len(os.sched_getaffinity(0))
    except OSError as error:
        numbers = ", ".join(map(str, cpus))
        raise SettingsError(f"cannot run on processors {numbers}: {error.strerror}; see cpus in agent.toml") from None
    return min(wanted or _MOST_THREADS, usable)


def _answering(control: socket.socket, model: Model, beside: Mapping[str, bytes]) -> Answering:
    """The model as its data socket sees it; messages of that thread and of this one do not mix in the socket."""
    pictures = images.Pictures(model, images.read_labels(beside.get("labels", b"")))
    capturing = Capturing(model.io, lambda message: ipc.send(control, message))
    return Answering(model, pictures, Quality(model.io, beside.get("baseline")), capturing)


def _beside(fd: int, most_bytes: int) -> bytes:
    """What came beside the model, ``extra`` says in which order."""
    with open(fd, "rb", buffering=0):
        return os.pread(fd, most_bytes, 0)


def _golden(model: Model, fd: int, tolerance: float, top1_permille: int) -> dict[str, Any]:
    try:
        verdict = selftest.run(model, _samples(fd), tolerance, top1_permille)
    except ContractError as error:
        verdict = selftest.Verdict(False, 0.0, 0, 0, f"the golden samples are unreadable: {error}")
    return asdict(verdict)


def _batch(model: Model, fd: int, rows: int, tolerance: float) -> int:
    """How many rows may run together: ``rows``, or 1 if that changes what the model says."""
    try:
        return rows if selftest.rows_are_apart(model, _samples(fd), tolerance) else 1
    except ContractError:
        return 1


def _samples(fd: int) -> Golden:
    with open(fd, "rb", buffering=0):
        return Golden.from_bytes(os.pread(fd, min(os.fstat(fd).st_size, LIMITS.golden_bytes + 1), 0))


def _silence() -> None:
    """What a runtime prints may hold parts of the model, and the agent's output ends in a log on disk."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(null, stream)
    os.close(null)


def _rss_bytes(statm: int) -> int:
    """Of this process, by its ``/proc/self/statm``, which the sandbox would not let it open."""
    try:
        return int(os.pread(statm, 256, 0).split()[1]) * os.sysconf("SC_PAGE_SIZE")
    finally:
        os.close(statm)
