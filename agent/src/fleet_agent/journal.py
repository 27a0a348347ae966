"""What must survive: one SQLite file (WAL, synchronous=FULL), written before anything it speaks of is done.

Holds each model's update state, a receipt for every chunk that lies in a slot, numbered events until the server has
acknowledged them, what was learned from directives, and the intent and receipts of wipes. A state and the event that
tells of it are one transaction.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Self

from dunlin_contract.event import Event
from fleet_agent.errors import SetupError, StorageError
from fleet_agent.files import PRIVATE
from fleet_agent.update.state import State

EVENTS_KEPT = 5000
"""A device that nobody acknowledges must not fill its disk: beyond this the oldest events go, receipts never."""

FLOORS_KEPT = 1024
"""Of models that are gone: whoever could make a device forget one could bring an old release back."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS model (name TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS floor (name TEXT PRIMARY KEY, floor INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS chunk (
    model TEXT NOT NULL, slot TEXT NOT NULL, place INTEGER NOT NULL, PRIMARY KEY (model, slot, place)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS event (n INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, record BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS receipt (order_digest BLOB PRIMARY KEY, receipt BLOB NOT NULL) WITHOUT ROWID;
"""
_VERSION = 1


class Journal:
    """The open journal. One thread uses it.

    Raises:
        SetupError: the file is not a journal of this version.
        StorageError: a write did not reach the disk; nothing of its transaction did.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.touch(mode=PRIVATE)
            self._db = sqlite3.connect(path, isolation_level=None, cached_statements=32)
            # A supervisor that idles for months keeps a small page cache.
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-256", "secure_delete=ON"):
                self._db.execute(f"PRAGMA {pragma}")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version not in {0, _VERSION}:
                raise SetupError(f"{path} was written by another version of fleet-agent: update this one")
            self._db.executescript(_SCHEMA + f"PRAGMA user_version={_VERSION};")
        except sqlite3.DatabaseError as error:
            raise SetupError(f"{path} cannot be used ({error}): restore it, or enrol this device anew") from None
        self._stream = b""
        self._stream = self._own_stream()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _own_stream(self) -> bytes:
        stream = self.fact("stream")
        if stream is None:
            stream = os.urandom(16)
            with self.transaction() as write:
                write.fact("stream", stream)
        return stream

    @property
    def stream(self) -> bytes:
        """Random id of this journal's event numbers: a device set up anew does not reuse them."""
        return self._stream

    @contextmanager
    def transaction(self) -> Iterator["Write"]:
        """All of the block's writes, or none."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield Write(self._db, self._stream)
                self.commit()
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
        except sqlite3.OperationalError as error:
            code = "disk-full" if "full" in str(error) else "disk"
            raise StorageError(code, f"the journal {self._path} takes no more ({error})") from None

    def commit(self) -> None:
        """End the open transaction; it is on the disk when this returns."""
        self._db.execute("COMMIT")

    def compact(self) -> None:
        """Leave no deleted row behind in the write-ahead log. Raises StorageError."""
        try:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.OperationalError as error:
            raise StorageError("disk", f"the journal {self._path} cannot be compacted ({error})") from None

    def fact(self, name: str) -> bytes | None:
        """A single remembered value."""
        row = self._db.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
        return bytes(row[0]) if row else None

    def models(self) -> dict[str, State]:
        """Every model's state."""
        rows = self._db.execute("SELECT name, state FROM model ORDER BY name")
        return {name: State.from_bytes(state) for name, state in rows}

    def floor(self, model: str) -> int:
        """Floor of the security counter of a model that is gone; 0 for one that never had any."""
        row = self._db.execute("SELECT floor FROM floor WHERE name = ?", (model,)).fetchone()
        return int(row[0]) if row else 0

    def chunks(self, model: str, slot: str) -> set[int]:
        """Places of the chunks that lie in a slot."""
        rows = self._db.execute("SELECT place FROM chunk WHERE model = ? AND slot = ?", (model, slot))
        return {place for (place,) in rows}

    def events(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        """The next events with a number above ``after``, as they go over the wire."""
        rows = self._db.execute("SELECT n, record FROM event WHERE n > ? ORDER BY n LIMIT ?", (after, limit)).fetchall()
        return [(n, replace(Event.from_bytes(record), n=n).to_bytes()) for n, record in rows]

    def event_count(self) -> int:
        """How many events wait for the server."""
        return int(self._db.execute("SELECT count(*) FROM event").fetchone()[0])

    def receipt(self, order_digest: bytes) -> bytes | None:
        """Receipt of a wipe that was done before."""
        row = self._db.execute("SELECT receipt FROM receipt WHERE order_digest = ?", (order_digest,)).fetchone()
        return bytes(row[0]) if row else None

    @classmethod
    def glance(cls, path: Path) -> Self:
        """A journal that another process may be writing, for reading only."""
        self = cls.__new__(cls)
        self._path = path
        try:
            self._db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
            self._stream = self.fact("stream") or b""
        except sqlite3.DatabaseError as error:
            raise SetupError(f"{path} cannot be read ({error})") from None
        return self


class Write:
    """What one transaction may do."""

    def __init__(self, db: sqlite3.Connection, stream: bytes) -> None:
        self._db = db
        self._stream = stream

    def fact(self, name: str, value: bytes | None) -> None:
        """Remember a single value; None forgets it."""
        if value is None:
            self._db.execute("DELETE FROM fact WHERE name = ?", (name,))
        else:
            self._db.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (name, value))

    def model(self, name: str, state: State | None) -> None:
        """A model's new state; None: it is gone, and its chunk receipts with it, but its floor is kept."""
        if state is None:
            self._keep_floor(name)
            self._db.execute("DELETE FROM model WHERE name = ?", (name,))
            self._db.execute("DELETE FROM chunk WHERE model = ?", (name,))
        else:
            self._db.execute("INSERT OR REPLACE INTO model VALUES (?, ?)", (name, state.to_bytes()))

    def _keep_floor(self, name: str) -> None:
        row = self._db.execute("SELECT state FROM model WHERE name = ?", (name,)).fetchone()
        floor = State.from_bytes(row[0]).floor if row else 0
        if floor:
            self._db.execute(
                "INSERT OR REPLACE INTO floor SELECT ?, ? "
                "WHERE (SELECT count(*) FROM floor) < ? OR EXISTS (SELECT 1 FROM floor WHERE name = ?)",
                (name, floor, FLOORS_KEPT, name),
            )

    def no_floors(self) -> None:
        """Forget the floors of models that are gone: a new epoch begins."""
        self._db.execute("DELETE FROM floor")

    def chunk(self, model: str, slot: str, place: int) -> None:
        """Receipt: this chunk was checked and its bytes are on the disk."""
        self._db.execute("INSERT OR IGNORE INTO chunk VALUES (?, ?, ?)", (model, slot, place))

    def no_chunks(self, model: str, slot: str, places: set[int] | None = None) -> None:
        """Withdraw receipts of a slot: all, or those of ``places``."""
        if places is None:
            self._db.execute("DELETE FROM chunk WHERE model = ? AND slot = ?", (model, slot))
        else:
            rows = [(model, slot, place) for place in places]
            self._db.executemany("DELETE FROM chunk WHERE model = ? AND slot = ? AND place = ?", rows)

    def event(self, event: Event) -> None:
        """Number an event (its own ``n`` does not count) and keep it until it is acknowledged."""
        record = replace(event, stream=self._stream).to_bytes()
        self._db.execute("INSERT INTO event (kind, record) VALUES (?, ?)", (event.kind, record))
        self._db.execute(
            "DELETE FROM event WHERE kind != 'wiped' AND n <= (SELECT max(n) FROM event) - ?", (EVENTS_KEPT,)
        )

    def acknowledged(self, stream: bytes, n: int) -> None:
        """Forget events up to ``n``, if the numbers are of this journal."""
        if stream == self._stream:
            self._db.execute("DELETE FROM event WHERE n <= ?", (n,))

    def receipt(self, order_digest: bytes, receipt: bytes) -> None:
        """Keep the receipt of a wipe for as long as the device lives: a repeated order gets it again."""
        self._db.execute("INSERT OR REPLACE INTO receipt VALUES (?, ?)", (order_digest, receipt))
