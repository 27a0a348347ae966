"""The broker as a child process: ports, restarts, and no orphan."""

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from fleet_server.broker import SERVER_NAME, Broker, BrokerSettings, access_list, configuration
from fleet_server.errors import ConfigError
from tests.support.certificates import Authority
from tests.support.mqtt import Client


@pytest.fixture
def own(settings: BrokerSettings, tmp_path: Path) -> BrokerSettings:
    return replace(settings, directory=tmp_path / "broker")


def test_retained_messages_and_port_survive_a_restart(own: BrokerSettings, authority: Authority) -> None:
    with Broker(own) as broker:
        port = broker.port
        with Client(port, authority.certificate, authority.issue(SERVER_NAME)) as server:
            server.connect()
            server.publish("dunlin/v1/dev-a/dn/desired", b"kept", retain=True)
        broker.restart()
        assert broker.port == port
        with Client(port, authority.certificate, authority.issue("dev-a")) as device:
            device.connect()
            device.subscribe("dunlin/v1/dev-a/dn/desired")
            assert device.inbox.get(timeout=20) == ("dunlin/v1/dev-a/dn/desired", b"kept", True)
    assert not broker.running


def test_a_port_in_use_is_one_clear_line(own: BrokerSettings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port} .*--broker-port"):
            Broker(replace(own, port=port)).start()


def test_a_missing_certificate_is_named(own: BrokerSettings, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"did not start: .*missing\.pem"):
        Broker(replace(own, certificate_file=tmp_path / "missing.pem")).start()


def test_a_missing_program_is_named(own: BrokerSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet_server.broker.process.shutil.which", lambda *_args, **_options: None)
    with pytest.raises(ConfigError, match="apt-get install mosquitto"):
        Broker(own).start()


def test_files_are_private(own: BrokerSettings) -> None:
    with Broker(own):
        assert own.directory.stat().st_mode & 0o777 == 0o700
        assert own.configuration_file.stat().st_mode & 0o777 == 0o600


def test_the_broker_ends_with_its_parent(own: BrokerSettings, tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import sys, time; from pathlib import Path; from fleet_server.broker import Broker, BrokerSettings\n"
        "directory, ca, cert, key = map(Path, sys.argv[1:])\n"
        "broker = Broker(BrokerSettings(directory, ca, cert, key)); broker.start()\n"
        "print(broker._process.pid, flush=True); time.sleep(600)\n"
    )
    files = [own.directory, own.ca_file, own.certificate_file, own.key_file]
    with subprocess.Popen([sys.executable, script, *files], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert Path(f"/proc/{child}").exists()
        os.kill(parent.pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while _alive(child):
        assert time.monotonic() < deadline, "the broker outlived its parent"
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_configuration_holds_what_the_access_rules_rest_on(own: BrokerSettings) -> None:
    lines = configuration(replace(own, port=8883, crl_file=own.directory / "crl.pem"), "nobody").splitlines()
    for line in (
        "allow_anonymous false",
        "require_certificate true",
        "use_identity_as_username true",
        "use_username_as_clientid true",
        "tls_version tlsv1.3",
        f"acl_file {own.directory / 'acl'}",
        f"crlfile {own.directory / 'crl.pem'}",
    ):
        assert line in lines
    assert "topic" not in {line.split(" ")[0] for line in access_list().splitlines()[2:]}


@pytest.mark.parametrize("path", ["a\nallow_anonymous true", "a\x00b"])
def test_a_path_cannot_add_a_line_to_the_configuration(own: BrokerSettings, path: str) -> None:
    with pytest.raises(ConfigError, match="control character"):
        configuration(replace(own, port=8883, ca_file=Path(path)), "nobody")


def test_a_port_that_is_none_is_refused(own: BrokerSettings) -> None:
    with pytest.raises(ConfigError, match="is not a TCP port"):
        configuration(replace(own, port=70000), "nobody")
