"""Devices behind a gateway: each is pinned to the one that its messages come through, and counts as online with it.

A gateway carries bytes. What it says itself of a device behind it (whether that is connected) is a hint, and everything
else must be signed by the device.
"""

from collections.abc import Iterable

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, func, select

from fleet_server.context import Context
from fleet_server.db.engine import touch
from fleet_server.db.models import DEVICE_ACTIVE, DEVICE_REJECTED, DeviceRow
from fleet_server.errors import ConflictError, DeniedError, InvalidError
from fleet_server.services import alarms, audit, devices, directives


def lock(session: Session, *names: str, behind: Iterable[str] = ()) -> dict[str, DeviceRow]:
    """These devices, and all that are pinned to a gateway of `behind`, by id.

    Locked in one order, so that two transactions cannot wait for each other in a circle.
    """
    wanted: ColumnElement[bool] = col(DeviceRow.id).in_(sorted(set(names)))
    gateways = sorted(set(behind))
    if gateways:
        wanted |= col(DeviceRow.gateway).in_(gateways)
    # What this session read of them before it had the locks may be old by now.
    query = select(DeviceRow).where(wanted).order_by(DeviceRow.id).with_for_update()
    return {row.id: row for row in session.exec(query.execution_options(populate_existing=True))}


def children(session: Session, gateway: str) -> list[DeviceRow]:
    """The devices that are pinned to a gateway and not rejected, by id."""
    query = select(DeviceRow).where(DeviceRow.gateway == gateway, DeviceRow.state != DEVICE_REJECTED)
    return list(session.exec(query.order_by(DeviceRow.id)))


def counts(session: Session, names: Iterable[str]) -> dict[str, int]:
    """For each of these devices that is a gateway, how many are behind it."""
    query = select(DeviceRow.gateway, func.count()).where(
        col(DeviceRow.gateway).in_(sorted(set(names))), DeviceRow.state != DEVICE_REJECTED
    )
    return {gateway: count for gateway, count in session.exec(query.group_by(col(DeviceRow.gateway))) if gateway}


def check(row: DeviceRow | None, name: str) -> DeviceRow:
    """`row`, if it may carry others. Raises: DeniedError."""
    if row is None or row.state != DEVICE_ACTIVE:
        raise DeniedError(f"gateway {name} is not in the fleet: enrol it first")
    if row.gateway is not None:
        raise DeniedError(f"{name} is itself behind gateway {row.gateway}: a gateway has a connection of its own")
    return row


def move(session: Session, ctx: Context, device: str, gateway: str, actor: str, now: float) -> DeviceRow:
    """Pin a device to another gateway, where its directive is retained from now on.

    Raises: NotFoundError, ConflictError (it has a connection of its own, is rejected, or is there already),
    InvalidError (no such gateway, or one that cannot carry it).
    """
    devices.get(session, device)
    rows = lock(session, device, gateway)
    row = rows[device]
    if row.gateway is None:
        raise ConflictError(f"device {device} has a broker connection of its own: only others can be moved")
    if row.state == DEVICE_REJECTED:
        raise ConflictError(f"device {device} is rejected: enrol it again, through the gateway where it is now")
    if row.gateway == gateway:
        raise ConflictError(f"device {device} is behind gateway {gateway} already")
    try:
        check(rows.get(gateway), gateway)
    except DeniedError as error:
        raise InvalidError(error.detail) from None
    audit.record(session, actor, "device.move", f"device:{device}", {"from": row.gateway, "to": gateway}, now)
    directives.clear_retained(session, row, now)
    touch(session, f"device:{row.gateway}", f"device:{gateway}", f"device:{device}")
    row.gateway, row.said_online = gateway, False
    _show(row, False, now)
    session.add(row)
    alarms.clear(session, device, alarms.WRONG_GATEWAY)
    if row.state == DEVICE_ACTIVE:
        session.flush()
        directives.tell(session, ctx, device, now)
    return row


def said(session: Session, row: DeviceRow, gateway: DeviceRow, online: bool, now: float) -> None:
    """A gateway says whether a device behind it is connected to it: true while the gateway is online itself."""
    row.said_online = online
    _settle(session, row, gateway, now)


def followed(session: Session, gateway: DeviceRow, behind: Iterable[DeviceRow], now: float) -> None:
    """A gateway came or went, and those behind it with it: what it said of them before it went is worth nothing."""
    for row in behind:
        if not gateway.online:
            row.said_online = False
        _settle(session, row, gateway, now)


def _settle(session: Session, row: DeviceRow, gateway: DeviceRow, now: float) -> None:
    if _show(row, gateway.online and row.said_online, now):
        touch(session, f"device:{row.id}", f"device:{gateway.id}")
    session.add(row)


def _show(row: DeviceRow, online: bool, now: float) -> bool:
    """Set whether it is online. Returns whether that is news."""
    if row.online == online:
        return False
    row.online, row.status_at = online, now
    return True
