"""``POST .../infer``: from the HTTP request to a worker and back, with compression on either way."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property

from fleet_agent import frames
from fleet_agent.frames import Buffer, Response
from fleet_agent.front.answers import Answer, infer_answer
from fleet_agent.front.compression import INLINE_BYTES, deflate, inflate, known, wanted
from fleet_agent.front.errors import HttpError
from fleet_agent.front.exchange import Exchange
from fleet_agent.front.limits import Limits
from fleet_agent.front.oip import InferRequest, parse_infer, raw_request
from fleet_agent.front.router import Inference, Router, Worker
from fleet_agent.front.shared_memory import Memory, Regions
from fleet_agent.front.stream import Streams


class InferJob:
    """One infer request for one model."""

    def __init__(
        self, parts: "Infer", model: str, version: str | None, request: InferRequest, exchange: Exchange
    ) -> None:
        self.model = model
        self.version = version
        self.timeout_s = request.timeout_s
        self.exchange = exchange
        self._parts = parts
        self._request = request

    def packed(self, worker: Worker) -> bytes:
        """See :class:`fleet_agent.front.router.Job`."""
        return frames.pack_tensors(self._request.arranged(worker.io))

    def rows(self, worker: Worker) -> int:
        """See :class:`fleet_agent.front.router.Job`."""
        spec = worker.io.inputs[0]
        return self._request.tensors[spec.name].shape[0] if spec.shape[:1] == (-1,) else 1

    def finish(self, worker: Worker, response: Response) -> None:
        """See :class:`fleet_agent.front.router.Job`."""
        answer = infer_answer(worker, self._request, response.tensors)
        self._parts.streams.publish(worker, self._request.id, response, response.tensors)
        self._parts.send(self.exchange, answer)


class Infer:
    """The path's handler."""

    def __init__(self, router: Router, streams: Streams, regions: Regions | None, limits: Limits) -> None:
        self.streams = streams
        self._router = router
        self._regions = regions
        self._limits = limits

    def answer(self, exchange: Exchange, model: str, version: str | None = None) -> None:
        """Send the request to the model.

        Raises:
            HttpError: what is wrong with it.
        """
        encoding = known(exchange.header(b"content-encoding"))
        self._router.find(model, version)
        if encoding is None:
            self._parsed(exchange, model, version, exchange.body)
            return

        def inflated(body: bytes) -> None:
            exchange.hold(len(body))
            self._parsed(exchange, model, version, body)

        body, most = exchange.body, self._limits.body_bytes
        # Always: what a few bytes become is not known before.
        self._apart(exchange, lambda: inflate(body, most), inflated)

    def _parsed(self, exchange: Exchange, model: str, version: str | None, body: Buffer) -> None:
        length = _json_length(exchange.header(b"inference-header-content-length"))
        if (len(body) if length is None else length) > self._limits.json_bytes:
            raise HttpError(413, f"over {self._limits.json_bytes} bytes of JSON; send tensors as binary data")
        if length == 0:
            request = raw_request(body, self._router.find(model, version).io)
        else:
            request = parse_infer(body, length, Memory(self._regions, exchange))
        Inference(self._router, InferJob(self, model, version, request, exchange)).start()

    def send(self, exchange: Exchange, answer: Answer) -> None:
        """Answer, compressed when the client asked for it."""
        encoding = wanted(exchange.header(b"accept-encoding"))
        if encoding is None:
            exchange.respond(200, *answer)
            return

        def deflated(body: bytes) -> None:
            headers = answer.headers + b"content-encoding: %b\r\n" % encoding.encode()
            exchange.respond(200, body, answer.kind, headers)

        if len(answer.body) <= INLINE_BYTES:
            deflated(deflate(answer.body, encoding))
        else:
            self._apart(exchange, lambda: deflate(answer.body, encoding), deflated)

    def _apart(self, exchange: Exchange, work: Callable[[], bytes], then: Callable[[bytes], None]) -> None:
        """Do a piece of work in a thread; ``then`` goes on with what came of it."""
        loop = asyncio.get_running_loop()

        def done(future: Future[bytes]) -> None:
            loop.call_soon_threadsafe(exchange.attempt, lambda: then(future.result()))

        self._thread.submit(work).add_done_callback(done)

    @cached_property
    def _thread(self) -> ThreadPoolExecutor:
        """One: two large bodies at once would take twice the memory."""
        return ThreadPoolExecutor(1, "compression")


def _json_length(value: bytes | None) -> int | None:
    if value is None:
        return None
    if not (value.isdigit() and len(value) < 16):
        raise HttpError(400, "header Inference-Header-Content-Length must be a number of bytes")
    return int(value)
