"""The fleet's settings: a closed list of numbers that every device is told by a signed directive."""

import dataclasses
import hashlib
import json

from sqlmodel import Session

from dunlin_contract.errors import ContractError
from dunlin_contract.settings import Settings
from fleet_server.db.models import MetaRow
from fleet_server.errors import InvalidError, suggest
from fleet_server.services import audit

_KEY = "settings"


def get(session: Session) -> Settings:
    """What is set; defaults where nothing is."""
    row = session.get(MetaRow, _KEY)
    return Settings(**json.loads(row.value)) if row is not None else Settings()


def change(session: Session, values: dict[str, int], actor: str, now: float) -> Settings:
    """Set some of the settings. Raises: InvalidError (unknown name, or out of range)."""
    known = as_json(Settings())
    for name in values:
        if name not in known:
            raise InvalidError(f"no setting {name[:40]!r}: {suggest(name, known)}")
    try:
        settings = Settings.from_cbor(dataclasses.replace(get(session), **values).to_cbor())  # checks the ranges
    except ContractError as error:
        raise InvalidError(error.detail.removeprefix("Settings."), rule=error.rule) from None
    row = session.get(MetaRow, _KEY) or MetaRow(key=_KEY)
    row.value = json.dumps(as_json(settings))
    session.add(row)
    audit.record(session, actor, "settings.change", "fleet", dict(values), now)
    return settings


def as_json(settings: Settings) -> dict[str, int]:
    """Each setting by name; times in seconds."""
    return {
        field.name: getattr(settings, field.name) for field in dataclasses.fields(settings) if field.name != "format"
    }


def as_object(settings: Settings) -> tuple[bytes, bytes] | None:
    """(digest, bytes) of the settings object; None when every setting has its default, which needs no object."""
    if settings == Settings():
        return None
    data = settings.to_bytes()
    return hashlib.sha256(data).digest(), data
