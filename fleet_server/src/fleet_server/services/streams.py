"""Numbered streams of a device: each number stored once, and acknowledged only as far as none before it is missing.

Events and results are numbered alike, each in streams of their own with random ids.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from dunlin_contract.event import Ack
from dunlin_contract.topics import Address
from fleet_server.context import Context
from fleet_server.db.models import DeviceRow, EventRow, EventStreamRow, ResultRow
from fleet_server.services import devices

STREAMS = 16  # streams kept per device; a device starts one when it is enrolled or lost its disk
_PAGE = 100  # numbers read at once to see which follow without a gap: mostly none or all of them do


@dataclass(frozen=True, slots=True)
class AckDue:
    """An ack to send after the commit."""

    address: Address
    stream: str


@dataclass(frozen=True, slots=True)
class Kind:
    """What a stream is of. `prune` keeps a device's rows within their cap, and is called about once in `every` rows."""

    row: type[EventRow] | type[ResultRow]
    every: int
    prune: Callable[[Session, str], None]


def receive(
    session: Session,
    kind: Kind,
    row: DeviceRow,
    stream_id: bytes,
    numbers: tuple[int, int],
    store: Callable[[str, bool], bool],
    now: float,
) -> AckDue:
    """Take what covers `numbers` (first and last, one and the same for most) of a stream of `row`'s device.

    `store` writes it down, given the stream's name and whether no number as high was seen before, and says whether it
    was new; it is not called for what is known to be old.
    """
    first, n = numbers
    name = stream_id.hex()
    stream = session.get(EventStreamRow, (row.id, name)) or _new_stream(session, kind, row.id, name, now)
    in_order = stream.n == stream.highest == first - 1
    new = n > stream.n and store(name, n > stream.highest)
    if new:
        if _prune_due(kind.every, n, stream.highest):
            kind.prune(session, row.id)
        stream.highest = max(stream.highest, n)
    if in_order:
        stream.n = n
    elif n > stream.n and (first <= stream.n + 1 or not new):
        # What came new above a missing number moves nothing, however much lies there already.
        _pass_gap(session, kind, stream, None if new else n)
    stream.updated = row.last_seen = now
    session.add_all((stream, row))
    return AckDue(devices.address_of(row), name)


def ack_for(session: Session, ctx: Context, due: AckDue) -> bytes | None:
    """The signed ack for what is committed of a stream; None while there is nothing to acknowledge."""
    stream = session.get(EventStreamRow, (due.address.device, due.stream))
    if stream is None or stream.n < 1:
        return None
    return ctx.keys.sign_ack(Ack(device=due.address.device, stream=bytes.fromhex(due.stream), n=stream.n).to_bytes())


def of_devices(session: Session, names: list[str]) -> list[EventStreamRow]:
    """The streams of these devices."""
    return list(session.exec(select(EventStreamRow).where(col(EventStreamRow.device).in_(names))))


def _prune_due(every: int, n: int, highest: int) -> bool:
    """Once in a block of numbers, not at certain numbers: the device chooses which it uses.

    Below the highest block it could go to and fro between two for ever, or stay in one: there it is by chance.
    """
    ahead = n // every - highest // every
    return ahead > 0 or (ahead < 0 and random.randrange(every) == 0)


def _pass_gap(session: Session, kind: Kind, stream: EventStreamRow, repeated: int | None) -> None:
    """Move the stream on over every number that follows without a gap.

    A device repeats from the oldest that it still keeps. So when the lowest above a gap comes again, what is missing
    below it was acknowledged by a past of this server that a restored backup has forgotten: it is gone.
    """
    of = kind.row
    first: Any = func.coalesce(col(ResultRow.first), col(ResultRow.n)) if of is ResultRow else col(EventRow.n)
    mine = select(first, col(of.n)).where(of.device == stream.device, of.stream == stream.stream)
    mine = mine.order_by(first, col(of.n)).limit(_PAGE)
    while page := session.exec(mine.where(col(of.n) > stream.n)).all():
        for start, n in page:
            if start > stream.n + 1 and n != repeated:
                return
            stream.n = max(stream.n, n)


def _new_stream(session: Session, kind: Kind, device: str, name: str, now: float) -> EventStreamRow:
    of_device = select(EventStreamRow).where(EventStreamRow.device == device)
    known = list(session.exec(of_device.order_by(col(EventStreamRow.updated).desc())))
    for old in known[STREAMS - 1 :]:
        session.delete(old)
    stream = EventStreamRow(device=device, stream=name, updated=now)
    session.add(stream)
    session.flush()
    kind.prune(session, device)
    return stream
