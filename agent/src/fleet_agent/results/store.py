"""``results.db``: a numbered stream of results and captures that survives power cuts, until the server has them.

What :meth:`Store.put` has answered with a number is on the disk. It leaves the file when the server acknowledged it, or
when the caps push it out; then a *gap* record stands in its place, so that the server learns of it. Gaps that touch are
one.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from dunlin_contract.errors import ContractError
from dunlin_contract.golden import TensorData
from dunlin_contract.limits import LIMITS
from dunlin_contract.results import Result
from fleet_agent.clock import Clock
from fleet_agent.errors import StorageError, line
from fleet_agent.files import PRIVATE
from fleet_agent.results.policy import Caps, Rate, runs, victims

_SCHEMA = """
CREATE TABLE IF NOT EXISTS head (
    one INTEGER PRIMARY KEY CHECK (one = 1), stream BLOB NOT NULL, last INTEGER NOT NULL, age_s INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS record (
    n INTEGER PRIMARY KEY, first INTEGER, kind TEXT NOT NULL, model TEXT, priority INTEGER NOT NULL,
    bytes INTEGER NOT NULL, age_s INTEGER NOT NULL, data BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS by_worth ON record (priority, n, bytes) WHERE first IS NULL;
CREATE INDEX IF NOT EXISTS by_age ON record (age_s) WHERE first IS NULL;
CREATE INDEX IF NOT EXISTS gaps ON record (first) WHERE first IS NOT NULL;
"""
_VERSION = 1
_WAL_BYTES = 1 << 20
_WAL_PAGES = 128
RESERVE_BYTES = 4 << 20
"""What results leave free on their disk."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A result or capture to be kept. ``priority`` 0 to 9: the lowest is pushed out first, and of these the oldest."""

    kind: str
    model: str
    release: bytes
    outputs: tuple[TensorData, ...]
    inputs: tuple[TensorData, ...] = ()
    source: str = ""
    reason: str = ""
    priority: int = 3


@dataclass(frozen=True, slots=True)
class Refused:
    """It is not kept: ``rate``, ``full``, ``too-large``, ``malformed``, ``disk`` or ``disk-full``, and why."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How the store stands: records that wait and their bytes, numbers that were pushed out and are not yet told."""

    waiting: int = 0
    size: int = 0
    gone: int = 0


@dataclass(slots=True)
class _Sizes:
    """Bytes by kind, and how many records. The file's one writer counts along."""

    kinds: dict[str, int] = field(default_factory=lambda: {"result": 0, "capture": 0})
    count: int = 0

    @property
    def all(self) -> int:
        return sum(self.kinds.values())

    def add(self, kind: str, count: int, size: int) -> None:
        self.kinds[kind] += size
        self.count += count


class Store:
    """The open file. One thread uses it.

    Raises:
        StorageError: the file cannot be opened (``damaged``: it is no database), or a write did not reach the disk;
            nothing of it did.
    """

    def __init__(self, path: Path, caps: Caps, clock: Clock) -> None:
        self._path = path
        self._caps = caps
        self._clock = clock
        self._rate = Rate(caps.per_hour)
        with self._errors():
            path.touch(mode=PRIVATE)
            self._db = sqlite3.connect(path, isolation_level=None)
            # Captures show what a camera saw: nothing of them stays in freed pages.
            pragmas = ("journal_mode=WAL", "synchronous=FULL", "cache_size=-256", "secure_delete=ON")
            for pragma in (*pragmas, f"journal_size_limit={_WAL_BYTES}", f"wal_autocheckpoint={_WAL_PAGES}"):
                self._db.execute(f"PRAGMA {pragma}")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version not in {0, _VERSION}:
                raise StorageError("disk", f"{path} was written by another version of fleet-agent: update this one")
            self._db.executescript(_SCHEMA + f"PRAGMA user_version={_VERSION};")
            head = self._db.execute("SELECT stream, last, age_s FROM head").fetchone()
            if head is None:
                head = (os.urandom(16), 0, 0)
                self._db.execute("INSERT INTO head VALUES (1, ?, ?, ?)", head)
            self.stream, self._last, self._age_base = bytes(head[0]), int(head[1]), int(head[2])
            self._opened = clock.since_boot()
            self._sizes = self._counted()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def put(self, drafts: Sequence[Draft]) -> list[int | Refused]:
        """Keep these in one transaction, on the disk when this returns; each one's number, or why it is not kept.

        Raises:
            StorageError: none is kept.
        """
        self._leave_room()
        with self._transaction():
            self._expire()
            return [self._put(draft) for draft in drafts]

    def acknowledged(self, stream: bytes, n: int) -> bool:
        """Forget records up to ``n``; the server has them. Whether the stream is this store's. Raises StorageError."""
        if stream != self.stream:
            return False
        with self._transaction():
            self._delete(0, n)
        return True

    def expire(self) -> None:
        """Push out what is too old. Raises StorageError."""
        with self._transaction():
            self._expire()

    def forget(self, model: str) -> int:
        """Push out all of a model's, for good: nothing of it stays in the file; how many. Raises StorageError."""
        with self._transaction():
            found = [n for (n,) in self._db.execute("SELECT n FROM record WHERE model = ?", (model,))]
            self._drop(found)
        with self._errors():
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return len(found)

    def waiting(self, after: int, most: int, most_bytes: int) -> list[tuple[int, bytes]]:
        """The next records above number ``after`` as they go over the wire, at least one if there is any."""
        found: list[tuple[int, bytes]] = []
        size = 0
        with self._errors():
            rows = self._db.execute("SELECT n, data FROM record WHERE n > ? ORDER BY n LIMIT ?", (after, most))
            for n, data in rows:
                size += len(data)
                if found and size > most_bytes:
                    break
                found.append((n, bytes(data)))
        return found

    def standing(self) -> Standing:
        """How it stands now."""
        with self._errors():
            gone = self._db.execute("SELECT sum(n - first + 1) FROM record WHERE first IS NOT NULL").fetchone()[0]
        return Standing(self._sizes.count, self._sizes.all, int(gone or 0))

    def _leave_room(self) -> None:
        """Results may not take the last of the disk: updates need some, and so does forgetting what is acknowledged."""
        with self._errors():
            about = os.statvfs(self._path.parent)
            # The file does not shrink: what was forgotten is room in it.
            (pages,) = self._db.execute("PRAGMA freelist_count").fetchone()
            (page,) = self._db.execute("PRAGMA page_size").fetchone()
        if about.f_bavail * about.f_frsize + pages * page < RESERVE_BYTES:
            raise StorageError("disk-full", f"less than {RESERVE_BYTES >> 20} MiB are free beside {self._path.name}")

    def _put(self, draft: Draft) -> int | Refused:
        result = self._stamped(Result(stream=self.stream, n=self._last + 1, time_s=0, uptime_s=0, kind=draft.kind,
            model=draft.model, release=draft.release, source=draft.source, reason=draft.reason, inputs=draft.inputs,
            outputs=draft.outputs))  # fmt: skip
        try:
            data = result.to_bytes()
            if len(data) <= LIMITS.result_bytes:
                Result.from_bytes(data)
        except (ContractError, ValueError, TypeError) as error:
            return Refused("malformed", line(f"not a result: {error}"))
        if len(data) > LIMITS.result_bytes:
            return Refused("too-large", f"{len(data)} bytes; the fleet takes {LIMITS.result_bytes} of one result")
        if draft.kind == "result" and not self._rate.take(self._clock.since_boot()):
            return Refused("rate", f"more than {self._caps.per_hour} results an hour ([results] per_hour)")
        if not self._make_room(draft, len(data)):
            return Refused("full", "what is kept is worth more, and there is no more room ([results] most_mb)")
        self._last += 1
        row = (self._last, draft.kind, draft.model, draft.priority, len(data), self._age_s, data)
        self._db.execute("INSERT INTO record VALUES (?, NULL, ?, ?, ?, ?, ?, ?)", row)
        self._sizes.add(draft.kind, 1, len(data))
        return self._last

    def _make_room(self, draft: Draft, size: int) -> bool:
        """Push out what is worth less, so that ``size`` bytes fit. Whether they do; if not, nothing was pushed out."""

        def chosen(kind: str) -> list[int] | None:
            capture = kind == "capture"
            used, most = (
                (self._sizes.kinds[kind], self._caps.capture_bytes)
                if capture
                else (self._sizes.all, self._caps.most_bytes)
            )
            query = "SELECT n, bytes FROM record WHERE first IS NULL AND priority <= ? AND (kind = ? OR ?)"
            rows = self._db.execute(query + " ORDER BY priority, n", (draft.priority, kind, not capture))
            return victims(rows, used + size - most)

        if chosen("") is None:
            return False
        for kind in ("capture", "") if draft.kind == "capture" else ("",):
            numbers = chosen(kind)
            if numbers is None:
                return False
            self._drop(numbers)
        return True

    def _expire(self) -> None:
        before = self._age_s - self._caps.most_age_s
        old = self._db.execute("SELECT n FROM record WHERE first IS NULL AND age_s < ?", (before,))
        self._drop([n for (n,) in old])

    def _drop(self, numbers: Sequence[int]) -> None:
        """Put gaps in the place of these records."""
        for first, last in runs(numbers):
            start, end = first, last
            before = self._db.execute(
                "SELECT first FROM record WHERE n = ? AND first IS NOT NULL", (first - 1,)
            ).fetchone()
            after = self._db.execute("SELECT n FROM record WHERE first = ?", (last + 1,)).fetchone()
            if before is not None:
                start = before[0]
            if after is not None:
                end = after[0]
            gap = self._stamped(Result(stream=self.stream, n=end, time_s=0, uptime_s=0, kind="gap", first=start))
            self._delete(start, end)
            row = (end, start, self._age_s, gap.to_bytes())
            self._db.execute("INSERT INTO record VALUES (?, ?, 'gap', NULL, 0, 0, ?, ?)", row)

    def _delete(self, first: int, last: int) -> None:
        query = "SELECT kind, count(*), sum(bytes) FROM record WHERE n BETWEEN ? AND ? AND first IS NULL GROUP BY kind"
        for kind, count, size in self._db.execute(query, (first, last)).fetchall():
            self._sizes.add(kind, -count, -size)
        self._db.execute("DELETE FROM record WHERE n BETWEEN ? AND ?", (first, last))

    def _stamped(self, result: Result) -> Result:
        wall = max(0, min(LIMITS.time_s, int(self._clock.wall())))
        return replace(result, time_s=wall, uptime_s=int(self._clock.since_boot()))

    @property
    def _age_s(self) -> int:
        """Seconds that agents with this file have run: no clock that is set forward makes all of it old."""
        return self._age_base + int(self._clock.since_boot() - self._opened)

    def _counted(self) -> _Sizes:
        sizes = _Sizes()
        query = "SELECT kind, count(*), sum(bytes) FROM record WHERE first IS NULL GROUP BY kind"
        for kind, count, size in self._db.execute(query).fetchall():
            sizes.add(kind, count, size)
        return sizes

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All of the block's writes, or none; what is counted in memory follows."""
        last = self._last
        with self._errors():
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield
                self._db.execute("UPDATE head SET last = ?, age_s = ?", (self._last, self._age_s))
                self._db.execute("COMMIT")
            except BaseException:
                self._last = last
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                self._sizes = self._counted()
                raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            # SQLite calls trouble of the disk operational; other errors are of the file itself.
            code = "disk" if isinstance(error, sqlite3.OperationalError) else "damaged"
            code = "disk-full" if "is full" in str(error) else code
            raise StorageError(code, f"{self._path.name} takes no more results ({error})") from None
        except OSError as error:
            raise StorageError("disk", f"{self._path.name}: {error.strerror}") from None
