"""One HTTPS exchange with the fleet's server, with the standard library; only in short-lived processes."""

import http.client
import json
import socket
import ssl
from urllib.parse import urlsplit

from dunlin_contract.limits import LIMITS
from fleet_agent.errors import EnrolmentError
from fleet_agent.tls import CertificateTooOldError, check_peer

_TIMEOUT_S = 30.0
_CAP_BYTES = LIMITS.enrolment_bytes + LIMITS.root_bytes
_PENDING = {502, 503, 504}


class ServerDownError(EnrolmentError):
    """The server cannot be reached (now)."""


def exchange(url: str, path: str, body: bytes | None, context: ssl.SSLContext, at_least: int) -> bytes:
    """GET (no body) or POST a CBOR body; returns the answer's body.

    ``at_least``: refuse a server whose certificate had ended by then (Unix seconds).

    Raises:
        ServerDownError: no connection, or the server is starting; trying again later may help.
        EnrolmentError: the server is not the right one, or refused; the text is what it says.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 443
    except ValueError:
        raise EnrolmentError(f"{url} is no address: copy the whole claim token, or ask for a new one") from None
    connection = http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_S, context=context)
    try:
        connection.connect()
        assert isinstance(connection.sock, ssl.SSLSocket)
        if context.verify_mode == ssl.CERT_REQUIRED:
            check_peer(connection.sock, at_least)
        headers = {"Content-Type": "application/cbor"} if body is not None else {}
        connection.request("GET" if body is None else "POST", path, body, headers)
        answer = connection.getresponse()
        data = answer.read(_CAP_BYTES + 1)
    except ssl.SSLCertVerificationError as error:
        raise EnrolmentError(f"{host} is not this fleet's server: {error.verify_message}") from None
    except CertificateTooOldError as error:
        raise EnrolmentError(str(error)) from None
    except (OSError, http.client.HTTPException, socket.gaierror) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise ServerDownError(f"the server {host} port {port} does not answer ({why}): is it running?") from None
    finally:
        connection.close()
    if answer.status != http.client.OK:
        kind = ServerDownError if answer.status in _PENDING else EnrolmentError
        raise kind(problem(answer.status, data))
    if len(data) > _CAP_BYTES:
        raise EnrolmentError("the server's answer is too long")
    return data


def problem(status: int, data: bytes) -> str:
    """What a refusal says: the ``detail`` of a problem+json (RFC 9457), if it is one."""
    try:
        detail = json.loads(data)["detail"]
    except (ValueError, KeyError, TypeError, RecursionError):
        detail = "no reason given"
    return f"the server refused ({status}): {detail}"
