"""One worker as the supervisor knows it, from sealed memory to requests, and what its slot says about it."""

import hashlib
import math
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from dunlin_contract.manifest import Manifest
from fleet_agent import captured, ipc, locking
from fleet_agent.config.workers import ENGINE, Settings
from fleet_agent.engine_file import Head
from fleet_agent.errors import line
from fleet_agent.sandbox import groups
from fleet_agent.sandbox.record import Record
from fleet_agent.slots import Layout, Slot
from fleet_agent.supervisor.child import Child
from fleet_agent.supervisor.front import Compared, Numbers
from fleet_agent.supervisor.log import log
from fleet_agent.supervisor.loop import Loop, Timer
from fleet_agent.supervisor.quality import Watch, read_features
from fleet_agent.update.state import Copy

_BATCHING = ("onnxruntime",)
"""LiteRT is not among them: preparing a graph for another number of rows costs more than it gains."""
_CODE_CHARS = 64
_NOTE_CHARS = 200
_RUNTIME_BYTES = 64 << 20
"""What a worker takes besides the model: an interpreter, numpy and a runtime (measured: 35 to 45 MB)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a step ended. ``code`` ``no-room``: it would not fit into memory; ``damaged``: the disk holds other bytes."""

    ok: bool
    code: str = ""
    text: str = ""
    damaged: bool = False


@dataclass(frozen=True, slots=True)
class Running:
    """What a worker said when it had loaded its model. ``note``: why it does not run as agent.toml asks, or empty.

    ``sandbox``: what it was confined by before it touched the model.
    """

    load_ms: int = 0
    rss: int = 0
    threads: int = 0
    runs_on: str = ""
    note: str = ""
    locked: bool = False
    sandbox: Record = field(default_factory=Record)


