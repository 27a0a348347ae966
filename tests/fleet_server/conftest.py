"""A server on SQLite, or on both databases: a PostgreSQL cluster is started where its programs are installed."""

import os
import pwd
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from tests.fleet_server.world import World


class Postgres:
    """A throw-away PostgreSQL cluster on a Unix socket, with fsync off."""

    def __init__(self, programs: Path, directory: Path) -> None:
        self._programs = programs
        self._directory = directory
        self._user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name

    def start(self) -> None:
        self._directory.mkdir(mode=0o700)
        if os.getuid() == 0:
            account = pwd.getpwnam(self._user)
            os.chown(self._directory, account.pw_uid, account.pw_gid)
        self._run("initdb", "-D", "data", "-U", "test", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
        options = f"-k {self._directory} -c listen_addresses= -c fsync=off"
        self._run("pg_ctl", "-D", "data", "-w", "-l", "log", "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", "data", "-m", "immediate", "stop")

    def create(self) -> str:
        """URL of a new, empty database."""
        name = f"t{uuid.uuid4().hex}"
        engine = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return self.url(name)

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://test@/{name}?host={self._directory}"

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._programs / program, *arguments],
            cwd=self._directory,
            user=self._user if os.getuid() == 0 else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
            stderr=subprocess.STDOUT if program == "initdb" else subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == 0, (done.stdout or b"").decode() + self._log()

    def _log(self) -> str:
        log = self._directory / "log"
        return log.read_text() if log.exists() else ""


def _programs() -> Path | None:
    found = shutil.which("pg_ctl")
    installed = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return installed[-1] if installed else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL cluster."""
    programs = _programs()
    assert programs is not None, "PostgreSQL is not installed: run make setup-dev"
    directory = (
        Path("/tmp") / f"dunlin-pg-{uuid.uuid4().hex[:8]}"
    )  # its account must reach it, and sockets need short paths
    cluster = Postgres(programs, directory)
    try:
        cluster.start()
        yield cluster
        cluster.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Makes the URL of a new database; every test that asks for it runs on both kinds."""
    if request.param == "sqlite":
        return lambda: ""
    cluster: Postgres = request.getfixturevalue("postgres")
    return cluster.create


@pytest.fixture
def world(tmp_path: Path, database: Callable[[], str]) -> Iterator[World]:
    """An installation with a root, on each kind of database in turn."""
    made = World(tmp_path, database())
    yield made
    made.close()


@pytest.fixture
def sqlite_world(tmp_path: Path) -> Iterator[World]:
    """An installation with a root, on SQLite, for what the database has no say in."""
    made = World(tmp_path)
    yield made
    made.close()
