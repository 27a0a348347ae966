"""COSE signatures (RFC 9052): Sign1 by one key, Sign by several. One algorithm: ESP256 (RFC 9864), ECDSA on P-256.

The role string goes into ``external_aad``, so that bytes signed for one purpose verify for no other.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from dunlin_contract import cbor, keys
from dunlin_contract.cbor import SIGN1_TAG, SIGN_TAG
from dunlin_contract.ids import KID_BYTES
from dunlin_contract.limits import LIMITS
from dunlin_contract.rules import Rule, refuse, require

ESP256 = -9
CONTENT_TYPE = "application/dnb+cbor"
_COORDINATE = 32


class Role(StrEnum):
    """What a signature is for; the value is the ``external_aad``."""

    ROOT = "dnb/v1/root"
    RELEASE = "dnb/v1/release"
    DIRECTIVE = "dnb/v1/directive"
    ACK = "dnb/v1/ack"
    ENROL = "dnb/v1/enrol"
    RENEW = "dnb/v1/renew"
    WIPE = "dnb/v1/wipe"
    RECEIPT = "dnb/v1/receipt"
    REPORTED = "dnb/v1/reported"
    EVENT = "dnb/v1/event"
    CAPTURE = "dnb/v1/capture"


def _ecdsa_sign(key: keys.PrivateKey, message: bytes) -> bytes:
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(_COORDINATE, "big") + s.to_bytes(_COORDINATE, "big")


def _ecdsa_holds(spki: bytes, signature: bytes, message: bytes) -> bool:
    if len(signature) != 2 * _COORDINATE:
        return False
    r, s = (int.from_bytes(half, "big") for half in (signature[:_COORDINATE], signature[_COORDINATE:]))
    try:
        keys.load_spki(spki).verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def protected_header(algorithm: int, kid: bytes) -> bytes:
    """Protected header of a signer or a recipient: exactly {1: algorithm, 4: key id}."""
    return cbor.encode({1: algorithm, 4: kid})


def kid_in(protected: bytes, algorithm: int) -> bytes:
    """Key id in a protected header, which must be the one encoding of ``{1: algorithm, 4: key id}``.

    Comparing bytes leaves no room for a second reading (a key ``true`` or ``1.0`` that equals 1 once decoded).
    """
    kid = protected[-KID_BYTES:]
    exact = protected == protected_header(algorithm, kid)
    require(Rule.COSE_HEADER, exact, f"the protected header must be exactly {{1: {algorithm}, 4: 8-byte key id}}")
    return kid


def _signer_header(key: keys.PrivateKey) -> bytes:
    return protected_header(ESP256, keys.kid(keys.spki(key)))


def _sign1_message(protected: bytes, role: Role, payload: bytes) -> bytes:
    return cbor.encode(["Signature1", protected, role.value.encode(), payload])


def sign1(payload: bytes, key: keys.PrivateKey, role: Role) -> bytes:
    """COSE_Sign1 (tag 18) of ``payload`` by one key."""
    protected = _signer_header(key)
    signature = _ecdsa_sign(key, _sign1_message(protected, role, payload))
    return cbor.encode(cbor2.CBORTag(SIGN1_TAG, [protected, {}, payload, signature]))


def _untag(envelope: bytes, tag: int, cap_bytes: int) -> list[Any]:
    value = cbor.decode(envelope, cap_bytes)
    shaped = isinstance(value, cbor2.CBORTag) and value.tag == tag and isinstance(value.value, list | tuple)
    require(Rule.COSE_SHAPE, shaped and len(value.value) == 4, f"a COSE array of four with tag {tag} is expected")
    fields = list(value.value)
    require(Rule.COSE_HEADER, fields[1] == {}, "unprotected headers are not allowed")
    require(Rule.COSE_SHAPE, type(fields[0]) is bytes, "a protected header is expected")
    require(Rule.COSE_SHAPE, type(fields[2]) is bytes, "the payload must be attached")
    return fields


def verify1(envelope: bytes, role: Role, signers: Mapping[bytes, bytes], cap_bytes: int) -> bytes:
    """Payload of a COSE_Sign1 by one of ``signers`` (key id -> SubjectPublicKeyInfo).

    Raises:
        LimitError, MalformedError, SignatureError: naming the rule.
    """
    protected, _, payload, signature = _untag(envelope, SIGN1_TAG, cap_bytes)
    kid = kid_in(protected, ESP256)
    require(Rule.SIGNER_UNKNOWN, kid in signers, f"key {kid.hex()} may not sign {role.value}")
    require(Rule.COSE_SHAPE, type(signature) is bytes, "a signature is expected")
    holds = _ecdsa_holds(signers[kid], signature, _sign1_message(protected, role, payload))
    require(Rule.SIGNATURE, holds, f"the {role.value} signature by {kid.hex()} does not hold")
    return bytes(payload)


_BODY_HEADER = cbor.encode({3: CONTENT_TYPE})


def _sign_message(protected: bytes, role: Role, payload: bytes) -> bytes:
    return cbor.encode(["Signature", _BODY_HEADER, protected, role.value.encode(), payload])


def signature(payload: bytes, key: keys.PrivateKey, role: Role) -> bytes:
    """One COSE_Signature over ``payload``, made on its owner's machine and assembled elsewhere."""
    protected = _signer_header(key)
    return cbor.encode([protected, {}, _ecdsa_sign(key, _sign_message(protected, role, payload))])


