"""The device registry: reading, paging and tagging."""

import dataclasses
import re
from typing import Any

from sqlmodel import Session, col, select

from dunlin_contract.fit import DeviceDescription
from dunlin_contract.topics import Address
from fleet_server.db.engine import touch
from fleet_server.db.models import DeviceModelRow, DeviceRow
from fleet_server.errors import InvalidError, NotFoundError
from fleet_server.services import audit

PAGE = 500  # most rows a page
TAGS = 32  # most tags a device
_TAG_KEY = re.compile(r"[a-z0-9][a-z0-9_.-]{0,31}")
TAG_CHARS = 64  # most characters of a tag's value


def get(session: Session, device: str, *, lock: bool = False) -> DeviceRow:
    """One device; `lock` keeps other transactions from deciding about it meanwhile. Raises: NotFoundError."""
    # What this session read of it before it had the lock may be old by now.
    row = session.get(DeviceRow, device, with_for_update=lock or None, populate_existing=lock)
    if row is None:
        raise NotFoundError(f"there is no device {device[:40]!r}: check its id")
    return row


def address_of(row: DeviceRow) -> Address:
    """Where it is spoken to."""
    return Address(row.id, row.gateway)


def description_of(row: DeviceRow) -> DeviceDescription:
    """What the device last said it is."""
    return DeviceDescription.from_bytes(row.description)


def describe(row: DeviceRow) -> dict[str, Any]:
    """The same for people and JSON."""
    return dataclasses.asdict(description_of(row))


def models_of(session: Session, device: str) -> list[DeviceModelRow]:
    """What is desired and reported on one device, by model name."""
    query = select(DeviceModelRow).where(DeviceModelRow.device == device).order_by(DeviceModelRow.model)
    return list(session.exec(query))


def models_by_device(session: Session, names: list[str]) -> dict[str, dict[str, DeviceModelRow]]:
    """For each of these devices, its rows by model name."""
    found: dict[str, dict[str, DeviceModelRow]] = {name: {} for name in names}
    for row in session.exec(select(DeviceModelRow).where(col(DeviceModelRow.device).in_(names))):
        found[row.device][row.model] = row
    return found


def page(
    session: Session,
    limit: int = 100,
    after: str = "",
    state: str | None = None,
    tag: str | None = None,
    prefix: str = "",
) -> list[DeviceRow]:
    """Up to `limit` devices with ids above `after` that begin with `prefix`, by id. `tag` is "key" or "key=value"."""
    query = select(DeviceRow).where(col(DeviceRow.id) > after).order_by(DeviceRow.id).limit(max(1, min(limit, PAGE)))
    if state is not None:
        query = query.where(DeviceRow.state == state)
    if prefix:
        query = query.where(col(DeviceRow.id).startswith(prefix, autoescape=True))
    if tag is not None:
        key, equals, value = tag.partition("=")
        stored = _tag(key)
        query = query.where(stored == value if equals else stored.is_not(None))
    return list(session.exec(query))


def patch(session: Session, device: str, tags: dict[str, str], actor: str, now: float) -> DeviceRow:
    """Replace a device's tags. Raises: NotFoundError, InvalidError."""
    row = get(session, device, lock=True)
    row.tags = check_tags(tags)
    session.add(row)
    audit.record(session, actor, "device.tag", f"device:{device}", {"tags": row.tags}, now)
    touch(session, f"device:{device}")
    return row


def check_tags(tags: dict[str, str]) -> dict[str, str]:
    """`tags`, if they may be given to a device. Raises: InvalidError."""
    if len(tags) > TAGS:
        raise InvalidError(f"at most {TAGS} tags a device")
    for key, value in tags.items():
        if not _TAG_KEY.fullmatch(key):
            raise InvalidError(f"tag {key[:40]!r}: a tag's name has 1 to 32 of a-z 0-9 _ . -, a letter or digit first")
        if len(value) > TAG_CHARS or not value.isprintable():
            raise InvalidError(f"tag {key}: a value has at most {TAG_CHARS} printable characters")
    return dict(tags)


def _tag(key: str) -> Any:
    if not _TAG_KEY.fullmatch(key):
        raise InvalidError(f"{key[:40]!r} is no tag name")
    return col(DeviceRow.tags)[key].as_string()
