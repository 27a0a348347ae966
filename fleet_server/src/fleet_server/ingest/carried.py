"""What comes through a gateway: believed if it is the right gateway and, but for the status, signed by the device."""

import logging
from collections.abc import Mapping

from sqlmodel import Session

from dunlin_contract import envelopes
from dunlin_contract.errors import ContractError
from dunlin_contract.event import Event
from dunlin_contract.reported import Reported
from fleet_server.db.models import DEVICE_ACTIVE, DeviceRow
from fleet_server.ingest.messages import Message, Record, Signed, Status
from fleet_server.services import alarms, reports

log = logging.getLogger(__name__)


def believed(
    session: Session, rows: Mapping[str, DeviceRow], row: DeviceRow, message: Message, now: float
) -> Record | None:
    """The record of a message from or for a device behind a gateway; None, and an alarm, if it is not to be believed.

    `row`: the active device that it names; `rows`: it and the gateways of this batch, by id.
    """
    through = message.address.gateway
    if through != row.gateway:
        _elsewhere(session, row, message, now)
        return None
    assert through is not None, "called for messages that come through a gateway, or should"
    gateway = rows.get(through)
    if gateway is None or gateway.state != DEVICE_ACTIVE:
        log.warning("gateway %s of %s is not in the fleet: enrol it, or move the device", through, row.id)
        return None
    record = message.record
    if not isinstance(record, Signed):
        return record
    try:
        opened = _open(record, row.identity_spki)
    except ContractError as error:
        text = f"gateway {through} passed on {record.kind} that the device did not sign ({error.detail})"
        alarms.sound(session, row.id, alarms.NOT_SIGNED, text, now)
        return None
    if isinstance(opened, Reported) and not reports.is_new(session, row, opened, message.repeated, now):
        return None
    return opened


def _open(signed: Signed, identity_spki: bytes) -> Reported | Event:
    if signed.kind == "reported":
        return envelopes.open_reported(signed.envelope, identity_spki)
    return envelopes.open_event(signed.envelope, identity_spki)


def _elsewhere(session: Session, row: DeviceRow, message: Message, now: float) -> None:
    """Somebody else than its gateway speaks for a device. That a device is not there is no news from elsewhere."""
    if isinstance(message.record, Status) and not message.record.online:
        return
    through = message.address.gateway
    if through is None:
        text = f"it speaks on a connection of its own, and is pinned to gateway {row.gateway}"
    elif row.gateway is None:
        text = f"gateway {through} speaks for it, and it has a connection of its own"
    else:
        text = f"gateway {through} speaks for it: if it was moved there, move it here too; if not, look at that gateway"
    alarms.sound(session, row.id, alarms.WRONG_GATEWAY, text, now)
