"""Engines of TensorRT: built on this device of a release's ONNX model, in the background, and kept encrypted.

A slot's engine is found again by its key: the model, TensorRT, the driver (on a Jetson: L4T), the power mode; the GPU's
compute capability is checked where there is a GPU to ask. Whatever has changed or is damaged, it is built anew, and the
model runs as usual meanwhile.
"""

import errno
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dunlin_contract import cbor
from dunlin_contract.errors import ContractError
from dunlin_contract.rules import Rule
from fleet_agent import engine_file, files, ipc
from fleet_agent.config.workers import ENGINE, Workers
from fleet_agent.engine_file import Head
from fleet_agent.errors import StorageError, line
from fleet_agent.hardware import kernel
from fleet_agent.hardware.reading import Reading
from fleet_agent.runtimes import installed
from fleet_agent.runtimes.errors import RuntimeMissingError
from fleet_agent.slots import RESERVE_BYTES, Part, Slot
from fleet_agent.supervisor.child import Child
from fleet_agent.supervisor.instance import DamagedError, Engine, Instance, Outcome, read_layout
from fleet_agent.supervisor.log import log
from fleet_agent.supervisor.loop import Loop, Timer
from fleet_agent.supervisor.unlocking import Answer, Unlocker
from fleet_agent.update.state import Copy

_BUILD_S = 7200.0
_LOOK_S = 30.0
_LEAST_WORKSPACE, _MOST_WORKSPACE = 64 << 20, 4 << 30
_WORDS = 64
_STALE = ("engine-stale", Rule.CHUNK_OPEN)
_BUILT_OF = "onnxruntime"


@dataclass(frozen=True, slots=True)
class Parts:
    """What engines are made with. ``waits``: none is begun now. ``changed``: one is there, or cannot be."""

    loop: Loop
    unlocker: Unlocker
    unlock: Callable[[Instance, Part, Callable[[Answer], None]], None]
    workers: Workers
    room: Callable[[], int]
    reading: Callable[[], Reading]
    waits: Callable[[], bool]
    tell: Callable[[str, str, str, str], None]
    changed: Callable[[], None]
    root: Path = kernel.ROOT


@dataclass(slots=True, eq=False)
class _Job:
    """An engine that is being built."""

    instance: Instance
    key: bytes
    child: Child | None = None
    deadline: Timer | None = None
    phase: str = ""
    percent: int = 0


