"""Server-sent streams of results (HTML Living Standard, 9.2): what every request to a model gave, as it is answered.

A result is numbered within its model. A reader that does not keep up loses results and is told how many by an event
``gap``; so is one that comes back with ``Last-Event-ID``. Without readers a result costs one addition.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from fleet_agent.frames import Response, Tensor
from fleet_agent.front.errors import HttpError
from fleet_agent.front.exchange import Exchange, Stream, dump
from fleet_agent.front.limits import Limits
from fleet_agent.front.rendering import described, predictions, values
from fleet_agent.front.router import Worker

KIND = b"text/event-stream"
MOST_NUMBERS = 64
"""An output with more elements is told by its shape alone."""

_BEAT_S = 15.0


@dataclass(slots=True, eq=False)
class _Reader:
    stream: Stream
    missed: int = 0

    def send(self, text: bytes) -> None:
        """Send one result, after what was missed before it."""
        if self.missed:
            text = _event(b"gap", dump({"missed": self.missed})) + text
        if self.stream.send(text):
            self.missed = 0
        else:
            self.missed += 1


@dataclass(slots=True)
class _Model:
    number: int = 0
    readers: list[_Reader] = field(default_factory=list)


class Streams:
    """The readers of each model's results."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._models: dict[str, _Model] = {}
        self._boot = os.urandom(4).hex()  # numbers begin anew with each start
        self._beat: asyncio.TimerHandle | None = None

    @property
    def readers(self) -> int:
        """How many there are."""
        return sum(len(model.readers) for model in self._models.values())

    def open(self, exchange: Exchange, name: str) -> None:
        """Answer with the stream of a model's results from now on.

        Raises:
            HttpError: 503, as many are read already as may be.
        """
        if self.readers >= self._limits.streams:
            raise HttpError(503, f"{self._limits.streams} streams are being read already; close some")
        model = self._models.setdefault(name, _Model())
        reader = _Reader(exchange.open(KIND, lambda: model.readers.remove(reader)))
        model.readers.append(reader)
        reader.stream.send(b"retry: 2000\n\n")
        boot, _, number = (exchange.header(b"last-event-id") or b"").decode("latin-1").partition("-")
        if number.isdecimal() and len(number) < 16:
            if boot != self._boot:
                reader.stream.send(_event(b"gap", b'{"missed":null}'))
            elif model.number > int(number):
                reader.stream.send(_event(b"gap", dump({"missed": model.number - int(number)})))
        if self._beat is None:
            self._beat = asyncio.get_running_loop().call_later(_BEAT_S, self._tick)

    def publish(self, worker: Worker, request_id: str, response: Response, tensors: Sequence[Tensor]) -> None:
        """A request was answered with ``tensors``."""
        model = self._models.get(worker.model)
        if model is None:
            model = self._models[worker.model] = _Model()
        model.number += 1
        if model.readers:
            identity = b"id: %b-%d\n" % (self._boot.encode(), model.number)
            text = identity + _event(b"result", dump(_result(worker, request_id, response, tensors)))
            for reader in list(model.readers):
                reader.send(text)

    def _tick(self) -> None:
        """A comment now and then: it finds readers that went without a word, and keeps proxies from closing."""
        self._beat = None
        for model in self._models.values():
            for reader in list(model.readers):
                reader.stream.send(b":\n\n")
        if self.readers:
            self._beat = asyncio.get_running_loop().call_later(_BEAT_S, self._tick)


def _event(kind: bytes, data: bytes) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind, data)


def _result(worker: Worker, request_id: str, response: Response, tensors: Sequence[Tensor]) -> dict[str, Any]:
    outputs = []
    for tensor in tensors:
        output = described(tensor)
        if prod(tensor.shape) <= MOST_NUMBERS:
            output["data"] = values(tensor)
        outputs.append(output)
    result: dict[str, Any] = {"model": worker.model, "version": worker.version, "time": round(time.time(), 3)}
    if request_id:
        result["id"] = request_id
    if response.predictions:
        result["predictions"] = predictions(response.predictions)
    return result | {"outputs": outputs, "run_us": response.run_us}
