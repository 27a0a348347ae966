"""Capture orders."""

import base64

from sqlmodel import Session

from fleet_server.api.views.shape import Json
from fleet_server.db.models import CaptureOrderRow
from fleet_server.services import captures, roots, wipes


def capture(session: Session, row: CaptureOrderRow, now: float) -> Json:
    """A capture order and its signatures so far. ``payload``: what people sign, in base64.

    ``captured``: captures of its model that came from the device since it was sent, of those that are still kept.
    """
    order = captures.order_of(row)
    root, _ = roots.current(session)
    return {
        "id": row.id,
        "device": row.device,
        "model": row.model,
        "state": captures.state_of(row, now),
        "payload": base64.b64encode(row.payload).decode(),
        "digest": row.digest,
        "issued": order.issued,
        "not_after": order.not_after,
        "per_day": order.per_day,
        "random_permille": order.random_permille,
        "margin_permille": order.margin_permille,
        "disagreement": order.disagreement,
        "classes": list(order.classes),
        "created": row.created,
        "created_by": row.created_by,
        "signatures": [{"kid": one.kid, "at": one.at} for one in captures.signatures(session, row.id)],
        "needed": wipes.needed(root),
        "sent_at": row.sent_at,
        "captured": captures.captured(session, row),
    }
