"""The local API put together: which part answers which path."""

from collections.abc import Callable
from pathlib import Path

from fleet_agent.front import metrics
from fleet_agent.front.exchange import Exchange
from fleet_agent.front.infer import Infer
from fleet_agent.front.limits import Limits
from fleet_agent.front.management import Management
from fleet_agent.front.predict import Predict
from fleet_agent.front.router import Router
from fleet_agent.front.shared_memory import Regions
from fleet_agent.front.sharing import Sharing
from fleet_agent.front.stream import Streams
from fleet_agent.front.table import Handler, Table, versioned

_STATIC = Path(__file__).with_name("static")
# The page's own style and script stand in it; nothing else is loaded, and it talks to this API alone.
_POLICY = (
    b"content-security-policy: default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    b"connect-src 'self'; frame-ancestors 'none'\r\n"
)


class App:
    """Answers whole requests. ``connections``: how many are open, for the metrics."""

    def __init__(
        self,
        router: Router,
        limits: Limits,
        *,
        shared_memory: bool = True,
        connections: Callable[[], int] = lambda: 0,
    ) -> None:
        self._router = router
        self._connections = connections
        self._streams = streams = Streams(limits)
        regions = Regions(limits) if shared_memory else None
        management = Management(router, shared_memory=shared_memory)
        predict = Predict(router, streams, limits).answer
        self.table = Table(
            [
                *versioned("POST", "/infer", Infer(router, streams, regions, limits).answer),
                # Before the models' names, as Triton has it: a model called "stats" is reached with its version.
                ("GET", "/v2/models/stats", management.every_statistic),
                *management.entries(),
                ("GET", "/v2/models/{model}/stream", self._stream),
                *Sharing(regions).entries(),
                ("POST", "/predict", predict),
                ("POST", "/predict/{model}", predict),
                ("GET", "/metrics", self._metrics),
                ("GET", "/openapi.json", _file("openapi.json", b"application/json")),
                ("GET", "/docs", _file("docs.html", b"text/html; charset=utf-8", _POLICY)),
            ]
        )

    def handle(self, exchange: Exchange) -> None:
        """Answer ``exchange``, now or when a worker has answered.

        Raises:
            HttpError: what to answer instead.
        """
        self.table.answer(exchange)

    def _stream(self, exchange: Exchange, model: str) -> None:
        self._router.find(model, None)
        self._streams.open(exchange, model)

    def _metrics(self, exchange: Exchange) -> None:
        ledgers = self._router.ledgers()
        pending = [self._router.pending(ledger) for ledger in ledgers]
        now = metrics.Now(self._connections(), self._streams.readers, pending)
        exchange.respond(200, metrics.text(ledgers, now), metrics.KIND)


def _file(name: str, kind: bytes, headers: bytes = b"") -> Handler:
    def answer(exchange: Exchange) -> None:
        exchange.respond(200, (_STATIC / name).read_bytes(), kind, headers)

    return answer
