"""Grants against an HPKE written from RFC 9180, and that against the RFC's own test vector (appendix A.5.1)."""

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from dunlin_contract import hpke, keys
from dunlin_contract.errors import ContractError
from tests.contract import rfc9180

CEK, RELEASE = bytes(range(32)), b"r" * 32

SK_R = bytes.fromhex("a4d1c55836aa30f9b3fbb6ac98d338c877c2867dd3a77396d13f68d3ab150d3b")
SK_E = bytes.fromhex("7550253e1147aae48839c1f8af80d2770fb7a4c763afe7d0afa7e0f42a5b3689")
PK_R = bytes.fromhex(
    "04a697bffde9405c992883c5c439d6cc358170b51af72812333b015621dc0f40bad9bb726f68a5c013806a790ec716ab8669f84f6b694596c2"
    "987cf35baba2a006"
)
ENC = bytes.fromhex(
    "04c07836a0206e04e31d8ae99bfd549380b072a1b1b82e563c935c095827824fc1559eac6fb9e3c70cd3193968994e7fe9781aa103f5b50e93"
    "4b5b2f387e381291"
)
SHARED_SECRET = bytes.fromhex("806520f82ef0b03c823b7fc524b6b55a088f566b9751b89551c170f4113bd850")
KEY = bytes.fromhex("a8f45490a92a3b04d1dbf6cf2c3939ad8bfc9bfcb97c04bffe116730c9dfe3fc")
BASE_NONCE = bytes.fromhex("726b4390ed2209809f58c693")
INFO = b"Ode on a Grecian Urn"
PLAINTEXT, AAD = b"Beauty is truth, truth beauty", b"Count-0"
CIPHERTEXT = bytes.fromhex("6469c41c5c81d3aa85432531ecf6460ec945bde1eb428cb2fedf7a29f5a685b4ccb0d057f03ea2952a27bb458b")


def test_rfc_9180_a_5_1() -> None:
    recipient, ephemeral = rfc9180.private_key(SK_R), rfc9180.private_key(SK_E)
    assert rfc9180.point(recipient) == PK_R
    assert rfc9180.point(ephemeral) == ENC
    secret = rfc9180.shared_secret(recipient.exchange(ec.ECDH(), ephemeral.public_key()), ENC, PK_R)
    assert secret == SHARED_SECRET
    assert rfc9180.key_schedule(secret, INFO) == (KEY, BASE_NONCE)
    assert rfc9180.seal(ephemeral, PK_R, INFO, AAD, PLAINTEXT) == (ENC, CIPHERTEXT)
    assert rfc9180.open_base(recipient, ENC, INFO, AAD, CIPHERTEXT) == PLAINTEXT


def _info(protected: bytes, recipient: str) -> bytes:
    return cbor2.dumps(["dnb/v1 grant", protected, RELEASE, recipient])


@pytest.mark.parametrize("recipient", ["pi-1", hpke.VAULT, hpke.PACKAGER])
def test_independent_hpke_opens_our_grants(recipient: str) -> None:
    key = keys.generate()
    grant = hpke.seal_cek(CEK, keys.spki(key), RELEASE, recipient)
    protected, unprotected, sealed = cbor2.loads(grant)
    assert cbor2.loads(protected) == {1: -65537, 4: keys.kid(keys.spki(key))}
    assert list(unprotected) == [-4]
    assert rfc9180.open_base(key, unprotected[-4], _info(protected, recipient), b"", sealed) == CEK


@pytest.mark.parametrize("recipient", ["pi-1", hpke.VAULT, hpke.PACKAGER])
def test_we_open_independent_grants(recipient: str) -> None:
    key = keys.generate()
    protected = cbor2.dumps({1: -65537, 4: keys.kid(keys.spki(key))}, canonical=True)
    enc, sealed = rfc9180.seal(keys.generate(), rfc9180.point(key), _info(protected, recipient), b"", CEK)
    grant = cbor2.dumps([protected, {-4: enc}, sealed], canonical=True)
    assert hpke.open_cek(grant, key, RELEASE, recipient) == CEK


def test_a_grant_opens_for_nothing_else() -> None:
    key, other = keys.generate(), keys.generate()
    grant = hpke.seal_cek(CEK, keys.spki(key), RELEASE, "pi-1")
    assert hpke.open_cek(grant, key, RELEASE, "pi-1") == CEK
    for wrong in ((key, RELEASE, "pi-2"), (key, b"s" * 32, "pi-1"), (other, RELEASE, "pi-1"), (key, RELEASE, "@vault")):
        with pytest.raises(ContractError) as refused:
            hpke.open_cek(grant, *wrong)
        assert refused.value.rule == "grant-open"


def test_every_flipped_bit_of_a_grant_is_refused() -> None:
    key = keys.generate()
    grant = hpke.seal_cek(CEK, keys.spki(key), RELEASE, "pi-1")
    for bit in range(len(grant) * 8):
        flipped = bytearray(grant)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ContractError):
            hpke.open_cek(bytes(flipped), key, RELEASE, "pi-1")
