"""Backup and restore: database, keys and bundles in one file, whichever database is in use.

A tar file (0600: it holds every key of the server) with `backup.cbor` first and `checksums.cbor` last. Tables are CBOR
sequences: the column names, then one array a row. A restore checks every byte before anything is put in place.
"""

import contextlib
import hashlib
import io
import os
import re
import secrets
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import cbor2
from sqlalchemy import Connection, Table, func, insert, select, update
from sqlmodel import SQLModel

from fleet_server import config as config_file
from fleet_server.config import Config
from fleet_server.context import Context
from fleet_server.db import migrate, models
from fleet_server.db.engine import Database
from fleet_server.errors import ConfigError
from fleet_server.keys.files import sync_dir

FORMAT = 1
SEQ_LEAP = 1 << 20  # restored devices' directive numbers jump over all that were issued after the backup was made
_NAME = re.compile(
    r"backup\.cbor|checksums\.cbor|server\.toml|server-keys\.cbor|keys/[a-z-]+\.(pem|crt)"
    r"|tables/[a-z_]+\.cbor|bundles/[0-9a-f]{64}\.dnb"
)
_ROWS = 500
_PIECE = 1 << 20
_HEAD_BYTES = 1 << 16
_NOT_KEPT = {"session", "login_throttle"}  # people sign in again


def backup(ctx: Context, target: Path) -> int:
    """Write everything to `target`, which appears whole or not at all. Returns its size in bytes.

    Raises: ConfigError if `target` exists or cannot be written.
    """
    if target.exists():
        raise ConfigError(f"{target} exists already: choose another name")
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as file:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                _Writer(tar).everything(ctx)
            file.flush()
            os.fsync(file.fileno())
        os.link(partial, target)
        sync_dir(target.absolute().parent)
        return target.stat().st_size
    except OSError as error:
        raise ConfigError(f"cannot write {target}: {error.strerror}") from None
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def restore(source: Path, directory: Path, database_url: str | None = None) -> Config:
    """Bring a backup back into `directory`, which must be missing or empty. Returns the restored settings.

    `database_url`: restore into this database instead of the one it came from (empty text: SQLite in `directory`).
    Raises: ConfigError (not a backup, damaged, of a newer server; directory or database not empty).
    """
    directory = directory.absolute()
    if directory.exists() and any(directory.iterdir()):
        raise ConfigError(f"{directory} is not empty: restore into a new directory")
    work = directory.with_name(f".{directory.name}.restore-{secrets.token_hex(4)}")
    work.mkdir(mode=0o700, parents=True)
    try:
        _extract(source, work)
        restored = config_file.load(work)
        if database_url is not None:
            restored = replace(restored, database=database_url)
            restored.save()
        (work / "bundles").mkdir(mode=0o700, exist_ok=True)
        (work / "tmp").mkdir(mode=0o700, exist_ok=True)
        _load_database(restored, work / "tables")
        shutil.rmtree(work / "tables")
        (work / "backup.cbor").unlink()
        work.rename(directory)
        sync_dir(directory.parent)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return replace(restored, dir=directory)


class _Writer:
    """Adds members to the tar file and remembers what they are."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._sums: dict[str, list[Any]] = {}

    def everything(self, ctx: Context) -> None:
        head = {"format": FORMAT, "revision": migrate.head(), "created": ctx.clock()}
        self._bytes("backup.cbor", cbor2.dumps(head))
        for name in (config_file.FILE, "server-keys.cbor"):
            self._bytes(name, (ctx.config.dir / name).read_bytes())
        for path in sorted(ctx.config.keys_dir.iterdir()):
            if _NAME.fullmatch(f"keys/{path.name}"):  # not what a crash left half-written
                self._bytes(f"keys/{path.name}", path.read_bytes())
        with _snapshot(ctx.db) as connection:
            for table in SQLModel.metadata.sorted_tables:
                if table.name not in _NOT_KEPT:
                    self._table(connection, table)
            digests = list(connection.execute(select(SQLModel.metadata.tables["release"].c.digest)).scalars())
        for digest in digests:
            with open(ctx.config.bundles_dir / f"{digest}.dnb", "rb") as file:
                self._file(f"bundles/{digest}.dnb", file, os.fstat(file.fileno()).st_size)
        self._bytes("checksums.cbor", cbor2.dumps(self._sums))

    def _table(self, connection: Connection, table: Table) -> None:
        with tempfile.TemporaryFile() as spool:
            cbor2.dump([column.name for column in table.columns], spool)
            for row in connection.execute(select(table)).yield_per(_ROWS):
                cbor2.dump(list(row), spool)
            size = spool.tell()
            spool.seek(0)
            self._file(f"tables/{table.name}.cbor", spool, size)

    def _bytes(self, name: str, data: bytes) -> None:
        self._file(name, io.BytesIO(data), len(data))

    def _file(self, name: str, file: IO[bytes], size: int) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o600
        hashed = _Hashing(file)
        self._tar.addfile(info, hashed)
        self._sums[name] = [size, hashed.digest()]


class _Hashing:
    """A file that is hashed as it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._sha256.update(data)
        return data

    def digest(self) -> bytes:
        return self._sha256.digest()


