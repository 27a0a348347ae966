"""The paths of the shared memory extensions (Triton's docs/protocol/extension_shared_memory.md)."""

from fleet_agent.front.exchange import Exchange
from fleet_agent.front.management import refuse
from fleet_agent.front.oip import json_object
from fleet_agent.front.shared_memory import Memory, Regions
from fleet_agent.front.table import Entry

_NO_GPU = "GPUs not supported: CUDA shared memory cannot be registered here"


class Sharing:
    """Handlers over the registered regions; None: shared memory is switched off."""

    def __init__(self, regions: Regions | None) -> None:
        self._regions = regions

    def entries(self) -> list[Entry]:
        """What it answers."""
        system, cuda = "/v2/systemsharedmemory", "/v2/cudasharedmemory"
        return [
            ("GET", f"{system}/status", self._status),
            ("GET", f"{system}/region/{{region}}/status", self._status),
            ("POST", f"{system}/region/{{region}}/register", self._register),
            ("POST", f"{system}/region/{{region}}/unregister", self._unregister),
            ("POST", f"{system}/unregister", self._unregister),
            # tritonclient asks for these whatever the server can: nothing is registered, and nothing can be.
            ("GET", f"{cuda}/status", lambda exchange: exchange.respond_json([])),
            ("GET", f"{cuda}/region/{{region}}/status", refuse(404, _NO_GPU)),
            ("POST", f"{cuda}/region/{{region}}/register", refuse(400, _NO_GPU)),
            ("POST", f"{cuda}/region/{{region}}/unregister", _nothing),
            ("POST", f"{cuda}/unregister", _nothing),
        ]

    def _status(self, exchange: Exchange, name: str | None = None) -> None:
        memory = Memory(self._regions, exchange)
        regions, uid = memory.regions, memory.uid
        found = regions.listed(uid) if name is None else [regions.find(uid, name, 404)]
        exchange.respond_json([region.described() for region in found])

    def _register(self, exchange: Exchange, name: str) -> None:
        memory = Memory(self._regions, exchange)
        memory.regions.register(memory.uid, name, json_object(exchange.body))
        exchange.respond(200, b"")

    def _unregister(self, exchange: Exchange, name: str | None = None) -> None:
        memory = Memory(self._regions, exchange)
        memory.regions.unregister(memory.uid, name)
        exchange.respond(200, b"")


def _nothing(exchange: Exchange, *_: str) -> None:
    exchange.respond(200, b"")
