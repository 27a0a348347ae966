"""Deterministic CBOR (RFC 8949 section 4.2.1), the only encoding in the contract.

Keys are put in order here, bytewise as RFC 8949 asks for: cbor2's canonical order puts the shorter key first, which
differs where a map has keys of several types. Of tags there are two, COSE_Sign1's and COSE_Sign's; every other is
refused before it is interpreted, since cbor2 would build dates, decimals and compiled regular expressions of them.
"""

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import cbor2

from dunlin_contract.limits import LIMITS
from dunlin_contract.rules import Rule, refuse, require

SIGN1_TAG = 18
SIGN_TAG = 98
_MAP = 5
"""Major type of a map (RFC 8949, 3.1)."""


def _refuse_tag(_value: Any, _immutable: bool) -> NoReturn:
    raise ValueError("a tag that has no place here")


class _TagDecoders(dict[int, Callable[[Any, bool], Any]]):
    """Answers for every tag but COSE's, which cbor2 then returns as plain tags."""

    def __missing__(self, tag: int) -> Callable[[Any, bool], Any]:
        if tag in {SIGN1_TAG, SIGN_TAG}:
            raise KeyError(tag)
        return _refuse_tag


_TAG_DECODERS = _TagDecoders()
_KEYS = frozenset({int, str, bytes})
_LONE_KEYS = frozenset({float, bool, type(None), type(cbor2.undefined), cbor2.CBORSimpleValue})
"""One of these can only be a map's whole content: 1.0 and true would pass for 1 here, and in other languages."""


def _encode_map(encoder: cbor2.CBOREncoder, entries: Mapping[Any, Any]) -> None:
    kinds = {type(key) for key in entries}
    orderly = kinds <= _KEYS or (len(entries) == 1 and kinds <= _LONE_KEYS)
    require(Rule.CANONICAL, orderly, "map keys are integers and strings")
    # Of one kind and sign the shorter key is the lower one, too.
    if len(kinds) == 1 and (int not in kinds or min(entries) >= 0):
        encoder.encode_map(entries)
        return
    encoder.encode_length(_MAP, len(entries))
    for _, key in sorted((cbor2.dumps(key, canonical=True), key) for key in entries):
        encoder.encode(key)
        encoder.encode(entries[key])


_ENCODERS: dict[type, Callable[[cbor2.CBOREncoder, Any], None]] = {dict: _encode_map, cbor2.frozendict: _encode_map}


def encode(value: object) -> bytes:
    """The one valid encoding of ``value``.

    Raises:
        MalformedError: ``canonical``: a map key that is no integer and no string, and not the only one.
    """
    return cbor2.dumps(value, canonical=True, encoders=_ENCODERS)


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
    except Exception as error:  # noqa: BLE001 - a decoder fed by the network may fail in any way; all mean the same
        refuse(Rule.ENCODING, f"not CBOR ({type(error).__name__})")
    require(Rule.CANONICAL, encode(value) == data, "not the deterministic encoding (RFC 8949 4.2.1)")
    return value
