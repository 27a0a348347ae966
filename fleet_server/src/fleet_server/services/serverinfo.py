"""What the server says of itself to those who may ask: the packager, CI, the pages."""

from typing import Any

from sqlmodel import Session

from fleet_server import __version__
from fleet_server.context import Context
from fleet_server.services import roots


def describe(session: Session, ctx: Context) -> dict[str, Any]:
    """Keys and root as hex, so that `packager push` can seal to the vault key that the root names."""
    row = roots.latest(session)
    return {
        "version": __version__,
        "vault_key_hex": ctx.keys.vault_spki.hex(),
        "root_hex": row.envelope.hex() if row is not None else None,
        "root_digest": row.digest if row is not None else None,
        "device_url": ctx.config.device_url,
        "broker": {
            "host": ctx.config.broker_host,
            "port": ctx.config.broker_port,
            "connected": ctx.link.connected,
            "since": ctx.link.since,
            "detail": ctx.link.detail,
        },
    }
