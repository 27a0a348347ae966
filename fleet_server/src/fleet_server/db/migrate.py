"""Bringing a database to the tables this version knows, by Alembic (migrations/)."""

from pathlib import Path

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from fleet_server.db.engine import Database
from fleet_server.errors import ConfigError

_SCRIPTS = Path(__file__).with_name("migrations")
_LOCK = 0x64756E6C696E  # PostgreSQL: two servers that start at once upgrade one after the other


def upgrade(database: Database) -> None:
    """Create or upgrade every table, in one transaction.

    Raises: ConfigError if the database is newer than this server.
    """
    with database.exclusive() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        _refuse_newer(connection)
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def is_empty(database: Database) -> bool:
    """Whether there is no table at all."""
    with database.exclusive() as connection:
        return not inspect(connection).get_table_names()


def head() -> str:
    """The newest revision this version knows."""
    newest = ScriptDirectory.from_config(_config()).get_current_head()
    assert newest is not None
    return newest


def _refuse_newer(connection: Connection) -> None:
    present = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if present is not None and present not in known:
        raise ConfigError(f"the database is of a newer server (revision {present}): install that version")


def _config() -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config
