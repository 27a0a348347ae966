"""Enrolment: a claim token out of band, a signed request, a certificate (the shape of EST, RFC 7030)."""

import base64
import binascii
import hashlib
import re
from typing import ClassVar, Self

from dunlin_contract import ids
from dunlin_contract.fit import DeviceDescription
from dunlin_contract.limits import LIMITS
from dunlin_contract.rules import Rule, refuse, require
from dunlin_contract.schema import Record, array, at, format_version, octets, one_of, record, text, uint

_TOKEN_PREFIX = "dunlin1-"  # noqa: S105 - a prefix, not a secret
_BLANKS = " \t\n\v\f\r"
"""What may stand around a token that was copied. Not Python's idea of a blank, which no other language shares."""
_DER = 2048


def _is_https(url: str) -> bool:
    return re.fullmatch("https://[!-~]+", url) is not None


class ClaimToken(Record):
    """Lets one device enrol once. Carries the root's digest, so that the device trusts nothing it meets on the way."""

    CAP_BYTES: ClassVar[int] = 400

    format: int = format_version(default=1)
    url: str = at(1, text(LIMITS.url_bytes, _is_https, 1))
    root_digest: bytes = at(2, octets(32))
    token_id: bytes = at(3, octets(8))
    secret: bytes = at(4, octets(16))
    expires: int = at(5, uint(LIMITS.time_s))

    def __repr__(self) -> str:
        return f"ClaimToken(url={self.url!r}, token_id={self.token_id.hex()}, secret=...)"

    def to_text(self) -> str:
        """The token as people copy it."""
        return _TOKEN_PREFIX + base64.urlsafe_b64encode(self.to_bytes()).decode().rstrip("=")

    @classmethod
    def from_text(cls, token: str) -> Self:
        """Read a token. The error never repeats it.

        Raises:
            ContractError: ``size``, ``claim-token``, or the schema's rules.
        """
        token = token.strip(_BLANKS)
        require(Rule.SIZE, len(token) <= LIMITS.claim_token_chars, "too long for a claim token")
        prefixed = token.startswith(_TOKEN_PREFIX) and token.isascii()
        require(Rule.CLAIM_TOKEN, prefixed, f"a claim token begins with {_TOKEN_PREFIX}: copy the whole of it")
        body = token.removeprefix(_TOKEN_PREFIX)
        try:
            data = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            refuse(Rule.CLAIM_TOKEN, "the claim token is damaged: copy the whole of it")
        claim = cls.from_bytes(data)
        require(Rule.CLAIM_TOKEN, claim.to_text() == token, "the claim token is damaged: copy the whole of it")
        return claim

    def secret_hash(self) -> bytes:
        """What the server stores of the secret."""
        return hashlib.sha256(b"dnb/v1 claim" + self.secret).digest()


class Trust(Record):
    """Answer to a device that knows only its token: the root to check against it, and the device CA."""

    CAP_BYTES: ClassVar[int] = LIMITS.enrolment_bytes + LIMITS.root_bytes

    format: int = format_version(default=1)
    root: bytes = at(1, octets(LIMITS.root_bytes, 1))
    ca: bytes = at(2, octets(_DER, 1))


class EnrolRequest(Record):
    """Signed by the identity key that it carries (COSE_Sign1, role ``enrol``): that proves who holds the key."""

    CAP_BYTES: ClassVar[int] = LIMITS.enrolment_bytes

    format: int = format_version(default=1)
    device: str = at(1, text(LIMITS.device_bytes, ids.is_device))
    token_id: bytes = at(2, octets(8))
    secret: bytes = at(3, octets(16))
    spki: bytes = at(4, octets(91))
    kem: bytes = at(5, octets(91))
    description: DeviceDescription = at(6, record(DeviceDescription))

    def __repr__(self) -> str:
        return f"EnrolRequest(device={self.device!r}, token_id={self.token_id.hex()}, secret=...)"


_REPLY_FIELDS = {
    "issued": (frozenset({"chain", "broker_host", "broker_port"}), frozenset({"root"})),
    "pending": (frozenset({"poll_s"}),),
    "refused": (frozenset({"reason"}),),
}


class EnrolReply(Record):
    """``issued`` comes with the certificate chain (DER, device first) and the broker; ``pending`` with when to ask.

    A device behind a gateway has no connection of its own, hence no certificate: ``issued`` brings it the envelope of
    the ``root`` that its claim token pins. ``refused`` comes with the ``reason``, one line that says what to do next.
    """

    CAP_BYTES: ClassVar[int] = LIMITS.enrolment_bytes

    format: int = format_version(default=1)
    status: str = at(1, one_of("issued", "pending", "refused"))
    chain: tuple[bytes, ...] = at(2, array(octets(_DER, 1), 4), default=())
    broker_host: str = at(3, text(LIMITS.url_bytes), default="")
    broker_port: int = at(4, uint(65535), default=0)
    poll_s: int = at(5, uint(3600), default=0)
    root: bytes | None = at(6, octets(LIMITS.root_bytes, 1), default=None)
    reason: str = at(7, text(LIMITS.text_bytes), default="")

    def check(self) -> None:
        optional = ("chain", "broker_host", "broker_port", "poll_s", "root", "reason")
        present = frozenset(name for name in optional if getattr(self, name))
        fits = present in _REPLY_FIELDS[self.status]
        require(Rule.REPLY_STATUS, fits, f"{', '.join(sorted(present)) or 'no field'} in a reply that is {self.status}")


class RenewRequest(Record):
    """Signed by the identity key the server knows (COSE_Sign1, role ``renew``): also an expired certificate renews."""

    CAP_BYTES: ClassVar[int] = LIMITS.enrolment_bytes

    format: int = format_version(default=1)
    device: str = at(1, text(LIMITS.device_bytes, ids.is_device))
    spki: bytes = at(2, octets(91))
