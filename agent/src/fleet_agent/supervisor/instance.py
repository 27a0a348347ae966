"""One worker as the supervisor knows it, from sealed memory to requests, and what its slot says about it."""

import hashlib
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from dunlin_contract.manifest import Manifest
from fleet_agent.slots import Layout, Slot
from fleet_agent.supervisor.child import Child
from fleet_agent.supervisor.front import Numbers
from fleet_agent.supervisor.loop import Timer
from fleet_agent.update.state import Copy

_RUNTIME_BYTES = 64 << 20
"""What a worker takes besides the model: an interpreter, numpy and a runtime (measured: 35 to 45 MB)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a step ended. ``code`` ``no-room``: it would not fit into memory; ``damaged``: the disk holds other bytes."""

    ok: bool
    code: str = ""
    text: str = ""
    damaged: bool = False


GOOD = Outcome(True)
Done = Callable[[Outcome], None]


@dataclass(slots=True)
class Instance:
    """One release that is, or is about to be, in a worker.

    ``memory``: the sealed model until the worker has it. ``data``: our end of its data socket until the front has it.
    ``step``: who waits for the worker's next word. ``before``: what it had answered when the last front died.
    """

    number: int
    model: str
    slot: Slot
    copy: Copy
    layout: Layout | None = None
    memory: int | None = None
    child: Child | None = None
    data: socket.socket | None = None
    step: Done | None = None
    deadline: Timer | None = None
    loaded: bool = False
    attached: bool = False
    served: Numbers = field(default_factory=Numbers)
    before: Numbers = field(default_factory=Numbers)

    def drop_memory(self) -> None:
        """Let go of the sealed model."""
        if self.memory is not None:
            os.close(self.memory)
            self.memory = None

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


class DamagedError(Exception):
    """What a slot holds is not what the journal says it holds."""


def read_layout(slot: Slot, copy: Copy) -> Layout:
    """Layout of a release that was verified before; only its digest, from the journal, is trusted."""
    payload, index = slot.manifest(), slot.index()
    if payload is None or index is None or hashlib.sha256(payload).digest() != copy.release:
        raise DamagedError("the manifest in the slot is not the verified one")
    manifest = Manifest.from_bytes(payload)
    variant = next((one for one in manifest.variants if one.kind == copy.variant), None)
    if variant is None or len(index) != manifest.index_length:
        raise DamagedError("the index in the slot is not the verified one")
    return Layout(manifest, variant, [index[at : at + 32] for at in range(0, len(index), 32)])


def memory_need(layout: Layout) -> int:
    """Memory that a worker will take: what the packager measured, else the model itself and a runtime."""
    variant = layout.variant
    measured = max(variant.fit.memory_bytes, variant.budget.memory_bytes)
    return measured or _RUNTIME_BYTES + layout.manifest.payloads[layout.model.payload].installed_length


def total(one: Numbers, other: Numbers) -> Numbers:
    """Both numbers together."""
    sketch = dict(one.sketch)
    for bucket, count in other.sketch.items():
        sketch[bucket] = sketch.get(bucket, 0) + count
    return Numbers(one.count + other.count, one.errors + other.errors, one.nonfinite + other.nonfinite, sketch)
