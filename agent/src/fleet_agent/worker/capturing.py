"""Requests that an order wants kept: which ones, by what the model answered (:mod:`fleet_agent.captured` says how)."""

import mmap
import os
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np

from dunlin_contract.manifest import Io
from fleet_agent import captured
from fleet_agent.frames import Image, Tensor


@dataclass(frozen=True, slots=True)
class Policy:
    """Which requests are kept: a permille, those whose two largest outputs are close (in permille), those of a class.

    The contract's capture.CaptureOrder says what each means.
    """

    random_permille: int = 0
    margin_permille: int = 0
    classes: frozenset[int] = frozenset()

    def reason(self, io: Io, outputs: Sequence[Tensor], chance: Callable[[], float] = random.random) -> str:
        """Why a request is kept, in a word; empty: it is not."""
        if self.classes or self.margin_permille:
            by = self._by_answer(io, outputs[0])
            if by:
                return by
        return "random" if chance() * 1000 < self.random_permille else ""

    def _by_answer(self, io: Io, output: Tensor) -> str:
        spec = io.outputs[0]
        flat = np.frombuffer(output.data, "uint8" if spec.dtype == "bool" else spec.dtype)
        rows = output.shape[0] if spec.shape[:1] == (-1,) else 1
        if not rows or not flat.size or flat.size % rows:
            return ""
        steps = spec.quantization
        scale, zero = (steps.scale, steps.zero_point) if steps is not None else (1.0, 0)
        close = False
        for row in flat.reshape(rows, -1):
            place = int(row.argmax())
            largest = (float(row[place]) - zero) * scale
            if isnan(largest):
                continue
            if place in self.classes:
                return "class"
            if self.margin_permille and row.size > 1:
                second = (float(np.partition(row, -2)[-2]) - zero) * scale
                close = close or (largest - second) * 1000 < self.margin_permille * abs(largest)
        return "margin" if close else ""


class Capturing:
    """What is kept of one model's requests, from any thread. ``tell`` sends a message to the supervisor."""

    def __init__(self, io: Io, tell: Callable[[dict[str, object]], None]) -> None:
        self._io = io
        self._tell = tell
        self._lock = threading.Lock()
        self._policy = Policy()
        self._room: mmap.mmap | None = None
        self._free = False
        self._told_large = False

    def order(self, body: Mapping[str, Any], fd: int) -> None:
        """Keep what ``body`` asks for, in the memory file ``fd``, until another order comes."""
        policy = Policy(int(body["random"]), int(body["margin"]), frozenset(map(int, body["classes"])))
        room = mmap.mmap(fd, os.fstat(fd).st_size)
        with self._lock:
            self._let_go()
            self._policy, self._room, self._free = policy, room, True

    def end(self) -> None:
        """Keep nothing any more."""
        with self._lock:
            self._let_go()

    def freed(self) -> None:
        """The supervisor has what was kept last."""
        with self._lock:
            self._free = self._room is not None

    def see(self, content: Sequence[Tensor] | Image, outputs: Sequence[Tensor]) -> None:
        """Keep a request that was answered, if it is to be."""
        if self._free:
            with self._lock:
                self._see(content, outputs)

    def _see(self, content: Sequence[Tensor] | Image, outputs: Sequence[Tensor]) -> None:
        if self._room is None or not self._free:
            return  # it was asked without the lock
        reason = self._policy.reason(self._io, outputs)
        if not reason:
            return
        data = captured.pack(reason, content, outputs)
        if data:
            self._free = False
            self._room[: len(data)] = data
        elif self._told_large:
            return
        else:
            self._told_large = True
        self._tell({"is": "captured", "bytes": len(data)})

    def _let_go(self) -> None:
        if self._room is not None:
            self._room.close()
        self._policy, self._room, self._free, self._told_large = Policy(), None, False, False
