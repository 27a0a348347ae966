"""The keys of one installation, as files under DIR/keys (directory 0700, private keys 0600).

Callers ask for what a key *does* (sign a directive, open a sealed CEK, issue a certificate), never for the key: a KMS
can stand behind `Keys` later without any caller changing.
"""

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from dunlin_contract import cose, hpke, keys
from fleet_server.errors import ConfigError
from fleet_server.keys import ca, files

_RENEW_BEFORE_S = 365 * 86400.0


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the files are; the broker's configuration names some of them."""

    dir: Path

    @property
    def ca_certificate(self) -> Path:
        """PEM of the device CA: what both ends of every connection trust."""
        return self.dir / "ca.crt"

    def key(self, name: str) -> Path:
        """PEM private key of `director`, `vault`, `ca`, `broker`, `client` or `https`."""
        return self.dir / f"{name}.pem"

    def certificate(self, name: str) -> Path:
        """PEM certificate of `broker` (server), `client` (this server at the broker) or `https` (devices' listener)."""
        return self.dir / f"{name}.crt"


class Keys:
    """Director, vault and device CA."""

    def __init__(self, paths: Paths) -> None:
        """Load the keys.

        Raises: ConfigError if a file is missing, unreadable or not a key.
        """
        self.paths = paths
        self._director = _load_key(paths.key("director"))
        self._vault = _load_key(paths.key("vault"))
        self.director_spki = keys.spki(self._director)
        self.vault_spki = keys.spki(self._vault)
        self.ca = ca.CertificateAuthority(_load_key(paths.key("ca")), _load_certificate(paths.ca_certificate))

    def sign_directive(self, payload: bytes) -> bytes:
        """COSE_Sign1 of a directive's bytes by the director key."""
        return cose.sign1(payload, self._director, cose.Role.DIRECTIVE)

    def sign_ack(self, payload: bytes) -> bytes:
        """COSE_Sign1 of an ack's bytes by the director key."""
        return cose.sign1(payload, self._director, cose.Role.ACK)

    def open_cek(self, sealed: bytes, release_digest: bytes) -> bytes:
        """The CEK that `packager push` sealed to the vault key.

        Raises: ContractError (`grant-open`...) if it was sealed to another key or for another release.
        """
        return hpke.open_cek(sealed, self._vault, release_digest, hpke.VAULT)


def create(paths: Paths, now: float) -> None:
    """Make director, vault and CA keys in an empty key directory."""
    paths.dir.mkdir(mode=0o700, parents=True)
    for name in ("director", "vault", "ca"):
        key = keys.generate()
        files.write_secret(paths.key(name), keys.dump_pem(key, None))
        if name == "ca":
            files.write(paths.ca_certificate, _pem(ca.make_ca(key, now)), 0o644)


def ensure_certificates(owner: Keys, hosts: list[str], now: float) -> list[str]:
    """Issue the server's own certificates where they are missing, near their end, or for other hosts.

    `hosts`: names and addresses devices and this server use. Returns the names of those issued.
    """
    hosts = list(dict.fromkeys([*hosts, "localhost", "127.0.0.1", "::1"]))
    issued = []
    for name in ("broker", "https", "client"):
        if _usable(owner, name, hosts if name != "client" else [], now):
            continue
        key = keys.generate()
        public = key.public_key()
        certificate = (
            owner.ca.issue_own_client(public, now) if name == "client" else owner.ca.issue_server(hosts, public, now)
        )
        files.write_secret(owner.paths.key(name), keys.dump_pem(key, None))
        files.write(owner.paths.certificate(name), _pem(certificate) + owner.ca.pem, 0o644)
        issued.append(name)
    return issued


def _usable(owner: Keys, name: str, hosts: list[str], now: float) -> bool:
    path = owner.paths.certificate(name)
    if not path.exists() or not owner.paths.key(name).exists():
        return False
    certificate = _load_certificate(path)
    if certificate.not_valid_after_utc.timestamp() - now < _RENEW_BEFORE_S or not owner.ca.issued(certificate):
        return False
    if certificate.public_key() != _load_key(owner.paths.key(name)).public_key():
        return False  # interrupted between writing the key and its certificate
    return not hosts or set(hosts) <= ca.hosts_of(certificate)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _load_key(path: Path) -> keys.PrivateKey:
    try:
        return keys.load_pem(path.read_bytes())
    except FileNotFoundError:
        raise ConfigError(f"{path} is missing: restore it from a backup, or run `fleet-server init` anew") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot use {path}: {error}") from None


def _load_certificate(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except FileNotFoundError:
        raise ConfigError(f"{path} is missing: restore it from a backup, or run `fleet-server init` anew") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot use {path}: {error}") from None
