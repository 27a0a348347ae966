"""A batch of messages, in one transaction. Called by the bridge; decides nothing that a service could decide."""

import logging
from collections.abc import Mapping, Sequence

from sqlmodel import Session

from dunlin_contract.event import Event
from dunlin_contract.reported import Reported
from dunlin_contract.results import Result
from dunlin_contract.telemetry import Telemetry
from fleet_server.context import Context
from fleet_server.db.models import DEVICE_ACTIVE, DeviceRow
from fleet_server.ingest import carried
from fleet_server.ingest.messages import Message, Record, Signed, Status
from fleet_server.services import devices, events, gateways, reports, results, streams

log = logging.getLogger(__name__)


def handle(session: Session, ctx: Context, batch: Sequence[Message], now: float) -> list[streams.AckDue]:
    """Store what the messages say. Returns the acks to send once this is committed, each once."""
    names = sorted({message.device for message in batch})
    rows = _rows(session, batch)
    models = devices.models_by_device(session, names)
    # Read at once: the session finds them again without a query, for as long as they are referenced here.
    speaking = sorted({message.device for message in batch if isinstance(message.record, Event | Result | Signed)})
    known = streams.of_devices(session, speaking)
    due: dict[streams.AckDue, None] = {}
    for message in batch:
        row = rows.get(message.device)
        if row is None or row.state != DEVICE_ACTIVE:
            log.warning("%s speaks but is not in the fleet: enrol it, or revoke its certificate", message.device)
            continue
        match _believed(session, rows, row, message, now):
            case Status() as status if row.gateway is not None:
                gateways.said(session, row, rows[row.gateway], status.online, now)
            case Status() as status:
                reports.status(session, row, status.online, status.retained, now)
                gateways.followed(session, row, [one for one in rows.values() if one.gateway == row.id], now)
            case Reported() as report:
                reports.reported(session, ctx, row, report, now, models[row.id])
            case Telemetry() as numbers:
                reports.telemetry(session, row, numbers, now)
            case Event() as event:
                due[events.receive(session, ctx, row, event, now)] = None
            case Result() as result:
                due[results.receive(session, ctx, row, result, now)] = None
    session.flush()
    del known
    return list(due)


def _rows(session: Session, batch: Sequence[Message]) -> dict[str, DeviceRow]:
    """The devices that speak, their gateways, and who comes and goes with them; locked."""
    carriers = {one.address.gateway for one in batch if one.address.gateway is not None}
    appeared = {one.device for one in batch if one.address.gateway is None and isinstance(one.record, Status)}
    return gateways.lock(session, *carriers, *(one.device for one in batch), behind=appeared)


def _believed(
    session: Session, rows: Mapping[str, DeviceRow], row: DeviceRow, message: Message, now: float
) -> Record | None:
    """What the message says, if it is to be believed."""
    if row.gateway is None and message.address.gateway is None:
        return message.record
    return carried.believed(session, rows, row, message, now)
