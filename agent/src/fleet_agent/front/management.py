"""The paths that tell of models, and those of Triton's that change something, which here only the fleet does."""

from collections.abc import Callable
from functools import partial

from fleet_agent.front import description
from fleet_agent.front.errors import HttpError
from fleet_agent.front.exchange import Exchange
from fleet_agent.front.oip import json_object
from fleet_agent.front.router import Router
from fleet_agent.front.table import Entry, versioned

_NO_LOADING = "which models this device holds is the fleet's to decide; desire a release on the fleet's server"
_NO_TRACES = "this agent does not trace requests"
_NO_LOG_SETTINGS = "the agent's log is not set over this API"
_TRACE_SETTINGS = {
    "trace_level": ["OFF"],
    "trace_rate": "0",
    "trace_count": "0",
    "log_frequency": "0",
    "trace_file": "",
}
_LOG_SETTINGS = {
    "log_file": "",
    "log_info": True,
    "log_warning": True,
    "log_error": True,
    "log_verbose_level": 0,
    "log_format": "default",
}


class Management:
    """Handlers over the router's knowledge."""

    def __init__(self, router: Router, *, shared_memory: bool) -> None:
        self._router = router
        self._about = description.server(shared_memory=shared_memory)

    def entries(self) -> list[Entry]:
        """What it answers."""
        no_traces = refuse(501, _NO_TRACES)
        return [
            ("GET", "/v2", self._server),
            ("GET", "/v2/health/live", lambda exchange: exchange.respond(200, b"")),
            ("GET", "/v2/health/ready", self._ready),
            *versioned("GET", "", self._metadata),
            *versioned("GET", "/ready", self._model_ready),
            *versioned("GET", "/config", self._config),
            *versioned("GET", "/stats", self._statistics),
            ("POST", "/v2/repository/index", self._index),
            ("POST", "/v2/repository/models/{model}/load", refuse(403, _NO_LOADING)),
            ("POST", "/v2/repository/models/{model}/unload", refuse(403, _NO_LOADING)),
            ("GET", "/v2/trace/setting", partial(_constant, _TRACE_SETTINGS)),
            ("POST", "/v2/trace/setting", no_traces),
            ("GET", "/v2/models/{model}/trace/setting", self._trace),
            ("POST", "/v2/models/{model}/trace/setting", no_traces),
            ("GET", "/v2/logging", partial(_constant, _LOG_SETTINGS)),
            ("POST", "/v2/logging", refuse(501, _NO_LOG_SETTINGS)),
        ]

    def every_statistic(self, exchange: Exchange) -> None:
        """``GET /v2/models/stats``."""
        found = [description.statistics(ledger) for ledger in self._router.ledgers()]
        exchange.respond_json({"model_stats": found})

    def _server(self, exchange: Exchange) -> None:
        exchange.respond_json(self._about)

    def _ready(self, exchange: Exchange) -> None:
        routed = self._router.routed()
        if not routed:
            raise HttpError(400, "not ready: no model is served yet")
        stopped = next((worker.model for worker in routed if not worker.usable), None)
        if stopped is not None:
            raise HttpError(400, f"not ready: model {stopped!r} stopped and is being replaced")
        exchange.respond(200, b"")

    def _metadata(self, exchange: Exchange, model: str, version: str | None = None) -> None:
        exchange.respond_json(description.model(self._router.find(model, version)))

    def _model_ready(self, exchange: Exchange, model: str, version: str | None = None) -> None:
        if not self._router.find(model, version).usable:
            raise HttpError(400, f"model {model!r} is not ready: it stopped and is being replaced")
        exchange.respond(200, b"")

    def _config(self, exchange: Exchange, model: str, version: str | None = None) -> None:
        worker = self._router.find(model, version)
        exchange.respond_json(description.config(worker, len(self._router.copies(worker))))

    def _statistics(self, exchange: Exchange, model: str, version: str | None = None) -> None:
        ledger = self._router.find(model, version).ledger
        exchange.respond_json({"model_stats": [description.statistics(ledger)]})

    def _trace(self, exchange: Exchange, model: str) -> None:
        self._router.find(model, None)
        exchange.respond_json(_TRACE_SETTINGS)

    def _index(self, exchange: Exchange) -> None:
        only_ready = bool(exchange.body) and json_object(exchange.body).get("ready") is True
        found = [description.index_entry(worker) for worker in self._router.routed() if worker.usable or not only_ready]
        exchange.respond_json(found)


def refuse(status: int, text: str) -> Callable[..., None]:
    """A handler that answers no more than why not."""

    def answer(*_: object) -> None:
        raise HttpError(status, text)

    return answer


def _constant(answer: object, exchange: Exchange) -> None:
    exchange.respond_json(answer)
