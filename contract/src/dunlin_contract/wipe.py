"""Remote wipe: an order signed by two people, and the device's signed receipt."""

import hashlib
from typing import ClassVar

from dunlin_contract import ids
from dunlin_contract.limits import LIMITS
from dunlin_contract.rules import Rule, require
from dunlin_contract.schema import Record, array, at, boolean, format_version, octets, one_of, record, text, uint

_digest = octets(32)
_model = text(LIMITS.name_bytes, ids.is_model)


class WipeOrder(Record):
    """Signed by two ops keys (COSE_Sign, role ``wipe``). An empty ``models`` means the whole device. Never expires."""

    CAP_BYTES: ClassVar[int] = LIMITS.wipe_bytes

    format: int = format_version(default=1)
    device: str = at(1, text(LIMITS.device_bytes, ids.is_device))
    order_id: bytes = at(2, octets(16))
    models: tuple[str, ...] = at(3, array(_model, LIMITS.models), default=())
    issued: int = at(4, uint(LIMITS.time_s))
    reason: str = at(5, text(LIMITS.text_bytes), default="")

    def check(self) -> None:
        require(Rule.ORDER, list(self.models) == sorted(set(self.models)), "the models of an order must ascend")


class Erased(Record):
    """One model that is gone: releases that lay in its slots, and the storage key that protected them.

    None: there was no such key, the model lay in the clear and its flash was erased.
    """

    model: str = at(0, _model)
    releases: tuple[bytes, ...] = at(1, array(_digest, 4))
    storage_key: bytes | None = at(2, octets(16), default=None)


class Receipt(Record):
    """Signed by the device's identity key (COSE_Sign1, role ``receipt``).

    ``assurance`` in the terms of NIST SP 800-88 Rev. 1: ``purge`` only when the destroyed key lay in hardware,
    else ``clear``. ``canary_unreadable``: a sample sealed before no longer opens. ``kem``: the new KEM key.
    """

    CAP_BYTES: ClassVar[int] = LIMITS.receipt_bytes

    format: int = format_version(default=1)
    device: str = at(1, text(LIMITS.device_bytes, ids.is_device))
    order_digest: bytes = at(2, _digest)
    erased: tuple[Erased, ...] = at(3, array(record(Erased), LIMITS.models))
    method: str = at(4, text(LIMITS.text_bytes))
    assurance: str = at(5, one_of("clear", "purge"))
    canary_unreadable: bool = at(6, boolean)
    files: int = at(7, uint(LIMITS.sequence))
    bytes_erased: int = at(8, uint(LIMITS.sequence))
    time_s: int = at(9, uint(LIMITS.time_s))
    kem: bytes = at(10, octets(91))


def order_digest(order_payload: bytes) -> bytes:
    """Names an order in its receipt."""
    return hashlib.sha256(order_payload).digest()


def check_order(order: WipeOrder, device: str, desired_models: frozenset[str]) -> None:
    """Whether a genuine order is for this device, and not at odds with the directive that carries it.

    Raises:
        PolicyError, MismatchError: ``device`` or ``wipe-desired``.
    """
    require(Rule.DEVICE, order.device == device, f"the wipe order is for {order.device}")
    both = desired_models & set(order.models) if order.models else desired_models
    require(Rule.WIPE_DESIRED, not both, f"the directive desires what it wipes: {', '.join(sorted(both))}")
