"""HPKE base mode of RFC 9180 for DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305, written from the RFC.

Only P-256 Diffie-Hellman, HMAC and the AEAD come from libraries. It shares nothing with the codec that it is compared
with, and takes the ephemeral key as an argument, so that the test vectors' grants come out the same every time.
"""

import hashlib
import hmac

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

KEM_ID, KDF_ID, AEAD_ID = 0x0010, 0x0001, 0x0003
_KEM_SUITE = b"KEM" + KEM_ID.to_bytes(2, "big")
_HPKE_SUITE = b"HPKE" + b"".join(one.to_bytes(2, "big") for one in (KEM_ID, KDF_ID, AEAD_ID))


def _extract(salt: bytes, material: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), material, "sha256")


def _expand(key: bytes, info: bytes, length: int) -> bytes:
    out, block = b"", b""
    while len(out) < length:
        block = hmac.digest(key, block + info + bytes([len(out) // 32 + 1]), "sha256")
        out += block
    return out[:length]


def _labeled_extract(suite: bytes, salt: bytes, label: bytes, material: bytes) -> bytes:
    return _extract(salt, b"HPKE-v1" + suite + label + material)


def _labeled_expand(suite: bytes, key: bytes, label: bytes, info: bytes, length: int) -> bytes:
    return _expand(key, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info, length)


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    """SerializePublicKey: the uncompressed point, 65 bytes."""
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def shared_secret(dh: bytes, enc: bytes, recipient_point: bytes) -> bytes:
    """ExtractAndExpand of section 4.1."""
    prk = _labeled_extract(_KEM_SUITE, b"", b"eae_prk", dh)
    return _labeled_expand(_KEM_SUITE, prk, b"shared_secret", enc + recipient_point, 32)


def key_schedule(secret: bytes, info: bytes) -> tuple[bytes, bytes]:
    """Key and base nonce of section 5.1, mode 0."""
    psk_id_hash = _labeled_extract(_HPKE_SUITE, b"", b"psk_id_hash", b"")
    info_hash = _labeled_extract(_HPKE_SUITE, b"", b"info_hash", info)
    context = b"\x00" + psk_id_hash + info_hash
    prk = _labeled_extract(_HPKE_SUITE, secret, b"secret", b"")
    return (
        _labeled_expand(_HPKE_SUITE, prk, b"key", context, 32),
        _labeled_expand(_HPKE_SUITE, prk, b"base_nonce", context, 12),
    )


def seal(
    ephemeral: ec.EllipticCurvePrivateKey, recipient_point: bytes, info: bytes, aad: bytes, plaintext: bytes
) -> tuple[bytes, bytes]:
    """SealBase with the ephemeral key given: (enc, ciphertext) of the first message."""
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), recipient_point)
    enc = point(ephemeral)
    key, nonce = key_schedule(shared_secret(ephemeral.exchange(ec.ECDH(), public), enc, recipient_point), info)
    return enc, ChaCha20Poly1305(key).encrypt(nonce, plaintext, aad)


def open_base(private: ec.EllipticCurvePrivateKey, enc: bytes, info: bytes, aad: bytes, sealed: bytes) -> bytes:
    """OpenBase: the plaintext of the first message."""
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), enc)
    key, nonce = key_schedule(shared_secret(private.exchange(ec.ECDH(), public), enc, point(private)), info)
    return ChaCha20Poly1305(key).decrypt(nonce, sealed, aad)


def private_key(scalar: bytes) -> ec.EllipticCurvePrivateKey:
    """P-256 private key of a big-endian scalar."""
    return ec.derive_private_key(int.from_bytes(scalar, "big"), ec.SECP256R1())


def seeded_key(name: str) -> ec.EllipticCurvePrivateKey:
    """A fixed key for test vectors: its scalar is SHA-256 of a name."""
    return private_key(hashlib.sha256(b"dunlin test key: " + name.encode()).digest())
