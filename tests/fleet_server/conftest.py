"""A server on SQLite, or on both databases: a PostgreSQL cluster is started where its programs are installed."""

import os
import pwd
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from fleet_server import setup
from fleet_server.config import Config
from fleet_server.db import migrate
from fleet_server.db.engine import Database
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

    def create(self, template: str = "template1") -> str:
        """URL of a new database: empty, or a copy of the one of that name, which nobody is connected to."""
        name = f"t{uuid.uuid4().hex}"
        self._alter(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Take a database's 7 MB back; whoever is still connected to it is not any more."""
        self._alter(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://test@/{name}?host={self._directory}"

    def _alter(self, statement: str) -> None:
        engine = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))
        engine.dispose()

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


@pytest.fixture
def on_postgres(postgres: Postgres) -> Iterator[Callable[..., str]]:
    """Makes a new database as `Postgres.create` does, for one test."""
    made: list[str] = []

    def make(*template: str) -> str:
        made.append(postgres.create(*template))
        return made[-1]

    yield make
    for url in made:
        postgres.drop(url)


@pytest.fixture(params=["sqlite", "postgres"])
def kind(request: pytest.FixtureRequest) -> str:
    """Every test that asks for a database runs on both kinds."""
    return str(request.param)


@pytest.fixture
def database(kind: str, request: pytest.FixtureRequest) -> Callable[[], str]:
    """Makes the URL of a new, empty database."""
    if kind == "sqlite":
        return lambda: ""
    on_postgres: Callable[[], str] = request.getfixturevalue("on_postgres")
    return on_postgres


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation as `init` leaves it, to be copied."""
    directory = tmp_path_factory.mktemp("installation") / "server"
    setup.init(Config(dir=directory))
    return directory


@pytest.fixture(scope="session")
def tables(postgres: Postgres) -> str:
    """Name of a database with this version's tables and nothing in them."""
    url = postgres.create()
    database = Database(url)
    migrate.upgrade(database)
    database.close()
    return str(make_url(url).database)


@pytest.fixture
def world(tmp_path: Path, kind: str, installation: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    """An installation with a root, on each kind of database in turn."""
    url = ""
    if kind == "postgres":
        url = request.getfixturevalue("on_postgres")(request.getfixturevalue("tables"))
    made = World(tmp_path, url, installation)
    yield made
    made.close()


@pytest.fixture
def sqlite_world(tmp_path: Path, installation: Path) -> Iterator[World]:
    """An installation with a root, on SQLite, for what the database has no say in."""
    made = World(tmp_path, made=installation)
    yield made
    made.close()
