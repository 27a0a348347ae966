"""Run by Alembic: applies the revisions on the connection that `migrate` hands over."""

from typing import Literal

from alembic import context
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import AutoString

from fleet_server.db import models

assert models.MetaRow.metadata is SQLModel.metadata


def _plain_text(kind: str, item: object, _: object) -> str | Literal[False]:
    """SQLModel's own string type is SQLAlchemy's String by another name: write the latter into revisions."""
    if kind == "type" and isinstance(item, AutoString):
        return f"sa.String(length={item.length})"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    compare_type=True,
    render_as_batch=True,
    render_item=_plain_text,
)
with context.begin_transaction():
    context.run_migrations()
