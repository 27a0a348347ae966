"""Requests that wait together run together: grouped in their order, run once a group, answered in their order.

Nothing is ever waited for, so a request that is alone pays nothing. Only models whose every input and output has a free
first dimension are batched, and only once golden samples have shown that rows do not touch each other
(:func:`fleet_agent.worker.selftest.rows_are_apart`).
"""

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from fleet_agent import frames
from fleet_agent.frames import NO_TIME, OUTPUT_BYTES, Image, Request, RequestError, Status, Tensor, check_inputs
from fleet_agent.runtimes.errors import ModelRunError
from fleet_agent.worker.capturing import Capturing
from fleet_agent.worker.images import LackingError, Pictures
from fleet_agent.worker.model import Model, Result
from fleet_agent.worker.quality import Quality


class Arrived(NamedTuple):
    """A request, and when it was read (``time.perf_counter_ns``)."""

    request: Request
    at_ns: int


class Answering:
    """A model, what makes its requests of images, and who looks at requests once they are answered."""

    def __init__(self, model: Model, pictures: Pictures, quality: Quality, capturing: Capturing) -> None:
        self._model = model
        self._pictures = pictures
        self.quality = quality
        self.capturing = capturing

    @property
    def most(self) -> int:
        """How many requests are worth reading before they are answered."""
        return self._model.batch

    def answers(self, waiting: Sequence[Arrived]) -> Iterator[bytes]:
        """Response frames in the order of the requests; what ran together comes together."""
        for group in self._groups(waiting):
            # Of this call alone: another data socket may be served at the same time.
            answered: list[tuple[Arrived, Result]] = []
            yield self._alone(group[0], answered) if len(group) == 1 else self._together(group, answered)
            # The answer is out, and the request's bytes are still there.
            for arrived, result in answered:
                self._look(arrived, result)

    def _look(self, arrived: Arrived, result: Result) -> None:
        self.capturing.see(arrived.request.content, result.tensors)
        weight = self.quality.weight()
        if weight:
            self.quality.count(weight, result.inputs, result.tensors)

    def _groups(self, waiting: Sequence[Arrived]) -> Iterator[list[Arrived]]:
        """Neighbours that may run together."""
        group: list[Arrived] = []
        shapes: object = None
        rows = 0
        for arrived in waiting:
            own_rows, own_shapes = self._rows(arrived.request.content) if len(waiting) > 1 else (0, None)
            joins = own_rows > 0 and own_shapes == shapes and rows + own_rows <= self._model.batch
            if group and not joins:
                yield group
                group, rows = [], 0
            group.append(arrived)
            shapes, rows = own_shapes, rows + own_rows
        if group:
            yield group

    def _rows(self, content: list[Tensor] | Image) -> tuple[int, object]:
        """Rows of a request that may run with others, and what must be equal in those; 0 rows: it runs alone."""
        if isinstance(content, Image):
            return 0, None
        try:
            check_inputs(self._model.io.inputs, content)
        except RequestError:
            return 0, None
        rows = {tensor.shape[0] for tensor in content if tensor.shape}
        shapes = [tensor.shape[1:] for tensor in content]
        return (rows.pop(), shapes) if len(rows) == 1 else (0, None)

    def _together(self, group: list[Arrived], answered: list[tuple[Arrived, Result]]) -> bytes:
        begun = time.perf_counter_ns()
        try:
            results = self._model.infer_together([_tensors(arrived) for arrived in group])
        except ModelRunError:
            # One of them may be to blame, and the others need not know.
            return b"".join(self._alone(arrived, answered) for arrived in group)
        answered += zip(group, results, strict=True)
        return b"".join(_served(arrived, begun, result) for arrived, result in zip(group, results, strict=True))

    def _alone(self, arrived: Arrived, answered: list[tuple[Arrived, Result]]) -> bytes:
        number, content = arrived.request
        begun = time.perf_counter_ns()
        try:
            result = self._pictures.infer(content) if isinstance(content, Image) else self._model.infer(content)
        except RequestError as error:
            return frames.pack_unserved(number, Status.REFUSED, NO_TIME, str(error))
        except LackingError as error:
            return frames.pack_unserved(number, Status.LACKING, NO_TIME, str(error))
        except ModelRunError as error:
            return frames.pack_unserved(number, Status.FAILED, NO_TIME, str(error))
        answered.append((arrived, result))
        return _served(arrived, begun, result)


def _tensors(arrived: Arrived) -> list[Tensor]:
    content = arrived.request.content
    assert not isinstance(content, Image)
    return content


def _served(arrived: Arrived, begun: int, result: Result) -> bytes:
    timing = result.timing._replace(queue_ns=begun - arrived.at_ns)
    size = sum(len(tensor.data) for tensor in result.tensors)
    if size > OUTPUT_BYTES:
        # A longer frame would end the connection, and so the worker.
        text = f"the outputs take {size} bytes, and at most {OUTPUT_BYTES} are given: send fewer rows"
        return frames.pack_unserved(arrived.request.id, Status.REFUSED, timing, text)
    return frames.pack_served(arrived.request.id, result.status, timing, result.tensors, result.predictions)