GOOD = Outcome(True)
LEAN = "lean"
"""Another way to run a release, beside ``ENGINE``: its cheaper variant."""
Done = Callable[[Outcome], None]


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that was built on this device: its file, and the head of that."""

    path: Path
    head: Head

    def to_map(self) -> dict[str, object]:
        """What a worker must know of it."""
        return {"compute": self.head.compute, "rows": self.head.rows}


@dataclass(slots=True, eq=False)
class Instance:
    """One release that is, or is about to be, in a worker.

    ``memory``: the sealed model until the worker has it, ``pinned`` where its pages are locked. ``labels``: names of
    its classes, ``baseline``: how its requests should be, sealed too, for as long as it lives. ``data``: our end of its
    data socket until the front has it. ``step``: who waits for the worker's next word. ``before``: what it had answered
    when the last front died.
    ``copies``: further workers of the same release, which share its requests. ``batch``: rows that it runs together.
    ``way``: how it runs its release, if not the usual way; ``engine``: what it runs then, if not a variant.
    ``watch``: what it has counted. ``room``: memory for a request that it keeps, while it keeps some (``capturing``).
    """

    number: int
    model: str
    slot: Slot
    copy: Copy
    settings: Settings = field(default_factory=Settings)
    layout: Layout | None = None
    memory: int | None = None
    pinned: locking.Pinned | None = None
    labels: int | None = None
    baseline: int | None = None
    child: Child | None = None
    group: groups.Group | None = None
    data: socket.socket | None = None
    step: Done | None = None
    deadline: Timer | None = None
    loaded: bool = False
    attached: bool = False
    served: Numbers = field(default_factory=Numbers)
    before: Numbers = field(default_factory=Numbers)
    running: Running = field(default_factory=Running)
    batch: int = 1
    batch_known: bool = False
    copies: "list[Instance]" = field(default_factory=list)
    watch: Watch = field(default_factory=Watch)
    capturing: Mapping[str, object] | None = None
    room: int | None = None
    way: str = ""
    engine: Engine | None = None

    @property
    def place(self) -> str:
        """Where it stands on the roster: its slot, and how it runs that one's release if not the usual way."""
        return place(self.slot.name, self.way)

    @property
    def delegate(self) -> str:
        """What computes: until there is an engine, and beside it, the CPU."""
        return "cpu" if self.settings.delegate == ENGINE and self.engine is None else self.settings.delegate

    def keep(self, fd: int) -> None:
        """Keep the sealed model, in locked pages where that is possible, until the worker has it."""
        self.memory = fd
        if locking.possible():
            # Without room for it the worker will fail to lock it too, and say so.
            with suppress(OSError):
                self.pinned = locking.Pinned(fd)

    def drop_memory(self) -> None:
        """Let go of the sealed model."""
        if self.pinned is not None:
            self.pinned.close()
            self.pinned = None
        if self.memory is not None:
            os.close(self.memory)
            self.memory = None

    def start(self, loop: Loop, said: Callable[[ipc.Message], None], died: Callable[[str], None]) -> None:
        """Start a worker and give it the sealed model."""
        assert self.layout is not None
        assert self.memory is not None
        variant = self.layout.variant
        self.child = Child(loop, "fleet_agent.worker", said, lambda why: died(self._why(why)))
        if self.child.pid is not None:
            self.group = groups.confine(self.number, self.child.pid, self.settings.memory_mb)
        self.data, theirs = socket.socketpair()
        body = {
            "do": "load",
            "runtime": variant.fit.runtime if self.engine is None else "tensorrt",
            "io": variant.io.to_cbor(),
            "threads": self.settings.threads,
            "cpus": list(self.settings.cpus),
            "delegate": self.delegate,
            "account": self.settings.account,
            "engine": None if self.engine is None else self.engine.to_map(),
        }
        beside = {"labels": self.labels, "baseline": self.baseline}
        extra = {name: fd for name, fd in beside.items() if fd is not None}
        self.watch = Watch(read_features(self.baseline), variant.io.postprocess is not None)
        with theirs:
            self.child.send(body | {"extra": list(extra)}, [self.memory, theirs.fileno(), *extra.values()])

    def take_step(self) -> Done | None:
        """Who waits for the worker's next word: nobody does any more."""
        if self.deadline is not None:
            self.deadline.cancel()
        done, self.step = self.step, None
        return done

    def _why(self, why: str) -> str:
        """Why the worker's process ended."""
        if self.group is None or not self.group.starved:
            return why
        return f"{why}: it took more than {self.settings.memory_mb} MiB of memory; raise memory_mb in agent.toml"

    def heard(self, message: ipc.Message) -> Outcome:
        """What the worker's answer to a step means."""
        body = message.body
        if body.get("is") == "loaded":
            self.loaded = True
            # Its own pages are locked from here on.
            self.drop_memory()
            self.running = _running(body)
            if self.running.note:
                log(f"{self.model} {self.copy.version}: {self.running.note}")
            return GOOD
        if body.get("is") == "golden":
            text = str(body.get("text", ""))
            return GOOD if body.get("ok") is True else Outcome(False, "self-test", line(text))
        # The model is in that process: nothing it says may be longer than what the journal and the server take.
        code, text = line(str(body.get("code", "load-failed"))), line(str(body.get("text", "")))
        return Outcome(False, code[:_CODE_CHARS], text)

    def batched(self, message: ipc.Message) -> bool:
        """Whether the worker says how many rows it may run together, once; then ``batch`` has it."""
        if message.body.get("is") != "batch" or self.batch_known:
            return False
        self.batch_known = True
        rows = message.body.get("rows")
        self.batch = rows if type(rows) is int and 1 <= rows <= self.settings.batch else 1
        return True

    @property
    def batches(self) -> bool:
        """Whether requests may run together, if golden samples agree: each input and output has a free first size."""
        if self.layout is None or self.settings.batch < 2:
            return False
        variant = self.layout.variant
        tensors = (*variant.io.inputs, *variant.io.outputs)
        return variant.fit.runtime in _BATCHING and all(tensor.shape[:1] == (-1,) for tensor in tensors)

    def end(self, gone: Callable[[], None] | None = None) -> None:
        """End the worker at once, and let go of everything; ``gone`` is called when its memory is free."""
        self.drop_memory()
        for fd in (self.labels, self.baseline, self.room):
            if fd is not None:
                os.close(fd)
        self.labels = self.baseline = self.room = None
        if self.data is not None:
            self.data.close()
        if self.child is not None:
            self.child.close(gone)
        elif gone is not None:
            gone()

    def ask(self, body: Mapping[str, object]) -> None:
        """Tell the worker something, if it is there."""
        if self.child is not None and self.loaded:
            self.child.send(body)

    def capture(self, policy: Mapping[str, object] | None) -> None:
        """Have requests kept by a policy (``random``, ``margin``, ``classes``); None: none."""
        if policy == self.capturing or self.child is None or not self.loaded:
            return
        if self.room is not None:
            os.close(self.room)
            self.room = None
        self.capturing = policy
        if policy is None:
            self.child.send({"do": "capture"})
        else:
            self.room = captured.room()
            self.child.send({"do": "capture", **policy}, [self.room])

    def inherit(self, dead: "Instance") -> None:
        """A worker of the same release is dead: what it answered stays counted."""
        self.before, self.served = total(self.before, dead.served), total(self.served, dead.served)
        self.watch.inherit(dead.watch)

    def connect(self) -> socket.socket:
        """Our end of the worker's data socket: the one it was loaded with, or a new pair."""
        if self.data is not None:
            ours, self.data = self.data, None
            return ours
        ours, theirs = socket.socketpair()
        with theirs:
            if self.child is not None:
                self.child.send({"do": "serve"}, [theirs.fileno()])
        return ours