class Engines:
    """Builds one at a time."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._job: _Job | None = None
        self._models: dict[tuple[bytes, str], bytes] = {}
        self._failed: dict[tuple[str, bytes], str] = {}
        self._rebuilt: set[tuple[str, bytes]] = set()

    def start(self) -> None:
        """Notice from now on when what engines depend on changes: a power mode is set at any time."""
        workers = self._parts.workers
        if any(one.delegate == ENGINE for one in (workers.others, *workers.models.values())):
            self._parts.loop.after(_LOOK_S, self._look)

    def _look(self) -> None:
        self._parts.changed()
        self._parts.loop.after(_LOOK_S, self._look)

    def of(self, slot: Slot, copy: Copy) -> Engine | None:
        """The engine of what lies in the slot, if there is one that fits; else it is built, if one is wanted."""
        settings = self._parts.workers.of(slot.model)
        if settings.delegate != ENGINE:
            return None
        instance = Instance(0, slot.model, slot, copy, settings)
        try:
            key = self._key(instance)
        except (RuntimeMissingError, DamagedError) as error:
            self._fail(slot.model, copy.release, str(error))
            return None
        if (slot.model, key) in self._failed:
            return None
        engine = _cached(slot, key)
        if engine is None and self._job is None and not self._parts.waits():
            self._begin(instance, key)
        return engine

    def stale(self, slot: Slot, engine: Engine, outcome: Outcome) -> bool:
        """An engine could not be loaded. True: it is of no use here, and is built anew; that is done once."""
        key = slot.model, engine.head.key
        if outcome.code not in _STALE or key in self._rebuilt:
            return False
        self._rebuilt.add(key)
        log(f"{slot.model}: {outcome.text}; the engine is built anew")
        engine.path.unlink(missing_ok=True)
        self._parts.loop.post(self._parts.changed)
        return True

    def status(self, model: str) -> str:
        """What there is to say of a model's engine, or nothing."""
        job = self._job
        if job is not None and job.instance.model == model:
            return f"an engine is being built: {job.phase} {job.percent} %" if job.phase else "an engine is being built"
        return next((f"no engine: {why}" for (name, _), why in self._failed.items() if name == model), "")

    def cancel(self, model: str) -> None:
        """The release that was built for leaves: so does its plaintext, at once."""
        if self._job is not None and self._job.instance.model == model:
            self._forget(self._job)

    def close(self) -> None:
        """End what is being built."""
        if self._job is not None and self._job.child is not None:
            self._job.child.close()

    def _key(self, instance: Instance) -> bytes:
        parts, reading = self._parts, self._parts.reading()
        model = self._model(instance)
        words = [installed.engine_version(), kernel.drivers(parts.root), reading.power_mode or ""]
        return hashlib.sha256(cbor.encode([model, *words, instance.settings.batch])).digest()

    def _model(self, instance: Instance) -> bytes:
        """SHA-256 of the ONNX model."""
        copy = instance.copy
        known = self._models.get((copy.release, copy.variant))
        if known is None:
            layout = read_layout(instance.slot, copy)
            if layout.variant.fit.runtime != _BUILT_OF:
                why = f"engines are built of ONNX models, {copy.variant} is for {layout.variant.fit.runtime}"
                raise DamagedError(why)
            known = layout.manifest.payloads[layout.model.payload].installed_sha256
            self._models[copy.release, copy.variant] = known
        return known

    # Building, step by step.

    def _begin(self, instance: Instance, key: bytes) -> None:
        try:
            instance.layout = read_layout(instance.slot, instance.copy)
        except DamagedError:
            return  # the release itself is to be repaired
        self._job = job = _Job(instance, key)
        text = f"an engine for {instance.model} {instance.copy.version} is being built; it runs as usual meanwhile"
        log(text)
        self._parts.tell("note", "engine-build", text, instance.model)
        self._parts.unlock(instance, instance.layout.model, partial(self._unlocked, job))

    def _unlocked(self, job: _Job, answer: Answer) -> None:
        if self._job is not job:
            return
        if not answer.ok:
            self._end(job, answer.text)
            return
        assert job.instance.layout is not None
        settings = job.instance.settings
        workspace = min(_MOST_WORKSPACE, max(_LEAST_WORKSPACE, self._parts.room() // 2))
        order = {
            "io": job.instance.layout.variant.io.to_cbor(),
            "rows": settings.batch,
            "workspace": workspace,
            "account": settings.account,
        }
        ended = "the process that builds it was"
        job.child = Child(
            self._parts.loop,
            "fleet_agent.builder",
            partial(self._heard, job),
            lambda why: self._end(job, f"{ended} {why}"),
        )
        job.child.send(order, answer.fds[:1])
        late = f"not done in {_BUILD_S / 3600:.0f} hours"
        job.deadline = self._parts.loop.after(_BUILD_S, lambda: self._end(job, late))

    def _heard(self, job: _Job, message: ipc.Message) -> None:
        match message.body, message.fds:
            case {"is": "progress", "phase": str(phase), "percent": int(percent)}, []:
                self._progress(job, line(phase)[:_WORDS], min(100, max(0, percent)))
            case {"is": "built", "compute": str(compute), "bytes": int(length)}, [fd]:
                self._built(job, compute, length, fd)
            case body, fds:
                ipc.close_all(fds)
                self._end(job, line(str(body.get("text", "it made no sense"))))

    def _progress(self, job: _Job, phase: str, percent: int) -> None:
        begins = phase != job.phase
        job.phase, job.percent = phase, percent
        if begins:
            text = f"the engine for {job.instance.model} {job.instance.copy.version}: {phase}"
            self._parts.tell("note", "engine-build", text, job.instance.model)

    def _built(self, job: _Job, compute: str, length: int, fd: int) -> None:
        """Have the engine encrypted into a file beside; it is renamed when it is whole and synced."""
        slot = job.instance.slot
        beside = engine_file.path(slot.folder).with_name(".engine.new")
        rows = job.instance.settings.batch
        try:
            # What the builder says is not believed: read back, it is within bounds.
            bare = Head(key=job.key, compute=compute, rows=rows, length=length, id=bytes(16), cek=b"").to_bytes()
            Head.from_bytes(bare)
            target = _create(beside, length)
        except (ContractError, StorageError) as error:
            os.close(fd)
            self._end(job, line(str(error)))
            return
        body: dict[str, object] = {"do": "keep-engine", "model": slot.model, "head": bare}
        self._parts.unlocker.ask(body, partial(self._kept, job, beside), fds=[fd, target])

    def _kept(self, job: _Job, beside: Path, answer: Answer) -> None:
        slot = job.instance.slot
        if self._job is not job or slot.release != job.instance.copy.release:
            # The slot was given to another release while this was being written.
            beside.unlink(missing_ok=True)
            self._forget(job)
            return
        if not answer.ok:
            beside.unlink(missing_ok=True)
            self._end(job, answer.text)
            return
        try:
            with files.disk_errors("the engine"):
                beside.replace(engine_file.path(slot.folder))
                files.sync_folder(slot.folder)
        except StorageError as error:
            self._end(job, str(error))
            return
        text = f"the engine for {slot.model} {job.instance.copy.version} is built"
        log(text)
        self._parts.tell("note", "engine-built", text, slot.model)
        self._forget(job)

    def _end(self, job: _Job, why: str) -> None:
        """It failed."""
        if self._job is job:
            self._forget(job)
            self._fail(job.instance.model, job.key, why)

    def _forget(self, job: _Job) -> None:
        if job.deadline is not None:
            job.deadline.cancel()
        if job.child is not None:
            job.child.close()
        if self._job is job:
            self._job = None
        self._parts.loop.post(self._parts.changed)

    def _fail(self, model: str, key: bytes, why: str) -> None:
        """Told once; tried again when what the engine depends on has changed, or the agent starts anew."""
        if (model, key) in self._failed:
            return
        self._failed[model, key] = why
        text = f"no engine for {model}, it runs as usual: {why}"
        log(text)
        self._parts.tell("note", "engine-failed", line(text), model)


def _create(path: Path, length: int) -> int:
    """An empty file with room for ``length`` bytes. Raises StorageError: there is none."""
    with files.disk_errors("the engine"):
        disk = os.statvfs(path.parent)
        if disk.f_bavail * disk.f_frsize < length + RESERVE_BYTES:
            raise OSError(errno.ENOSPC, "no room")
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, files.PRIVATE)


def _cached(slot: Slot, key: bytes) -> Engine | None:
    """The engine that lies in a slot, if it is whole and was built under this key."""
    path = engine_file.path(slot.folder)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        head = engine_file.head(fd)
    finally:
        os.close(fd)
    return Engine(path, head) if head is not None and head.key == key else None
