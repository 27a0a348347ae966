"""``POST /predict``: an image in, labels out. The worker decodes it; here only its first bytes are looked at."""

from fleet_agent import frames
from fleet_agent.frames import IMAGE_TYPES, MOST_TOP_K, Image, Response
from fleet_agent.front.errors import HttpError
from fleet_agent.front.exchange import Exchange, dump
from fleet_agent.front.limits import Limits
from fleet_agent.front.rendering import check_elements, described, predictions, values
from fleet_agent.front.router import Inference, Router, Worker
from fleet_agent.front.stream import Streams

_MAGIC = {"image/jpeg": b"\xff\xd8\xff", "image/png": b"\x89PNG\r\n\x1a\n"}
# What clients say of bytes when nobody told them what the bytes are.
_VAGUE = ("", "application/octet-stream", "application/x-www-form-urlencoded")


class PredictJob:
    """One image for one model."""

    version: str | None = None
    timeout_s: float | None = None

    def __init__(self, model: str, image: Image, streams: Streams, exchange: Exchange) -> None:
        self.model = model
        self.exchange = exchange
        self._streams = streams
        self._packed = frames.pack_image(image)

    def packed(self, worker: Worker) -> bytes:  # noqa: ARG002 - every model takes the same bytes, or refuses
        """See :class:`fleet_agent.front.router.Job`."""
        return self._packed

    def rows(self, worker: Worker) -> int:  # noqa: ARG002
        """See :class:`fleet_agent.front.router.Job`."""
        return 1

    def finish(self, worker: Worker, response: Response) -> None:
        """See :class:`fleet_agent.front.router.Job`."""
        answer: dict[str, object] = {"model": worker.model, "version": worker.version}
        if response.predictions:
            answer["predictions"] = predictions(response.predictions)
        else:
            check_elements(response.tensors, worker.model)
            answer["outputs"] = [described(tensor) | {"data": values(tensor)} for tensor in response.tensors]
        self.exchange.respond(200, dump(answer), headers=worker.header)
        self._streams.publish(worker, "", response, response.tensors)


class Predict:
    """The path's handler."""

    def __init__(self, router: Router, streams: Streams, limits: Limits) -> None:
        self._router = router
        self._streams = streams
        self._limits = limits

    def answer(self, exchange: Exchange, model: str | None = None) -> None:
        """Send the image to the model; without a name to the only one there is.

        Raises:
            HttpError: 400, 404, 413 or 415.
        """
        if model is None:
            served = [worker.model for worker in self._router.routed()]
            if len(served) != 1:
                listed = ", ".join(served) or "none yet"
                raise HttpError(400, f"name the model: POST /predict/MODEL; this device serves {listed}")
            (model,) = served
        self._router.find(model, None)
        image = Image(self._kind(exchange), _top_k(exchange), exchange.body)
        Inference(self._router, PredictJob(model, image, self._streams, exchange)).start()

    def _kind(self, exchange: Exchange) -> str:
        if len(exchange.body) > self._limits.image_bytes:
            raise HttpError(413, f"over {self._limits.image_bytes} bytes of image are not taken")
        said = (exchange.header(b"content-type") or b"").decode("latin-1").partition(";")[0].strip().lower()
        if said not in (*IMAGE_TYPES, *_VAGUE):
            raise HttpError(
                415, f"Content-Type {said[:64]!r} is not taken; send the bytes of a JPEG or PNG as the body"
            )
        if exchange.header(b"content-encoding") not in (None, b"identity"):
            raise HttpError(415, "images are compressed already; send the body as it is")
        for kind, magic in _MAGIC.items():
            if exchange.body.startswith(magic):
                return kind
        raise HttpError(415, "the body is neither a JPEG nor a PNG")


def _top_k(exchange: Exchange) -> int:
    """The query's ``top_k``; 0, the manifest's, without one."""
    text = exchange.query.get("top_k", "0")
    if not (text.isdecimal() and len(text) < 6 and int(text) <= MOST_TOP_K):
        raise HttpError(400, f"top_k must be a number from 1 to {MOST_TOP_K}, or be left out")
    return int(text)
