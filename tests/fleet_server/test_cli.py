"""The command: each failure is one clear line and an exit code; `serve` starts, answers and stops."""

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlmodel import select

from fleet_server import cli, config, setup
from fleet_server.db.engine import Database, sqlite_url
from fleet_server.db.models import UserRow
from fleet_server.errors import BusyError, ConfigError
from tests.fleet_server.world import World


def run(*arguments: object) -> int:
    try:
        return cli.main([str(argument) for argument in arguments])
    except SystemExit as end:  # argparse
        return int(end.code or 0)


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in socks:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in socks]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    operators, devices, broker = free_ports(3)
    ports = ("--port", operators, "--device-port", devices, "--broker-port", broker)
    assert run("init", tmp_path / "data", "--host", "127.0.0.1", *ports) == 0
    return tmp_path / "data"


def last_line(captured: pytest.CaptureFixture[str]) -> str:
    lines = captured.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_init_leaves_nothing_when_it_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    assert run("init", tmp_path / "full") == 1
    assert "is not empty" in last_line(capsys)
    assert run("init", tmp_path / "new", "--database", "nonsense://x") == 1
    assert "database" in last_line(capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


def test_init_takes_an_empty_directory(tmp_path: Path) -> None:
    assert run("init", tmp_path) == 0
    assert (tmp_path / "server.toml").exists()


def test_a_database_that_is_not_empty_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("init", tmp_path / "a") == 0
    capsys.readouterr()
    assert run("init", tmp_path / "b", "--database", sqlite_url(tmp_path / "a" / "dunlin.db")) == 1
    assert "database is not empty" in last_line(capsys)
    assert not (tmp_path / "b").exists()


def test_users_and_tokens(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "password").write_text("correct horse\n")
    adding = ("user", "add", "ann", "--data", data, "--role", "admin", "--password-file", tmp_path / "password")
    assert run(*adding) == 0
    capsys.readouterr()
    assert run(*adding) == 1
    assert "already" in last_line(capsys)
    assert run("token", "add", "ci", "--data", data) == 0
    assert capsys.readouterr().out.startswith("dnl_")
    assert run("token", "remove", "ci", "--data", data) == 0
    assert run("token", "remove", "ci", "--data", data) == 1
    database = Database(sqlite_url(data / "dunlin.db"))
    with database.read() as session:
        assert [row.role for row in session.exec(select(UserRow))] == ["admin"]
    database.close()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["serve", "--data", "{tmp}/nowhere"], 1, "run `fleet-server init"),
        (["root", "import", "{tmp}/none.cose", "--data", "{data}"], 1, "No such file"),
        (["root", "import", "{data}/server.toml", "--data", "{data}"], 1, "is no root"),
        (["settings", "windw=3", "--data", "{data}"], 1, "did you mean window?"),
        (["settings", "window=900", "--data", "{data}"], 1, "900"),
        (["settings", "window=x", "--data", "{data}"], 1, "NAME=NUMBER"),
        (["restore", "{data}/server.toml", "--data", "{tmp}/new"], 1, "not a backup"),
        (["backup", "{tmp}/no/such/dir/b.tar", "--data", "{data}"], 1, "No such file"),
    ],
)
def test_failures_are_one_line(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, says: str
) -> None:
    capsys.readouterr()
    assert run(*(one.format(tmp=tmp_path, data=data) for one in arguments)) == code
    assert says in last_line(capsys)


PASSWORD_SHOWN = ["init", "x", "--database", "postgresql+psycopg://ann:secret@db/fleet"]


@pytest.mark.parametrize(
    "arguments", [[], ["serve"], ["init"], ["frobnicate"], ["init", "x", "--port", "99999"], PASSWORD_SHOWN]
)
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    assert run(*arguments) == 2


def test_a_typo_in_the_settings_file_is_named(data: Path) -> None:
    text = (data / "server.toml").read_text()
    (data / "server.toml").write_text(text.replace("broker_port", "broker_prot"))
    with pytest.raises(ConfigError, match="did you mean broker_port"):
        config.load(data)
    (data / "server.toml").write_text(text.replace('host = "127.0.0.1"', "host = 5", 1))
    with pytest.raises(ConfigError, match="host must be text"):
        config.load(data)
    (data / "server.toml").write_text("= =")
    with pytest.raises(ConfigError, match="cannot read"):
        config.load(data)


def test_settings_survive_being_written(tmp_path: Path) -> None:
    written = config.Config(dir=tmp_path, host='we"ird\\name', database="postgresql+psycopg://u:p%40@h/d", tick_s=0.25)
    written.save()
    assert config.load(tmp_path) == written


def test_a_locked_database_is_busy_not_broken(sqlite_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet_server.db.engine.BUSY_TIMEOUT_MS", 50)
    other = Database(sqlite_world.ctx.config.database_url)
    with other.write(), pytest.raises(BusyError, match="locked"):
        setup.open_context(sqlite_world.ctx.config.dir)
    other.close()


@contextlib.contextmanager
def serving(data: Path) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    command = [sys.executable, "-m", "fleet_server.cli", "serve", "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, [process.stdout.readline().strip() for _ in range(2)]
        finally:
            process.kill()
            process.communicate()


def test_serve_answers_without_a_broker_and_stops_on_sigterm(data: Path) -> None:
    settings = config.load(data)
    with serving(data) as (process, lines):
        assert lines[0] == f"operators http://127.0.0.1:{settings.operator_port}"
        assert lines[1].startswith(f"devices https://127.0.0.1:{settings.device_port}")
        answer = httpx.get(f"http://127.0.0.1:{settings.operator_port}/api/v1/server", trust_env=False)
        assert answer.status_code == 401
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_serve_ends_open_event_streams(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run("token", "add", "ci", "--data", data) == 0
    token = capsys.readouterr().out.strip()
    settings = config.load(data)
    with serving(data) as (process, _):
        url = f"http://127.0.0.1:{settings.operator_port}/api/v1/stream"
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.stream("GET", url, headers=headers, timeout=30, trust_env=False) as stream:
            assert stream.status_code == 200
            process.send_signal(signal.SIGTERM)
            started = time.monotonic()
            with contextlib.suppress(httpx.RemoteProtocolError):
                for _ in stream.iter_raw():
                    pass
        assert process.wait(30) == 0
        assert time.monotonic() - started < 30


def test_a_port_in_use_is_one_line(data: Path) -> None:
    settings = config.load(data)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", settings.device_port))
        taken.listen()
        command = [sys.executable, "-m", "fleet_server.cli", "serve", "--data", str(data)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].endswith("stop what holds it, or change device_port")