def assemble(payload: bytes, signatures: Sequence[bytes]) -> bytes:
    """COSE_Sign (tag 98) from signatures made apart by :func:`signature`, in order of their key ids."""
    parts = sorted((_part(cbor.decode(one, LIMITS.ack_bytes)) for one in signatures), key=lambda part: part[0])
    return cbor.encode(cbor2.CBORTag(SIGN_TAG, [_BODY_HEADER, {}, payload, parts]))


def sign(payload: bytes, signing: Sequence[keys.PrivateKey], role: Role) -> bytes:
    """COSE_Sign of ``payload`` by several keys at once."""
    return assemble(payload, [signature(payload, key, role) for key in signing])


def peek(envelope: bytes, cap_bytes: int) -> bytes:
    """Payload of a COSE_Sign *without* verifying it: only to learn which keys to ask for. Never act on it."""
    return bytes(_untag(envelope, SIGN_TAG, cap_bytes)[2])


def peek1(envelope: bytes, cap_bytes: int) -> bytes:
    """Payload of a COSE_Sign1 *without* verifying it: only to learn whose key to verify with. Never act on it."""
    return bytes(_untag(envelope, SIGN1_TAG, cap_bytes)[2])


def signer_of(one_signature: bytes) -> bytes:
    """Key id named by one COSE_Signature, unverified."""
    return kid_in(_part(cbor.decode(one_signature, LIMITS.ack_bytes))[0], ESP256)


def _part(value: Any) -> list[Any]:
    """One COSE_Signature, checked for shape: protected header, no unprotected one, signature."""
    shaped = isinstance(value, list | tuple) and len(value) == 3 and value[1] == {}
    shaped = shaped and type(value[0]) is bytes and type(value[2]) is bytes
    require(Rule.COSE_SHAPE, shaped, "a signature is an array of header, empty map and byte string")
    return list(value)


def verify(envelope: bytes, role: Role, signers: Mapping[bytes, bytes], threshold: int, cap_bytes: int) -> bytes:
    """Payload of a COSE_Sign signed by at least ``threshold`` distinct keys of ``signers``.

    Signatures by keys outside ``signers`` are not counted (a root rotation carries both thresholds); one by a listed
    key that does not hold refuses the whole, since nobody honest makes it.

    Raises:
        LimitError, MalformedError, SignatureError: naming the rule.
    """
    protected, _, payload, parts = _untag(envelope, SIGN_TAG, cap_bytes)
    require(Rule.COSE_HEADER, protected == _BODY_HEADER, f"the content type must be {CONTENT_TYPE}")
    listed = isinstance(parts, list | tuple) and bool(parts)
    require(Rule.COSE_SHAPE, listed, "an array of signatures is expected")
    require(Rule.COUNT, len(parts) <= LIMITS.signatures, f"more than {LIMITS.signatures} signatures")
    valid: set[bytes] = set()
    for part in parts:
        header, _, one = _part(part)
        kid = kid_in(header, ESP256)
        if kid in signers:
            holds = _ecdsa_holds(signers[kid], one, _sign_message(header, role, payload))
            require(Rule.SIGNATURE, holds, f"the {role.value} signature by {kid.hex()} does not hold")
            valid.add(signers[kid])
    if not valid and threshold > 0:
        refuse(Rule.SIGNER_UNKNOWN, f"none of the signers may sign {role.value}")
    require(Rule.THRESHOLD, len(valid) >= threshold, f"{len(valid)} of {threshold} keys signed {role.value}")
    return bytes(payload)
