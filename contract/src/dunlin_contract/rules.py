"""Every rule by which bytes are refused, each with a name of its own.

A refusal names exactly one rule; test vectors (``contract/vectors``) expect that name from every implementation.
All refusals pass through :func:`require`, so that a test can disable one rule and see which vector notices.
"""

from enum import StrEnum
from typing import NoReturn

from dunlin_contract import errors


class Rule(StrEnum):
    """Name of a verification rule, as it stands in vectors, events and problem reports."""

    # encoding
    SIZE = "size"
    ENCODING = "encoding"
    CANONICAL = "canonical"
    # closed schema
    TYPE = "type"
    FIELD_MISSING = "field-missing"
    FIELD_UNKNOWN = "field-unknown"
    RANGE = "range"
    COUNT = "count"
    VALUE = "value"
    VERSION = "version"
    ORDER = "order"
    # signatures
    COSE_SHAPE = "cose-shape"
    COSE_HEADER = "cose-header"
    SIGNATURE = "signature"
    SIGNER_UNKNOWN = "signer-unknown"
    THRESHOLD = "threshold"
    # manifest
    PAYLOAD_INDEX = "payload-index"
    PAYLOAD_ROLE = "payload-role"
    PAYLOAD_LENGTH = "payload-length"
    PAYLOAD_ID = "payload-id"
    VARIANT_KIND = "variant-kind"
    MODEL_MISSING = "model-missing"
    MANIFEST_TIME = "manifest-time"
    TFLM_PAYLOAD = "tflm-payload"
    # bundle file
    MAGIC = "magic"
    HEADER = "header"
    LENGTHS = "lengths"
    TRAILING = "trailing"
    MERKLE = "merkle"
    LEAF = "leaf"
    CHUNK_OPEN = "chunk-open"
    INSTALLED = "installed"
    # grant
    GRANT_SHAPE = "grant-shape"
    GRANT_OPEN = "grant-open"
    # root
    ROOT_ROLE = "root-role"
    ROOT_KEY = "root-key"
    ROOT_VERSION = "root-version"
    ROOT_EPOCH = "root-epoch"
    # directive
    DEVICE = "device"
    EPOCH = "epoch"
    SEQUENCE = "sequence"
    EQUIVOCATION = "equivocation"
    FRESHNESS = "freshness"
    DIRECTIVE_TIME = "directive-time"
    RELEASE = "release"
    FLOOR = "floor"
    TRIAL = "trial"
    WIPE_DESIRED = "wipe-desired"
    # results, drift
    RESULT_KIND = "result-kind"
    BASELINE = "baseline"
    # wipe, enrolment, topics, link
    CLAIM_TOKEN = "claim-token"  # noqa: S105 - the name of a rule
    REPLY_STATUS = "reply-status"
    TOPIC = "topic"
    FRAME = "frame"


_FAMILY: dict[type[errors.ContractError], frozenset[Rule]] = {
    errors.LimitError: frozenset({Rule.SIZE, Rule.COUNT}),
    errors.MalformedError: frozenset(
        {
            Rule.ENCODING,
            Rule.CANONICAL,
            Rule.COSE_SHAPE,
            Rule.MAGIC,
            Rule.HEADER,
            Rule.GRANT_SHAPE,
            Rule.CLAIM_TOKEN,
            Rule.FRAME,
        }
    ),
    errors.SchemaError: frozenset(
        {
            Rule.TYPE,
            Rule.FIELD_MISSING,
            Rule.FIELD_UNKNOWN,
            Rule.RANGE,
            Rule.VALUE,
            Rule.VERSION,
            Rule.ORDER,
            Rule.TOPIC,
        }
    ),
    errors.SignatureError: frozenset({Rule.COSE_HEADER, Rule.SIGNATURE, Rule.SIGNER_UNKNOWN, Rule.THRESHOLD}),
    errors.PolicyError: frozenset(
        {
            Rule.ROOT_VERSION,
            Rule.ROOT_EPOCH,
            Rule.DEVICE,
            Rule.EPOCH,
            Rule.SEQUENCE,
            Rule.EQUIVOCATION,
            Rule.FRESHNESS,
            Rule.RELEASE,
            Rule.FLOOR,
        }
    ),
}
_ERROR: dict[Rule, type[errors.ContractError]] = {rule: error for error, rules in _FAMILY.items() for rule in rules}


def refuse(rule: Rule, detail: str) -> NoReturn:
    """Raise the error of ``rule``'s family; rules of no other family are cross-field mismatches."""
    raise _ERROR.get(rule, errors.MismatchError)(rule.value, detail)


def require(rule: Rule, holds: bool, detail: str) -> None:
    """Refuse with ``rule`` unless it ``holds``. ``detail`` is shown to people: never put secrets in it."""
    if not holds:
        refuse(rule, detail)
