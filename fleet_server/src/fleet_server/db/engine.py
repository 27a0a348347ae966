"""The one way to the database: SQLite by default, PostgreSQL by URL.

`read()` gives a session that only looks. `write()` gives one transaction: it commits when the block ends, rolls back
when it raises, and only then tells the change notifier what changed. On SQLite a write begins IMMEDIATE, so two writers
queue at the start (up to `BUSY_TIMEOUT_MS`) and neither can fail half-way for lack of the lock; on PostgreSQL services
lock the rows they decide on (`with_for_update`).
"""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, ExceptionContext, create_engine, event, text
from sqlalchemy.exc import DatabaseError, DataError, DBAPIError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlmodel import Session

from fleet_server.errors import BusyError, ConfigError, InvalidError
from fleet_server.notify import Notifier

BUSY_TIMEOUT_MS = 10_000
TOPICS = "dunlin_topics"  # key in Session.info: the change topics of this transaction


class Database:
    """An engine for one URL, with the pragmas, locks and notifications every caller relies on."""

    def __init__(self, url: str, notifier: Notifier | None = None) -> None:
        """`url` is an SQLAlchemy URL: `sqlite:////abs/path.db` or `postgresql+psycopg://...`.

        Raises: ConfigError if the URL's driver is unknown or not installed.
        """
        self.notifier = notifier or Notifier()
        self.is_sqlite = url.startswith("sqlite")
        # What is in a statement (hashes, sealed keys, grants) is nothing for an error's text, which ends in a log.
        options: dict[str, Any] = {"hide_parameters": True}
        if not self.is_sqlite:
            options |= {"pool_pre_ping": True, "pool_size": 10}
        try:
            self.engine: Engine = create_engine(url, **options)
        except ModuleNotFoundError as error:
            hint = "install dunlin-server[postgres]" if "psycopg" in str(error) else "check the driver in `database`"
            raise ConfigError(f"no database driver {error.name!r}: {hint}") from None
        except Exception as error:  # noqa: BLE001 - drivers fail in ways of their own; the text may hold a password
            raise ConfigError(f"the database URL is not usable ({type(error).__name__}): check `database`") from None
        event.listen(self.engine, "handle_error", _on_error)
        if self.is_sqlite:
            event.listen(self.engine, "connect", _on_sqlite_connect)
            event.listen(self.engine, "begin", _on_sqlite_begin)
        self._write_engine = self.engine.execution_options(dunlin_immediate=True)

    @contextlib.contextmanager
    def read(self) -> Iterator[Session]:
        """A session for looking only; whatever it changed is rolled back.

        Raises: BusyError when the database is locked or away.
        """
        with _plain_errors(), Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextlib.contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction: committed at the end of the block, rolled back if it raises.

        Raises: BusyError when the database is locked or away, or when PostgreSQL broke a deadlock: try again.
        """
        with _plain_errors(), Session(self._write_engine, expire_on_commit=False) as session:
            session.connection()  # begins: whoever is inside this block is the one writer, on SQLite
            yield session
            session.commit()
            topics = session.info.pop(TOPICS, set())
        for topic in sorted(topics):
            self.notifier.publish(topic)

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[Connection]:
        """A connection in one transaction, for migrations and restores.

        Raises: BusyError when the database is locked or away.
        """
        with _plain_errors(), self._write_engine.begin() as connection:
            yield connection

    def try_lock(self, session: Session, name: str) -> bool:
        """Take the named lock until this write transaction ends; False if another process holds it.

        On SQLite the transaction itself is the lock: it is the only writer.
        """
        if self.is_sqlite:
            return True
        key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
        return bool(session.connection().execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": key}).scalar())

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def touch(session: Session, *topics: str) -> None:
    """Name what this transaction changes (`device:ID`, `rollout:ID`...): told to subscribers once it is committed."""
    session.info.setdefault(TOPICS, set()).update(topics)


def sqlite_url(path: str | os.PathLike[str]) -> str:
    """The URL of an SQLite file."""
    return f"sqlite:///{Path(path).absolute()}"


def _on_sqlite_connect(connection: Any, _record: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # transactions begin in _on_sqlite_begin, not where sqlite3 guesses
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    # FULL, not NORMAL: an ack makes a device forget its event, so a committed event must survive a power cut.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _on_error(context: ExceptionContext) -> None:
    """A value that no column takes comes from whoever asked: numbers beyond 64 bits, NUL, half a surrogate pair."""
    if isinstance(context.original_exception, OverflowError | UnicodeEncodeError) or isinstance(
        context.sqlalchemy_exception, DataError
    ):
        raise InvalidError("a number is too large, or a text holds characters that cannot be stored: check both")


def _on_sqlite_begin(connection: Any) -> None:
    immediate = connection.get_execution_options().get("dunlin_immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


@contextlib.contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        reason = str(error.orig).splitlines()[0] if error.orig else "no answer"
        if "locked" in reason or "deadlock" in reason:
            raise BusyError("the database is locked by another process: try again") from error
        raise BusyError(f"the database does not answer ({reason}): check that it runs and `database`") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise BusyError("the database connection broke: try again") from error
        if type(error) is DatabaseError:  # SQLite's word for a file that is damaged, or is none of its own
            raise ConfigError(f"the database is damaged ({error.orig}): restore a backup") from error
        raise
