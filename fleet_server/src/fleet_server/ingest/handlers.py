"""A batch of messages, in one transaction. Called by the bridge; decides nothing that a service could decide."""

import logging
from collections.abc import Sequence

from sqlmodel import Session, col, select

from dunlin_contract.event import Event
from dunlin_contract.reported import Reported
from dunlin_contract.telemetry import Telemetry
from fleet_server.context import Context
from fleet_server.db.models import DEVICE_ACTIVE, DeviceRow
from fleet_server.ingest.messages import Message, Status
from fleet_server.services import devices, events, reports

log = logging.getLogger(__name__)


def handle(session: Session, ctx: Context, batch: Sequence[Message], now: float) -> list[events.AckDue]:
    """Store what the messages say. Returns the acks to send once this is committed, each once."""
    names = sorted({message.device for message in batch})
    # Locked in one order, so that two batches (or a batch and the ticker) cannot wait for each other in a circle.
    query = select(DeviceRow).where(col(DeviceRow.id).in_(names)).order_by(DeviceRow.id).with_for_update()
    rows = {row.id: row for row in session.exec(query)}
    models = devices.models_by_device(session, names)
    # Read at once: the session finds them again without a query, for as long as they are referenced here.
    speaking = sorted({message.device for message in batch if isinstance(message.record, Event)})
    streams = events.streams(session, speaking)
    due: dict[events.AckDue, None] = {}
    for message in batch:
        row = rows.get(message.device)
        if row is None or row.state != DEVICE_ACTIVE:
            log.warning("%s speaks but is not in the fleet: enrol it, or revoke its certificate", message.device)
            continue
        match message.record:
            case Status() as status:
                reports.status(session, row, status.online, status.retained, now)
            case Reported() as report:
                reports.reported(session, ctx, row, report, now, models[row.id])
            case Telemetry() as numbers:
                reports.telemetry(session, row, numbers, now)
            case Event() as event:
                due[events.receive(session, ctx, row, event, now)] = None
    session.flush()
    del streams
    return list(due)
