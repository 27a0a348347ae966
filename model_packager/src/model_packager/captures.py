"""``packager capture``: orders to keep some of a model's requests on a device, drafted on a server, signed here."""

import base64
import binascii
import hashlib
import re
import time
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dunlin_contract.capture import CaptureOrder
from dunlin_contract.console import UsageError
from dunlin_contract.cose import Role
from dunlin_contract.errors import ContractError
from dunlin_contract.limits import LIMITS
from model_packager import files, owners
from model_packager.errors import PackagerError, ServerError
from model_packager.server import Server, read_token
from model_packager.show import time_text

_PATH = re.compile(r"(?:/api/v1)?/captures/([A-Za-z0-9_-]{1,64})(?:/order)?/?")
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Draft:
    """An order and its bytes. Parsing is canonical and closed, so the bytes say no more than the order does."""

    order: CaptureOrder
    payload: bytes


def parse(payload: bytes) -> Draft:
    """Read an order.

    Raises:
        PackagerError: not an order, or one that holds more than it shows.
    """
    try:
        order = CaptureOrder.from_bytes(payload)
    except ContractError as error:
        raise PackagerError(f"this is not a capture order: {error}; do not sign it") from None
    if order.to_bytes() != payload:
        raise PackagerError("the order's bytes hold more than can be shown; do not sign it")
    return Draft(order, payload)


def words(draft: Draft) -> str:
    """What signing means, for the person who signs."""
    order = draft.order
    return "\n".join(
        [
            f"Capture order {order.order_id.hex()}",
            f"  device   {order.device}",
            f"  keeps    requests of {order.model}, inputs and answers in the clear, and sends them to the fleet:",
            *(f"           {what}" for what in _picked(order)),
            f"  at most  {order.per_day} in 24 hours; fewer, or none, as the device's owner has it",
            f"  issued   {time_text(order.issued)}",
            f"  until    {time_text(order.not_after)}",
            f"  digest   {hashlib.sha256(draft.payload).hexdigest()}",
        ]
    )


def _picked(order: CaptureOrder) -> Iterator[str]:
    if order.random_permille:
        yield f"{order.random_permille / 10:g} % of all, at random"
    if order.margin_permille:
        yield f"those whose two largest outputs are less than {order.margin_permille / 10:g} % apart"
    if order.disagreement:
        yield "those that a candidate on trial answers otherwise"
    if order.classes:
        yield f"those whose largest output is {' or '.join(map(str, order.classes))}"


def draft(arguments: Namespace) -> None:
    """``packager capture draft``: have the server write an order, and see that it is the one that was asked for."""
    asked: dict[str, Any] = {
        "device": arguments.device,
        "model": arguments.model,
        "not_after": int(time.time()) + arguments.days * _DAY_S,
        "per_day": arguments.per_day,
        "random_permille": arguments.random,
        "margin_permille": arguments.margin,
        "disagreement": arguments.disagreement,
        "classes": sorted(set(arguments.classes)),
    }
    if not (arguments.random or arguments.margin or arguments.disagreement or arguments.classes):
        raise UsageError("say which requests are to be kept: --random, --margin, --disagreement or --class")
    with Server(arguments.server, read_token(arguments.token_file), arguments.ca) as server:
        answer = server.draft_capture(asked)
        found = parse(_payload(server, answer))
        got = {key: getattr(found.order, key) for key in asked} | {"classes": list(found.order.classes)}
        if got != asked:
            raise ServerError(f"{server.url} drafted another order than was asked for: do not sign it\n{words(found)}")
        print(words(found))
        print(
            f"next: packager capture sign {server.url}/captures/{_number(answer)} --key ops-1.pem, and a second owner"
        )


def sign(arguments: Namespace) -> None:
    """``packager capture sign``."""
    number = number_in(arguments.order)
    if number is None:
        if arguments.out is None:
            raise UsageError("an order from a file is signed into a file: give --out FILE")
        with Path(arguments.order).open("rb") as file:
            files.write(arguments.out, _signed(parse(file.read(LIMITS.capture_bytes + 1)), arguments))
        print(f"the signature is in {arguments.out}")
        return
    with Server(arguments.order, read_token(arguments.token_file), arguments.ca) as server:
        signature = _signed(parse(_payload(server, server.capture(number))), arguments)
        if arguments.out is not None:
            files.write(arguments.out, signature)
            print(f"the signature is in {arguments.out}")
        else:
            print(_standing(server.sign_capture(number, signature)))


def show(arguments: Namespace) -> None:
    """``packager capture show``."""
    number = _number_of(arguments)
    with Server(arguments.order, read_token(arguments.token_file), arguments.ca) as server:
        answer = server.capture(number)
        print(words(parse(_payload(server, answer))))
        print(f"  state    {_standing(answer)}")


def cancel(arguments: Namespace) -> None:
    """``packager capture cancel``."""
    number = _number_of(arguments)
    with Server(arguments.order, read_token(arguments.token_file), arguments.ca) as server:
        print(_standing(server.cancel_capture(number)))


def number_in(target: str) -> str | None:
    """The order's number when ``target`` is its address on a server; None when it is no http(s) address.

    Raises:
        PackagerError: an address of something else.
    """
    parts = urlsplit(target)
    if parts.scheme not in ("http", "https"):
        return None
    match = _PATH.fullmatch(parts.path)
    if match is None:
        raise PackagerError(f"{target} is not a capture order's address: copy the one that ends in /captures/NUMBER")
    return match[1]


def _number_of(arguments: Namespace) -> str:
    number = number_in(arguments.order)
    if number is None:
        raise UsageError("give the order's address, such as https://fleet.example.org/captures/NUMBER")
    return number


def _signed(draft: Draft, arguments: Namespace) -> bytes:
    return owners.signature(draft.payload, Role.CAPTURE, words(draft), draft.order.device, arguments)


def _number(answer: dict[str, Any]) -> str:
    number = str(answer.get("id"))
    if _PATH.fullmatch(f"/captures/{number}") is None:
        raise ServerError("the server drafted an order without a number: is it a Dunlin server?")
    return number


def _payload(server: Server, answer: dict[str, Any]) -> bytes:
    text = str(answer.get("payload", ""))
    try:
        if len(text) <= 2 * LIMITS.capture_bytes:
            return base64.b64decode(text, validate=True)
    except binascii.Error:
        pass
    raise ServerError(f"{server.url} sent no order's bytes: is it a Dunlin server that keeps requests?")


def _standing(answer: dict[str, Any]) -> str:
    signatures, needed = answer.get("signatures"), answer.get("needed")
    count = len(signatures) if isinstance(signatures, list) else 0
    state = str(answer.get("state"))
    return f"{state}, {count} of {needed} signatures" if state == "draft" else state
