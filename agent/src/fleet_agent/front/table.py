"""The local API's paths: which function answers which method of which path."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TypeAlias

from fleet_agent.front.errors import HttpError
from fleet_agent.front.exchange import Exchange, segments

Handler: TypeAlias = Callable[..., None]
"""Takes the exchange and the path's values, in their order."""
Entry: TypeAlias = tuple[str, str, Handler]
"""Method, pattern, handler."""


def versioned(method: str, end: str, handler: Handler) -> list[Entry]:
    """The two paths of everything that may name a version: the handler takes model and version, or the model alone."""
    model = "/v2/models/{model}"
    return [(method, model + end, handler), (method, model + "/versions/{version}" + end, handler)]


class Table:
    """Patterns such as ``/v2/models/{model}/infer``; the first that fits a path has it."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._patterns: dict[tuple[str, ...], dict[bytes, Handler]] = {}
        for method, pattern, handler in entries:
            self._patterns.setdefault(tuple(pattern.split("/")[1:]), {})[method.encode()] = handler
        self._find = lru_cache(maxsize=256)(self._search)

    @property
    def known(self) -> set[tuple[str, str]]:
        """Every method in lower case and its pattern, as an OpenAPI document has them."""
        return {
            (method.decode().lower(), "/" + "/".join(pattern))
            for pattern, methods in self._patterns.items()
            for method in methods
        }

    def answer(self, exchange: Exchange) -> None:
        """Call the handler.

        Raises:
            HttpError: 404 or 405; or what the handler raises.
        """
        methods, values = self._find(exchange.url)
        handler = methods.get(exchange.method)
        if handler is None:
            allowed = b", ".join(sorted(methods))
            raise HttpError(405, f"use {allowed.decode()} here", headers=b"allow: %b\r\n" % allowed)
        handler(exchange, *values)

    def _search(self, url: bytes) -> tuple[dict[bytes, Handler], tuple[str, ...]]:
        path = segments(url)
        for pattern, methods in self._patterns.items():
            if len(pattern) == len(path) and all(_fits(*pair) for pair in zip(pattern, path, strict=True)):
                return methods, tuple(part for want, part in zip(pattern, path, strict=True) if want[:1] == "{")
        shown = "/".join(path)[:100]
        raise HttpError(404, f"there is no /{shown}; GET /docs lists what there is")


def _fits(want: str, part: str) -> bool:
    return want[:1] == "{" or want == part
