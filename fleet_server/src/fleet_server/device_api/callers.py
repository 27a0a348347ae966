"""Who calls the devices' listener: a client certificate is asked for and not demanded, since a device that enrols or
renews has none."""

import ssl
from typing import Any

from fastapi import Request
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from fleet_server.errors import SignInError
from fleet_server.keys.store import Paths


class CallerProtocol(HttpToolsProtocol):
    """uvicorn's, which says in each request's state whose verified certificate the connection has."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"]["device"] = _common_name(self.transport.get_extra_info("ssl_object"))


def listener_options(paths: Paths) -> dict[str, Any]:
    """What uvicorn.Config needs for the devices' listener."""
    return {
        "http": CallerProtocol,
        "ssl_certfile": str(paths.certificate("https")),
        "ssl_keyfile": str(paths.key("https")),
        "ssl_ca_certs": str(paths.ca_certificate),
        "ssl_cert_reqs": ssl.CERT_OPTIONAL,
    }


def caller(request: Request) -> str:
    """The id in the caller's certificate. Raises: SignInError where there is none."""
    device = getattr(request.state, "device", None)
    if not isinstance(device, str):
        raise SignInError("this call needs the device's certificate: enrol it, or renew it")
    return device


def _common_name(connection: ssl.SSLObject | None) -> str | None:
    certificate: Any = connection.getpeercert() if connection is not None else None
    # RFC 5280, 4.1.2.4: a sequence of sets, each of one name in what our CA issues.
    for names in (certificate or {}).get("subject", ()):
        for kind, value in names:
            if kind == "commonName":
                return str(value)
    return None
