"""Messages owed to the broker. Written with the change that causes them, deleted when the broker has them."""

from sqlalchemy import delete
from sqlmodel import Session, col, select

from dunlin_contract import topics
from fleet_server.db.engine import touch
from fleet_server.db.models import OutboxRow

TOPIC = "outbox"  # notifier topic: there is something to publish


def put(session: Session, topic: str, body: bytes, now: float) -> None:
    """Owe `body` as the retained message of `topic`, instead of whatever was owed there."""
    _replace(session, [OutboxRow(topic=topic, body=body, created=now)])


def put_objects(session: Session, shas: list[str], now: float) -> None:
    """Owe stored objects (SHA-256 hex); their bytes are read when they are sent."""
    _replace(session, [OutboxRow(topic=topics.obj(bytes.fromhex(sha)), object=sha, created=now) for sha in shas])


def clear(session: Session, names: list[str], now: float) -> None:
    """Owe the clearing of the retained messages of these topics."""
    _replace(session, [OutboxRow(topic=topic, created=now) for topic in names])


def pending(session: Session, above: int, limit: int) -> list[OutboxRow]:
    """Up to `limit` owed messages with ids above `above`, oldest first."""
    query = select(OutboxRow).where(col(OutboxRow.id) > above).order_by(col(OutboxRow.id)).limit(limit)
    return list(session.exec(query))


def done(session: Session, ids: list[int]) -> None:
    """The broker has these."""
    session.exec(delete(OutboxRow).where(col(OutboxRow.id).in_(ids)))


def _replace(session: Session, rows: list[OutboxRow]) -> None:
    for start in range(0, len(rows), 500):
        part = rows[start : start + 500]
        session.exec(delete(OutboxRow).where(col(OutboxRow.topic).in_([row.topic for row in part])))
        session.add_all(part)
        session.flush()
    if rows:
        touch(session, TOPIC)
