"""Grants: a content key wrapped for one recipient with HPKE (RFC 9180), in a COSE_Encrypt0 array.

Suite: base mode, DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305. COSE-HPKE has no code point for it, hence
the private-use algorithm id. ``info`` binds release and recipient: a grant for another device or release opens nothing.
"""

from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from dunlin_contract import cbor, cose, keys
from dunlin_contract.limits import LIMITS
from dunlin_contract.rules import Rule, refuse, require

ALG_HPKE_P256_CHACHA = -65537
_ENCAPSULATED_KEY = -4
VAULT = "@vault"
PACKAGER = "@packager"
"""Recipients that are no devices; ``@`` cannot stand in a device id."""

_ENC_BYTES = 65
_SUITE = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
_SEALED_CEK_BYTES = 48


def _info(protected: bytes, release_digest: bytes, recipient: str) -> bytes:
    return cbor.encode(["dnb/v1 grant", protected, release_digest, recipient])


def seal_cek(cek: bytes, recipient_spki: bytes, release_digest: bytes, recipient: str) -> bytes:
    """Wrap a 32-byte content key for ``recipient``'s KEM key. Returns the COSE_Encrypt0 array, 138 bytes."""
    protected = cose.protected_header(ALG_HPKE_P256_CHACHA, keys.kid(recipient_spki))
    info = _info(protected, release_digest, recipient)
    sealed = _SUITE.encrypt(cek, keys.load_spki(recipient_spki), info)
    return _grant(protected, sealed[:_ENC_BYTES], sealed[_ENC_BYTES:])


def _grant(protected: Any, enc: Any, sealed: Any) -> bytes:
    return cbor.encode([protected, {_ENCAPSULATED_KEY: enc}, sealed])


def open_cek(grant: bytes, private_key: keys.PrivateKey, release_digest: bytes, recipient: str) -> bytes:
    """The content key.

    Raises:
        LimitError, MalformedError, SignatureError, MismatchError: ``size``, ``canonical``, ``grant-shape``,
            ``cose-header`` or ``grant-open`` (another key, release or recipient, or damaged).
    """
    value = cbor.decode(grant, LIMITS.grant_bytes)
    require(Rule.GRANT_SHAPE, isinstance(value, list | tuple) and len(value) == 3, "a COSE_Encrypt0 is expected")
    protected, unprotected, sealed = value
    enc = unprotected.get(_ENCAPSULATED_KEY) if isinstance(unprotected, Mapping) else None
    lengths = [len(part) if type(part) is bytes else -1 for part in (enc, sealed)]
    # Written again and compared, as everywhere: no other label, and no key -4.0 that Python takes for it.
    shaped = lengths == [_ENC_BYTES, _SEALED_CEK_BYTES] and _grant(protected, enc, sealed) == grant
    shaped = shaped and type(protected) is bytes
    require(Rule.GRANT_SHAPE, shaped, "a header, a 65-byte encapsulated key and a 48-byte wrapped key are expected")
    kid = cose.kid_in(protected, ALG_HPKE_P256_CHACHA)
    ours = keys.kid(keys.spki(private_key))
    require(Rule.GRANT_OPEN, kid == ours, f"the grant is for key {kid.hex()}, not {ours.hex()}")
    try:
        return _SUITE.decrypt(enc + sealed, private_key, _info(protected, release_digest, recipient))
    except (InvalidTag, ValueError):
        refuse(Rule.GRANT_OPEN, "the grant does not open: another key, release or recipient, or damaged")
