"""Deterministic CBOR (RFC 8949 section 4.2.1), the only encoding in the contract.

Map keys within one map are all of one type here (unsigned, text, or the few COSE labels), for which cbor2's canonical
order is the bytewise order that RFC 8949 asks for. Of tags there are two, COSE_Sign1's and COSE_Sign's; every other is
refused before it is interpreted, since cbor2 would build dates, decimals and compiled regular expressions of them.
"""

from collections.abc import Callable
from typing import Any, NoReturn

import cbor2

from dunlin_contract.limits import LIMITS
from dunlin_contract.rules import Rule, refuse, require

SIGN1_TAG = 18
SIGN_TAG = 98


def _refuse_tag(_value: Any, _immutable: bool) -> NoReturn:
    raise ValueError("a tag that has no place here")


class _TagDecoders(dict[int, Callable[[Any, bool], Any]]):
    """Answers for every tag but COSE's, which cbor2 then returns as plain tags."""

    def __missing__(self, tag: int) -> Callable[[Any, bool], Any]:
        if tag in {SIGN1_TAG, SIGN_TAG}:
            raise KeyError(tag)
        return _refuse_tag


_TAG_DECODERS = _TagDecoders()


def encode(value: object) -> bytes:
    """The one valid encoding of ``value``."""
    return cbor2.dumps(value, canonical=True)


def decode(data: bytes, cap_bytes: int) -> Any:
    """Decode at most ``cap_bytes`` of canonical CBOR, nested at most ``LIMITS.nesting`` deep.

    Re-encoding and comparing refuses duplicate keys, indefinite and non-minimal lengths and trailing bytes in one go.

    Raises:
        LimitError: ``data`` is longer than ``cap_bytes``.
        MalformedError: ``encoding``: not CBOR, or nested too deeply, or of other tags than COSE's; ``canonical``: not
            its deterministic encoding.
    """
    require(Rule.SIZE, len(data) <= cap_bytes, f"{len(data)} bytes; at most {cap_bytes} are allowed")
    try:
        value = cbor2.loads(data, max_depth=LIMITS.nesting, semantic_decoders=_TAG_DECODERS)
        again = encode(value)
    except Exception as error:  # noqa: BLE001 - a decoder fed by the network may fail in any way; all mean the same
        refuse(Rule.ENCODING, f"not CBOR ({type(error).__name__})")
    require(Rule.CANONICAL, again == data, "not the deterministic encoding (RFC 8949 4.2.1)")
    return value
