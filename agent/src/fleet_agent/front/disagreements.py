"""Requests that a candidate on trial answers otherwise than the release that serves: kept where an order says so."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from fleet_agent import captured, frames
from fleet_agent.frames import LENGTH, Response


@dataclass(slots=True, eq=False)
class _Room:
    """The supervisor's memory file for one request; ``free``: it holds none. ``told_large``: that one had no room."""

    fd: int
    free: bool = True
    told_large: bool = False


class Disagreements:
    """``tell`` sends a message to the supervisor."""

    def __init__(self, tell: Callable[[dict[str, object]], None]) -> None:
        self._tell = tell
        self._rooms: dict[str, _Room] = {}

    def order(self, model: str, fd: int | None) -> None:
        """Keep those of a model in the memory file ``fd``; None: keep none any more."""
        before = self._rooms.pop(model, None)
        if before is not None:
            os.close(before.fd)
        if fd is not None:
            self._rooms[model] = _Room(fd)

    def freed(self, model: str) -> None:
        """The supervisor has what was kept last."""
        if model in self._rooms:
            self._rooms[model].free = True

    def watch(self, model: str, worker: int, served: Response, packed: bytes) -> Callable[[], None]:
        """What to call if the candidate answers otherwise than ``worker`` did."""
        room = self._rooms.get(model)
        if room is None or not room.free:
            return _nothing
        # Both are gone when the candidate answers.
        outputs = [tensor._replace(data=bytes(tensor.data)) for tensor in served.tensors]
        return lambda: self._keep(model, room, worker, packed, outputs)

    def _keep(self, model: str, room: _Room, worker: int, packed: bytes, outputs: list[frames.Tensor]) -> None:
        if self._rooms.get(model) is not room or not room.free:
            return
        content = frames.parse_request(memoryview(LENGTH.pack(0) + packed)).content
        data = captured.pack("disagreement", content, outputs)
        if data:
            os.pwrite(room.fd, data, 0)
            room.free = False
        elif room.told_large:
            return
        else:
            room.told_large = True
        self._tell({"is": "captured", "worker": worker, "bytes": len(data)})


def _nothing() -> None:
    return
