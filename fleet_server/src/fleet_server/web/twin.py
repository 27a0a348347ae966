"""`/devices.json` is `/devices` as JSON: the suffix is taken off before routing, and remembered for the answer."""

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

SUFFIX = ".json"
_HOME = "/index"
_OTHERS = ("/api/", "/static/")


class JsonTwin:
    """Strips the suffix from page addresses; `/index.json` is the twin of `/`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] == "http" and path.endswith(SUFFIX) and not path.startswith(_OTHERS):
            page = path.removesuffix(SUFFIX)
            page = "/" if page == _HOME else page
            scope = {**scope, "path": page, "raw_path": page.encode(), "dunlin.json": True}
        await self._app(scope, receive, send)


def wants_json(request: Request) -> bool:
    """Whether the JSON twin was asked for, by suffix or by preference."""
    accept = request.headers.get("accept", "")
    return (
        bool(request.scope.get("dunlin.json")) or accept.split(",")[0].partition(";")[0].strip() == "application/json"
    )
