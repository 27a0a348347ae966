"""P-256 keys: making, storing, naming. The same curve signs (ESP256) and wraps (DHKEM), each with a key of its own."""

import hashlib

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from dunlin_contract.ids import KID_BYTES
from dunlin_contract.rules import Rule, refuse, require

PrivateKey = ec.EllipticCurvePrivateKey
PublicKey = ec.EllipticCurvePublicKey


def generate() -> PrivateKey:
    """A new P-256 private key."""
    return ec.generate_private_key(ec.SECP256R1())


def spki(key: PrivateKey | PublicKey) -> bytes:
    """DER SubjectPublicKeyInfo (RFC 5280), 91 bytes, uncompressed point."""
    public = key.public_key() if isinstance(key, PrivateKey) else key
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def kid(spki_der: bytes) -> bytes:
    """Key id: the first 8 bytes of SHA-256 over the SubjectPublicKeyInfo. A hint, never proof."""
    return hashlib.sha256(spki_der).digest()[:KID_BYTES]


def load_spki(spki_der: bytes) -> PublicKey:
    """Public key of its one DER encoding.

    Raises:
        MismatchError: ``root-key``: not a P-256 key, or another encoding of one.
    """
    try:
        key = serialization.load_der_public_key(spki_der)
    except (ValueError, UnsupportedAlgorithm):
        refuse(Rule.ROOT_KEY, "not a DER public key")
    require(Rule.ROOT_KEY, isinstance(key, PublicKey) and key.curve.name == "secp256r1", "not a P-256 key")
    assert isinstance(key, PublicKey)
    require(Rule.ROOT_KEY, spki(key) == spki_der, "the public key is not in its canonical encoding")
    return key


def dump_pem(key: PrivateKey, passphrase: bytes | None) -> bytes:
    """PKCS#8 PEM, encrypted when a passphrase is given."""
    how = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)


def load_pem(data: bytes, passphrase: bytes | None = None) -> PrivateKey:
    """Private key from PKCS#8 PEM.

    Raises:
        ValueError: not a P-256 key, or the passphrase is missing or wrong. The text never holds key material.
    """
    try:
        key = serialization.load_pem_private_key(data, passphrase)
    except TypeError:
        raise ValueError(
            "the key is encrypted: give its passphrase"
            if passphrase is None
            else "the key is not encrypted: give no passphrase"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("not a PEM private key, or the passphrase is wrong") from None
    if not isinstance(key, PrivateKey) or key.curve.name != "secp256r1":
        raise ValueError("not a P-256 private key")
    return key
