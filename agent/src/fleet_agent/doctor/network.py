"""Whether the broker and the server can be reached as this device."""

import socket
import ssl
from urllib.parse import urlsplit

from fleet_agent import tls
from fleet_agent.doctor.check import About, Check, fail, ok, warn

_WAIT_S = 5.0
_SILENCE_S = 1.0


def look(about: About) -> list[Check]:
    """The broker by TLS with this device's certificate, without a word of MQTT; the server by a connection."""
    enrolment = about.enrolment
    if enrolment is None:
        return []
    broker = f"broker {enrolment.broker_host}:{enrolment.broker_port}"
    if about.running is not None and about.running.get("connected"):
        return [ok(f"{broker}: the agent is connected")]
    return [_broker(about, broker, (enrolment.broker_host, enrolment.broker_port)), *_server(enrolment.url)]


def _broker(about: About, name: str, address: tuple[str, int]) -> Check:
    try:
        context = tls.client_context(about.paths)
        with socket.create_connection(address, _WAIT_S) as plain:
            plain.settimeout(_WAIT_S)
            with context.wrap_socket(plain, server_hostname=address[0]) as secure:
                taken = _silent(secure)
    except TimeoutError:
        return _unreachable(name, "it does not answer")
    except ssl.SSLCertVerificationError as error:
        fix = "check that the address in the enrolment is the broker's, and that nobody is in between"
        return fail(f"{name} is not the fleet's", error.verify_message, fix)
    except ssl.SSLError as error:
        why = f"{error.reason or error}"
        return fail(f"{name} does not take this device", why, "ask an operator whether this device was revoked")
    except OSError as error:
        return _unreachable(name, error.strerror or str(error))
    if taken:
        return ok(f"{name} takes this device's certificate")
    return warn(f"{name} hangs up", "it took the certificate and closed the connection", "see the broker's log")


def _silent(secure: ssl.SSLSocket) -> bool:
    """In TLS 1.3 a certificate that is not taken shows with the first read; a broker that took it waits for us."""
    secure.settimeout(_SILENCE_S)
    try:
        secure.recv(1)
    except TimeoutError:
        return True
    return False


def _unreachable(name: str, why: str) -> Check:
    fix = "models go on serving; check cable, Wi-Fi, DNS and firewall of this device"
    return warn(f"{name} cannot be reached", why, fix)


def _server(url: str) -> list[Check]:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 443), _WAIT_S).close()
    except OSError as error:
        why = f"{error.strerror or error}: certificates are renewed there"
        return [warn(f"server {url} cannot be reached", why, "check the network of this device")]
    return [ok(f"server {url} can be reached")]
