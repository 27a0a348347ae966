"""The device CA (RFC 5280): P-256, one level, no intermediates, so that a microcontroller can check a chain.

A certificate's CN is the name the broker knows its owner by, so only names that are one topic level can be issued.
"""

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from dunlin_contract import ids, keys
from fleet_server.errors import InvalidError

SERVER_CN = "_server"  # cannot be a device id: `_` is not in their alphabet
DEVICE_DAYS = 90
OWN_DAYS = 5 * 365  # the server's own certificates; reissued at start in their last year
CA_DAYS = 20 * 365
_BACKDATE = datetime.timedelta(days=1)  # clocks of fresh machines run behind


def make_ca(key: keys.PrivateKey, now: float) -> x509.Certificate:
    """A self-signed CA certificate for `key`, valid `CA_DAYS` from `now` (unix seconds)."""
    name = _name("Dunlin device CA")
    builder = _builder(name, name, key.public_key(), now, CA_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(certificates=True), critical=True)
    return builder.sign(key, hashes.SHA256())


class CertificateAuthority:
    """Issues certificates under one CA key."""

    def __init__(self, key: keys.PrivateKey, certificate: x509.Certificate) -> None:
        self._key = key
        self.certificate = certificate
        self.pem = certificate.public_bytes(serialization.Encoding.PEM)
        self.der = certificate.public_bytes(serialization.Encoding.DER)
        self.spki = keys.spki(key)

    def issue_device(self, device: str, public: keys.PublicKey, now: float) -> x509.Certificate:
        """A client certificate with CN = `device`, valid `DEVICE_DAYS` from `now` (unix seconds).

        Raises: InvalidError if `device` is not a device id, or is reserved.
        """
        if not ids.is_device(device):
            raise InvalidError(f"{device[:40]!r} is no device id: use 1 to 36 of a-z 0-9 -, and no reserved name")
        return self._issue(device, public, now, DEVICE_DAYS, ExtendedKeyUsageOID.CLIENT_AUTH, [])

    def issue_server(self, hosts: list[str], public: keys.PublicKey, now: float) -> x509.Certificate:
        """A server certificate for `hosts` (DNS names and IP addresses; the first is the CN)."""
        return self._issue(hosts[0], public, now, OWN_DAYS, ExtendedKeyUsageOID.SERVER_AUTH, hosts)

    def issue_own_client(self, public: keys.PublicKey, now: float) -> x509.Certificate:
        """The client certificate by which the broker knows this server."""
        return self._issue(SERVER_CN, public, now, OWN_DAYS, ExtendedKeyUsageOID.CLIENT_AUTH, [])

    def issued(self, certificate: x509.Certificate) -> bool:
        """Whether this CA signed `certificate` (its dates are not looked at)."""
        try:
            certificate.verify_directly_issued_by(self.certificate)
        except Exception:  # noqa: BLE001 - any failure to verify a hostile certificate means the same
            return False
        return True

    def _issue(
        self, cn: str, public: keys.PublicKey, now: float, days: int, usage: x509.ObjectIdentifier, hosts: list[str]
    ) -> x509.Certificate:
        builder = _builder(_name(cn), self.certificate.subject, public, now, days)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(certificates=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(authority, critical=False)
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general(h) for h in hosts]), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def hosts_of(certificate: x509.Certificate) -> set[str]:
    """The names and addresses a server certificate is for."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(general.value) for general in names}


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, now: float, days: int
) -> x509.CertificateBuilder:
    start = datetime.datetime.fromtimestamp(int(now), datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public)
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(start - _BACKDATE).not_valid_after(start + datetime.timedelta(days=days))
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)


def _name(cn: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn[:64])])


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )
