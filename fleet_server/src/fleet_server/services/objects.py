"""Content-addressed objects: which the broker should hold, and where their bytes are.

An object is published once, retained, while some device's desired state names it, and cleared when none does.
"""

import os

from sqlalchemy import update
from sqlmodel import Session, col, or_, select

from dunlin_contract import topics
from fleet_server.config import Config
from fleet_server.db.models import DeviceModelRow, ObjectRow, ReleaseObjectRow, ReleaseRow
from fleet_server.services import outbox

REPUBLISH_S = 5.0  # a device that keeps saying `missing` does not make the broker carry an object more often


_NAMES = (col(DeviceModelRow.desired), col(DeviceModelRow.trial))  # what a desired state names of a release


def want(session: Session, release: ReleaseRow, now: float) -> None:
    """A desired state names this release: owe its objects to the broker, unless that is done already."""
    if release.wanted:
        return
    release.wanted = True
    session.add(release)
    of_release = select(ReleaseObjectRow.sha).where(ReleaseObjectRow.release == release.digest)
    query = select(ObjectRow.sha).where(col(ObjectRow.sha).in_(of_release), col(ObjectRow.queued_at).is_(None))
    _queue(session, list(session.exec(query.order_by(col(ObjectRow.offset)))), now)  # manifest and index come first


def add(session: Session, kind: str, sha: str, data: bytes, now: float) -> None:
    """Store a small object (settings, root) and owe it to the broker, unless that is done already."""
    row = session.get(ObjectRow, sha)
    if row is None:
        session.add(ObjectRow(sha=sha, kind=kind, length=len(data), data=data))
        session.flush()
    elif row.queued_at is not None:
        return
    _queue(session, [sha], now)


def clear_unwanted(session: Session, now: float, settings_sha: str | None) -> int:
    """Clear what no desired state names any more. Returns how many objects that were."""
    named = [select(one).where(one.is_not(None)).distinct() for one in _NAMES]
    unnamed = (col(ReleaseRow.digest).not_in(some) for some in named)
    stale = list(session.exec(select(ReleaseRow).where(ReleaseRow.wanted, *unnamed)))
    for release in stale:
        release.wanted = False
        session.add(release)
    session.flush()
    wanted = select(ReleaseRow.digest).where(ReleaseRow.wanted)
    kept = select(ReleaseObjectRow.sha).where(col(ReleaseObjectRow.release).in_(wanted))
    shas: list[str] = []
    for release in stale:
        of_release = select(ReleaseObjectRow.sha).where(ReleaseObjectRow.release == release.digest)
        query = select(ObjectRow.sha).where(col(ObjectRow.sha).in_(of_release), col(ObjectRow.sha).not_in(kept))
        shas += session.exec(query.where(col(ObjectRow.queued_at).is_not(None)))
    old_settings = select(ObjectRow.sha).where(ObjectRow.kind == "settings", col(ObjectRow.queued_at).is_not(None))
    shas += [sha for sha in session.exec(old_settings) if sha != settings_sha]
    if shas:
        _mark(session, shas, None)
        outbox.clear(session, [topics.obj(bytes.fromhex(sha)) for sha in shas], now)
    return len(shas)


def republish_missing(session: Session, device: str, missing: list[str], now: float) -> int:
    """Owe again what a device misses, as far as its own desired state names it. Returns how many objects."""
    named = [select(one).where(DeviceModelRow.device == device, one.is_not(None)) for one in _NAMES]
    of_release = col(ReleaseObjectRow.release)
    its_own = select(ReleaseObjectRow.sha).where(or_(*(of_release.in_(some) for some in named)))
    query = select(ObjectRow.sha).where(
        col(ObjectRow.sha).in_(missing),
        col(ObjectRow.sha).in_(its_own) | col(ObjectRow.kind).in_(("settings", "root")),
        col(ObjectRow.queued_at).is_(None) | (col(ObjectRow.queued_at) < now - REPUBLISH_S),
    )
    shas = list(session.exec(query))
    _queue(session, shas, now)
    return len(shas)


def republish_all(session: Session, now: float) -> int:
    """The broker lost its retained messages: owe every object that is meant to be there again."""
    shas = list(session.exec(select(ObjectRow.sha).where(col(ObjectRow.queued_at).is_not(None))))
    _queue(session, shas, now)
    return len(shas)


def published(session: Session, shas: list[str], now: float) -> None:
    """The broker acknowledged these."""
    statement = update(ObjectRow).where(col(ObjectRow.sha).in_(shas), col(ObjectRow.queued_at).is_not(None))
    session.exec(statement.values(published_at=now))


def read(session: Session, config: Config, sha: str) -> bytes | None:
    """An object's bytes; None if it is not stored here (any more)."""
    row = session.get(ObjectRow, sha)
    if row is None:
        return None
    if row.data is not None:
        return row.data
    if row.kind == "manifest":
        release = session.get(ReleaseRow, row.release)
        return None if release is None else release.manifest
    try:
        descriptor = os.open(config.bundles_dir / f"{row.release}.dnb", os.O_RDONLY)
    except OSError:
        return None
    try:
        return os.pread(descriptor, row.length, row.offset)
    finally:
        os.close(descriptor)


def _queue(session: Session, shas: list[str], now: float) -> None:
    if shas:
        _mark(session, shas, now)
        outbox.put_objects(session, shas, now)


def _mark(session: Session, shas: list[str], queued_at: float | None) -> None:
    for start in range(0, len(shas), 500):
        part = shas[start : start + 500]
        statement = update(ObjectRow).where(col(ObjectRow.sha).in_(part))
        session.exec(statement.values(queued_at=queued_at, published_at=None))
