"""The revisions make exactly the tables that the models describe, on either database."""

from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlmodel import SQLModel

from fleet_server.db import migrate, models
from fleet_server.db.engine import Database, sqlite_url
from fleet_server.errors import ConfigError


@pytest.fixture
def empty(tmp_path: Path, database: Callable[[], str]) -> Database:
    return Database(database() or sqlite_url(tmp_path / "x.db"))


def test_revisions_and_models_agree(empty: Database) -> None:
    assert migrate.is_empty(empty)
    migrate.upgrade(empty)
    with empty.exclusive() as connection:
        differences = compare_metadata(
            MigrationContext.configure(connection, opts={"compare_type": True}), SQLModel.metadata
        )
    assert differences == []
    assert not migrate.is_empty(empty)
    empty.close()


def test_upgrading_twice_changes_nothing(empty: Database) -> None:
    migrate.upgrade(empty)
    with empty.write() as session:
        session.add(models.MetaRow(key="kept", value="yes"))
    migrate.upgrade(empty)
    with empty.read() as session:
        assert session.get(models.MetaRow, "kept") is not None
    empty.close()


def test_a_newer_database_is_refused(empty: Database) -> None:
    migrate.upgrade(empty)
    with empty.exclusive() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigError, match="newer server"):
        migrate.upgrade(empty)
    empty.close()


def test_sqlite_is_durable_and_checks_references(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "x.db"))
    with database.engine.connect() as connection:
        found = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        }
    assert found == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 2, "busy_timeout": 10_000}
    database.close()