def place(slot: str, way: str) -> str:
    """Key of a slot's worker on the roster."""
    return f"{slot}+{way}" if way else slot


class DamagedError(Exception):
    """What a slot holds is not what the journal says it holds."""


def read_layout(slot: Slot, copy: Copy, *, lean: bool = False) -> Layout:
    """Layout of a release that was verified before; only its digest, from the journal, is trusted.

    ``lean``: as the cheaper variant that came with it sees things.

    Raises:
        DamagedError: what lies there is another release, or not all of it.
    """
    payload, index = slot.manifest(), slot.index()
    if payload is None or index is None or hashlib.sha256(payload).digest() != copy.release:
        raise DamagedError("the manifest in the slot is not the verified one")
    manifest = Manifest.from_bytes(payload)
    variant = next((one for one in manifest.variants if one.kind == copy.variant), None)
    if variant is None or len(index) != manifest.index_length:
        raise DamagedError("the index in the slot is not the verified one")
    layout = Layout(manifest, variant, [index[at : at + 32] for at in range(0, len(index), 32)])
    if not lean:
        return layout
    cheaper = next((one for one in manifest.variants if one.kind == slot.lean), None)
    if cheaper is None or cheaper.kind == variant.kind:
        raise DamagedError("no cheaper variant came with this release")
    layout = layout.also(cheaper)
    if not slot.have().issuperset(range(len(layout.leaves))):
        raise DamagedError(f"the variant {cheaper.kind} is not here as a whole")
    return layout


def _running(body: Mapping[str, object]) -> Running:
    """The worker is not believed further than a sentence and a few numbers."""

    def number(name: str) -> int:
        value = body.get(name)
        return max(0, int(value)) if isinstance(value, int | float) and math.isfinite(value) else 0

    text = {name: line(str(body.get(name, "")))[:_NOTE_CHARS] for name in ("runs_on", "note")}
    locked = body.get("locked") is True
    sandbox = Record.from_map(body.get("sandbox")) or Record()
    return Running(number("ms"), number("rss"), number("threads"), text["runs_on"], text["note"], locked, sandbox)


def memory_need(layout: Layout) -> int:
    """Memory that one worker will take: what the packager measured, else the model itself and a runtime."""
    variant = layout.variant
    measured = max(variant.fit.memory_bytes, variant.budget.memory_bytes)
    return measured or _RUNTIME_BYTES + layout.manifest.payloads[layout.model.payload].installed_length


def resident_bytes(pid: int) -> int:
    """Memory of a process, pages that it shares with others counted too; 0 once it is gone."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def total(one: Numbers, other: Numbers) -> Numbers:
    """Both numbers together."""
    return Numbers(
        one.count + other.count,
        one.errors + other.errors,
        one.nonfinite + other.nonfinite,
        _merged(one.sketch, other.sketch),
        _compared(one.compared, other.compared),
    )


def since(earlier: Numbers, now: Numbers) -> Numbers:
    """What was counted after ``earlier``; all of ``now`` if that is another worker's, which counts from zero."""
    if now.count < earlier.count:
        return now
    sketch = {bucket: count - earlier.sketch.get(bucket, 0) for bucket, count in now.sketch.items()}
    errors, nonfinite = now.errors - earlier.errors, now.nonfinite - earlier.nonfinite
    return Numbers(now.count - earlier.count, errors, nonfinite, sketch)


def _compared(one: Compared | None, other: Compared | None) -> Compared | None:
    if one is None or other is None:
        return one or other
    return Compared(
        one.pairs + other.pairs,
        one.agreed + other.agreed,
        one.errors + other.errors,
        one.shed + other.shed,
        _merged(one.latency_us, other.latency_us),
        _merged(one.distance, other.distance),
    )


def _merged(one: Mapping[int, int], other: Mapping[int, int]) -> dict[int, int]:
    both = dict(one)
    for bucket, count in other.items():
        both[bucket] = both.get(bucket, 0) + count
    return both
