"""Who may ask at all, decided as soon as a request's head is there: tokens, and what a web page made a browser send."""

import hashlib
import hmac
import ipaddress
from collections.abc import Callable

from fleet_agent.front.errors import HttpError
from fleet_agent.front.exchange import Exchange

Admit = Callable[[Exchange], None]
"""Raises HttpError when the request may not be answered."""

_SCHEME = b"bearer "
_OPEN = (b"/docs", b"/openapi.json")  # the same on every device; a browser has no way to send a token with the page


def anyone(exchange: Exchange) -> None:
    """The Unix socket's rule: its mode has decided already."""


def tcp(token_sha256: bytes | None) -> Admit:
    """TCP's rule: with a token whoever has it; without one, whoever is on this machine and no web page."""

    def admit(exchange: Exchange) -> None:
        _refuse_other_pages(exchange)
        if token_sha256 is None:
            _refuse_other_names(exchange)
        elif exchange.url not in _OPEN:
            _need_token(exchange, token_sha256)

    return admit


def _need_token(exchange: Exchange, token_sha256: bytes) -> None:
    given = exchange.header(b"authorization") or b""
    if given[: len(_SCHEME)].lower() == _SCHEME:
        digest = hashlib.sha256(given[len(_SCHEME) :].strip()).digest()
        if hmac.compare_digest(digest, token_sha256):
            return
    text = "this device's local API needs its token: send the header Authorization: Bearer TOKEN"
    raise HttpError(401, text, headers=b"www-authenticate: Bearer\r\n")


def _refuse_other_pages(exchange: Exchange) -> None:
    """A page of another site that is open in a browser on this machine may send requests here, but says where from."""
    origin = exchange.header(b"origin")
    host = exchange.header(b"host") or b""
    if origin is not None and origin not in (b"http://" + host, b"https://" + host):
        raise HttpError(403, "web pages of other origins may not use this device's local API")


def _refuse_other_names(exchange: Exchange) -> None:
    """A page can have its own name point at 127.0.0.1 and so look like this API's own; the name gives it away."""
    host = (exchange.header(b"host") or b"localhost").decode("latin-1")
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        if name.lower() != "localhost":
            text = f"Host {host[:64]!r} is not this device's local API; use its address, such as 127.0.0.1"
            raise HttpError(403, text) from None