@contextlib.contextmanager
def _snapshot(database: Database) -> Iterator[Connection]:
    """One moment of the whole database, while others go on writing."""
    with database.engine.connect() as connection:
        if not database.is_sqlite:
            connection = connection.execution_options(isolation_level="REPEATABLE READ")  # noqa: PLW2901
        yield connection


def _extract(source: Path, work: Path) -> None:
    """Unpack into `work` and check every member against the list at the end."""
    sums: dict[str, list[Any]] = {}
    try:
        with tarfile.open(source, mode="r:") as tar:
            for member in tar:
                if not member.isreg() or not _NAME.fullmatch(member.name) or member.name in sums:
                    raise ConfigError(f"{source} is not a backup of a fleet server: it holds {member.name[:80]!r}")
                file = tar.extractfile(member)
                assert file is not None
                sums[member.name] = _copy(file, work / member.name, member.size)
    except (tarfile.TarError, EOFError) as error:
        raise ConfigError(f"{source} is not a backup, or is damaged ({error}): take another one") from None
    except OSError as error:
        raise ConfigError(f"cannot restore {source}: {error.strerror or error}") from None
    stated = _read_map(work / "checksums.cbor", source)
    sums.pop("checksums.cbor", None)
    if stated != sums:
        raise ConfigError(f"{source} is damaged: its checksums do not match; take another backup")
    (work / "checksums.cbor").unlink()
    head = _read_map(work / "backup.cbor", source)
    if head.get("format") != FORMAT or head.get("revision") != migrate.head():
        raise ConfigError(f"{source} was made by another version of the server: restore it with that version")


def _copy(file: IO[bytes], path: Path, size: int) -> list[Any]:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    sha256 = hashlib.sha256()
    mode = 0o644 if path.suffix == ".crt" else 0o600
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as out:
        while piece := file.read(_PIECE):
            sha256.update(piece)
            out.write(piece)
        out.flush()
        os.fsync(out.fileno())
    return [size, sha256.digest()]


def _read_map(path: Path, source: Path) -> dict[str, Any]:
    try:
        value = cbor2.loads(path.read_bytes())
    except (OSError, cbor2.CBORDecodeError):
        value = None
    if not isinstance(value, dict):
        raise ConfigError(f"{source} is not a complete backup of a fleet server")
    return value


def _load_database(config: Config, tables: Path) -> None:
    database = Database(config.database_url)
    try:
        if not migrate.is_empty(database):
            raise ConfigError("the database is not empty: restore into an empty one (--database URL)")
        migrate.upgrade(database)
        with database.exclusive() as connection:
            for table in SQLModel.metadata.sorted_tables:
                if table.name not in _NOT_KEPT:
                    _load_table(connection, table, tables / f"{table.name}.cbor")
            if not database.is_sqlite:
                _advance_sequences(connection)
            _let_fleet_follow(connection)
    finally:
        database.close()


def _load_table(connection: Connection, table: Table, path: Path) -> None:
    with open(path, "rb") as file:
        columns = cbor2.load(file)
        rows: list[dict[str, Any]] = []
        size = path.stat().st_size
        while file.tell() < size:
            rows.append(dict(zip(columns, cbor2.load(file), strict=True)))
            if len(rows) == _ROWS:
                connection.execute(insert(table), rows)
                rows = []
        if rows:
            connection.execute(insert(table), rows)


def _advance_sequences(connection: Connection) -> None:
    """PostgreSQL gives out ids of its own counting, which rows that came with an id did not move."""
    for table in SQLModel.metadata.sorted_tables:
        column = table.autoincrement_column
        if column is not None:
            newest = connection.execute(select(func.max(column))).scalar()
            sequence = func.pg_get_serial_sequence(f'"{table.name}"', column.name)
            if newest is not None and connection.execute(select(sequence)).scalar() is not None:
                connection.execute(select(func.setval(sequence, newest)))


def _let_fleet_follow(connection: Connection) -> None:
    """Devices may have followed directives, and the broker may hold messages, that this database has never seen."""
    device = SQLModel.metadata.tables["device"]
    leap = {"seq": device.c.seq + SEQ_LEAP, "directive_base": "", "directive_refresh": 0.0}
    leap |= {"online": False, "said_online": False}
    connection.execute(update(device).values(leap))
    meta = SQLModel.metadata.tables["meta"]
    connection.execute(update(meta).where(meta.c.key == models.BROKER_MARK).values(value=""))
