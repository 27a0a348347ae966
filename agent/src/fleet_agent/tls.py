"""TLS towards the fleet's own server and broker, whose certificates come from the device CA and nobody else."""

import ssl

from fleet_agent.paths import Paths

# X509_V_FLAG_NO_CHECK_TIME (openssl/x509_vfy.h, since 1.1.0); Python's ssl has no name for it.
_NO_CHECK_TIME = 0x200000


class CertificateTooOldError(Exception):
    """The peer's certificate ended before the latest time that we know to have passed."""


def client_context(paths: Paths) -> ssl.SSLContext:
    """Context with this device's certificate. Raises OSError (ssl.SSLError among them) when a file is damaged."""
    context = server_context(paths.ca.read_text("ascii"))
    context.load_cert_chain(paths.certificate, paths.identity_key)
    return context


def server_context(ca_pem: str) -> ssl.SSLContext:
    """Context that believes certificates of this CA at any time of the clock: :func:`check_peer` sees to time."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cadata=ca_pem)
    context.verify_flags |= _NO_CHECK_TIME
    return context


def check_peer(sock: ssl.SSLSocket, at_least: int) -> None:
    """Refuse a peer whose certificate had ended by ``at_least`` (signed time, Unix seconds).

    Raises:
        CertificateTooOldError: it had.
    """
    certificate = sock.getpeercert()
    ends = certificate.get("notAfter") if certificate else None
    if not isinstance(ends, str) or ssl.cert_time_to_seconds(ends) < at_least:
        raise CertificateTooOldError(f"the server's certificate ended {ends}: it must be renewed on the server")
