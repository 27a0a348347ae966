"""``packager wipe sign``: one owner's signature under a wipe order, after saying in words what it does."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from dunlin_contract.errors import ContractError
from dunlin_contract.limits import LIMITS
from dunlin_contract.wipe import WipeOrder
from model_packager.errors import PackagerError
from model_packager.show import time_text

_WIPE_PATH = re.compile(r"(?:/api/v1)?/wipes/([A-Za-z0-9_-]{1,64})(?:/order)?/?")


@dataclass(frozen=True, slots=True)
class Draft:
    """An order and its bytes. Parsing is canonical and closed, so the bytes say no more than the order does."""

    order: WipeOrder
    payload: bytes


def parse(payload: bytes) -> Draft:
    """Read an order.

    Raises:
        PackagerError: not an order, or one that holds more than it shows.
    """
    try:
        order = WipeOrder.from_bytes(payload)
    except ContractError as error:
        raise PackagerError(f"this is not a wipe order: {error}; do not sign it") from None
    if order.to_bytes() != payload:
        raise PackagerError("the order's bytes hold more than can be shown; do not sign it")
    return Draft(order, payload)


def read(path: Path) -> Draft:
    """Read an order from a file. Raises OSError, PackagerError."""
    with path.open("rb") as file:
        return parse(file.read(LIMITS.wipe_bytes + 1))


def number_in(target: str) -> str | None:
    """The order's number when ``target`` is its address on a server; None when it is no http(s) address.

    Raises:
        PackagerError: an address of something else.
    """
    parts = urlsplit(target)
    if parts.scheme not in ("http", "https"):
        return None
    match = _WIPE_PATH.fullmatch(parts.path)
    if match is None:
        raise PackagerError(f"{target} is not a wipe order's address: copy the one that ends in /wipes/NUMBER")
    return match[1]


def words(draft: Draft) -> str:
    """What signing means, for the person who signs."""
    order = draft.order
    what = f"the models {', '.join(order.models)}" if order.models else "ALL MODELS"
    return "\n".join(
        [
            f"Wipe order {order.order_id.hex()}",
            f"  device   {order.device}",
            f"  erases   {what}; encrypted storage keys are destroyed, nothing can bring the models back",
            f"  issued   {time_text(order.issued)}; it never expires",
            f"  reason   {order.reason or '(none given)'}",
            f"  digest   {hashlib.sha256(draft.payload).hexdigest()}",
        ]
    )
