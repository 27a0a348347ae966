"""The paths of the local API."""

from fleet_agent.front import oip
from fleet_agent.front.errors import HttpError
from fleet_agent.front.exchange import Exchange
from fleet_agent.front.limits import Limits
from fleet_agent.front.router import Inference, Router


class App:
    """Answers whole requests."""

    def __init__(self, router: Router, limits: Limits) -> None:
        self._router = router
        self._limits = limits

    def handle(self, exchange: Exchange) -> None:
        """Answer ``exchange``, now or when a worker has answered.

        Raises:
            HttpError: what to answer instead.
        """
        match exchange.path:
            case ("v2", "models", model, "infer"):
                self._infer(exchange, model, None)
            case ("v2", "models", model, "versions", version, "infer"):
                self._infer(exchange, model, version)
            case ("v2", "models", model):
                self._describe(exchange, model, None)
            case ("v2", "models", model, "versions", version):
                self._describe(exchange, model, version)
            case ("v2", "models", model, "ready"):
                self._ready(exchange, model, None)
            case ("v2", "models", model, "versions", version, "ready"):
                self._ready(exchange, model, version)
            case ("v2",):
                exchange.need(b"GET")
                exchange.respond_json(oip.server_metadata())
            case ("v2", "health", "live"):
                exchange.need(b"GET")
                exchange.respond(200, b"")
            case ("v2", "health", "ready"):
                self._server_ready(exchange)
            case ("v2", "repository", "index"):
                exchange.need(b"POST")
                exchange.respond_json(self._index())
            case _:
                path = "/".join(exchange.path)[:100]
                raise HttpError(404, f"there is no /{path}; see the Open Inference Protocol v2")

    def _infer(self, exchange: Exchange, model: str, version: str | None) -> None:
        exchange.need(b"POST")
        json_length = None
        for name, value in exchange.headers:
            if name == b"inference-header-content-length":
                json_length = _bytes(value)
            elif name == b"content-encoding" and value != b"identity":
                raise HttpError(415, "compressed requests are not taken; send the body as it is")
        if (len(exchange.body) if json_length is None else json_length) > self._limits.json_bytes:
            raise HttpError(413, f"over {self._limits.json_bytes} bytes of JSON; send tensors as binary data")
        self._router.find(model, version)
        Inference(self._router, model, version, oip.parse_infer(exchange.body, json_length), exchange).start()

    def _describe(self, exchange: Exchange, model: str, version: str | None) -> None:
        exchange.need(b"GET")
        worker = self._router.find(model, version)
        exchange.respond_json(oip.model_metadata(model, worker.version, worker.runtime, worker.io))

    def _ready(self, exchange: Exchange, model: str, version: str | None) -> None:
        exchange.need(b"GET")
        if not self._router.find(model, version).usable:
            raise HttpError(400, f"model {model!r} is not ready: it stopped and is being replaced")
        exchange.respond(200, b"")

    def _server_ready(self, exchange: Exchange) -> None:
        exchange.need(b"GET")
        routed = self._router.routed()
        if not routed:
            raise HttpError(400, "not ready: no model is served yet")
        stopped = next((worker.model for worker in routed if not worker.usable), None)
        if stopped is not None:
            raise HttpError(400, f"not ready: model {stopped!r} stopped and is being replaced")
        exchange.respond(200, b"")

    def _index(self) -> list[dict[str, str]]:
        return [
            {
                "name": worker.model,
                "version": worker.version,
                "state": "READY" if worker.usable else "UNAVAILABLE",
                "reason": "" if worker.usable else "it stopped and is being replaced",
            }
            for worker in self._router.routed()
        ]


def _bytes(value: bytes) -> int:
    if not (value.isdigit() and len(value) < 16):
        raise HttpError(400, "header Inference-Header-Content-Length must be a number of bytes")
    return int(value)
