"""The command: enrolling against a real HTTPS server, running, asking for status; every mistake in one clear line."""

import http.server
import json
import os
import secrets
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from dunlin_contract import cose, envelopes, keys
from dunlin_contract.enrolment import ClaimToken, EnrolReply, EnrolRequest, Trust
from dunlin_contract.limits import LIMITS
from fleet_agent.paths import Paths
from tests.agent.fleet import Agent, Authority, Fleet, Signers, commit, until


def command(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "fleet_agent.cli", *arguments]
    return subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=90, check=False)


def refused(*arguments: str, stdin: str = "", code: int = 1) -> str:
    """The one line of a command that must fail."""
    done = command(*arguments, stdin=stdin)
    assert done.returncode == code, done
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 or code == 2, done.stderr
    assert "Traceback" not in done.stderr
    return lines[-1]


class Server(http.server.BaseHTTPRequestHandler):
    """The three device calls, as the fleet server answers them; `plan` says what enrolment does each time."""

    fleet: Fleet
    plan: list[str]
    seen: list[EnrolRequest]
    trust: Trust

    def do_GET(self) -> None:
        self._answer(200, self.trust.to_bytes())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = EnrolRequest.from_bytes(cose.peek1(body, LIMITS.enrolment_bytes))
        assert envelopes.open_enrol(body) == request
        public = keys.load_spki(request.spki)
        self.seen.append(request)
        step = self.plan.pop(0) if len(self.plan) > 1 else self.plan[0]
        if step == "pending":
            self._answer(200, EnrolReply(status="pending", poll_s=1).to_bytes())
        elif step == "issued":
            certificate = self.fleet.ca.issue(request.device, public)
            self._answer(200, self._issued(certificate.public_bytes(serialization.Encoding.DER)))
        elif step == "wrong":
            certificate = self.fleet.ca.issue("another", public)
            self._answer(200, self._issued(certificate.public_bytes(serialization.Encoding.DER)))
        else:
            problem = {"type": "about:blank", "title": "Forbidden", "status": 403, "detail": step}
            self._answer(403, json.dumps(problem).encode())

    def _issued(self, der: bytes) -> bytes:
        port = self.fleet.broker.port
        return EnrolReply(status="issued", chain=(der,), broker_host="127.0.0.1", broker_port=port).to_bytes()

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(name="server")
def _server(tmp_path: Path) -> Iterator[tuple[Fleet, type[Server], str]]:
    """A fleet whose device is not enrolled, its device listener, and a claim token."""
    fleet = Fleet(tmp_path)
    fleet.start()
    trust = Trust(root=fleet.root_envelope, ca=fleet.ca.der)
    handler = type("Handler", (Server,), {"fleet": fleet, "plan": ["issued"], "seen": [], "trust": trust})
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*fleet.ca.files(tmp_path / "pki", "web"))
    web.socket = context.wrap_socket(web.socket, server_side=True)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    token = ClaimToken(
        url=f"https://127.0.0.1:{web.server_port}",
        root_digest=envelopes.root_digest(fleet.root_envelope),
        token_id=secrets.token_bytes(8),
        secret=secrets.token_bytes(16),
        expires=int(time.time()) + 600,
    )
    yield fleet, handler, token.to_text()
    web.shutdown()
    web.server_close()
    fleet.stop()


def test_enrol_wait_for_approval_and_run(server: tuple[Fleet, type[Server], str]) -> None:
    fleet, handler, token = server
    handler.plan[:] = ["pending", "pending", "issued"]
    done = command("enroll", "--token-file", "-", "--id", fleet.device, "--state-dir", str(fleet.state), stdin=token)
    assert done.returncode == 0, done.stderr
    assert "waiting for approval" in done.stderr
    assert len(handler.seen) == 3
    assert len({request.to_bytes() for request in handler.seen}) == 1
    assert {request.description.runtimes[0].name for request in handler.seen} == {"litert"}
    secret_files = [path for path in fleet.state.rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o077 for path in secret_files} == {0}
    with Agent(fleet):
        fleet.until_event("boot")
    again = refused("enroll", "--token-file", "-", "--state-dir", str(fleet.state), stdin=token)
    assert "holds an enrolled device already" in again


def test_an_interrupted_enrolment_goes_on_with_its_keys(server: tuple[Fleet, type[Server], str]) -> None:
    fleet, handler, token = server
    handler.plan[:] = ["the token has been used: make another", "issued"]
    arguments = ("enroll", "--token-file", "-", "--id", fleet.device, "--state-dir", str(fleet.state))
    assert "the token has been used" in refused(*arguments, stdin=token)
    assert not Paths(fleet.state).enrolment.exists()
    assert command(*arguments, stdin=token).returncode == 0
    assert len({request.kem for request in handler.seen}) == 1


def test_a_server_that_is_not_the_tokens_is_refused_before_anything_is_sent(
    server: tuple[Fleet, type[Server], str],
) -> None:
    fleet, handler, token = server
    arguments = ("enroll", "--token-file", "-", "--id", fleet.device, "--state-dir", str(fleet.state))
    stranger = Signers()
    handler.trust = Trust(root=stranger.sign_root(fleet.ca.key), ca=fleet.ca.der)
    assert "is not the server that made this token" in refused(*arguments, stdin=token)
    handler.trust = Trust(root=fleet.root_envelope, ca=Authority().der)
    assert "a CA that the fleet's root does not name" in refused(*arguments, stdin=token)
    assert handler.seen == []


def test_a_certificate_for_another_device_is_refused(server: tuple[Fleet, type[Server], str]) -> None:
    fleet, handler, token = server
    handler.plan[:] = ["wrong"]
    arguments = ("enroll", "--token-file", "-", "--id", fleet.device, "--state-dir", str(fleet.state))
    assert "the certificate is for another device" in refused(*arguments, stdin=token)
    assert not Paths(fleet.state).enrolment.exists()


@pytest.mark.parametrize(
    ("token", "says"),
    [
        ("", "a claim token begins with dunlin1-"),
        ("hello", "a claim token begins with dunlin1-"),
        ("dunlin1-AAAA", "the claim token cannot be used"),
    ],
)
def test_a_damaged_token(tmp_path: Path, token: str, says: str) -> None:
    line = refused("enroll", "--token-file", "-", "--state-dir", str(tmp_path / "s"), stdin=token)
    assert says in line
    assert not (tmp_path / "s").exists()


def test_mistakes_on_the_command_line(fleet: Fleet, tmp_path: Path) -> None:
    state = str(fleet.state)
    assert "no such file" in refused("enroll", "--token-file", str(tmp_path / "none"), "--state-dir", state).lower()
    assert "run fleet-agent enroll" in refused("run", "--state-dir", str(tmp_path / "empty"))
    assert "write HOST:PORT" in refused("run", "--state-dir", state, "--listen", "8080", code=2)
    assert "required" in refused("enroll", code=2)
    assert "tensorrt" in refused("run", "--state-dir", state, "--runtime", "tensorrt")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused("run", "--state-dir", state, "--listen", f"127.0.0.1:{port}")
        assert f"port {port}" in line
        assert "--listen" in line


def test_one_agent_a_state_folder_and_status_up_and_down(fleet: Fleet) -> None:
    one = fleet.release(1.0)
    state = str(fleet.state)
    with Agent(fleet) as agent:
        commit(fleet, agent, one, 1.0)
        assert "another fleet-agent uses" in refused("run", "--state-dir", state)
        up = json.loads(command("status", "--json", "--state-dir", state).stdout)
        assert (up["running"], up["connected"], up["port"]) == (True, True, agent.port)
        assert up["models"]["adder"]["ready"] is True
        assert one.digest.hex()[:12] in command("status", "--state-dir", state).stdout
    down = json.loads(command("status", "--json", "--state-dir", state).stdout)
    assert (down["running"], down["models"]["adder"]["active"]) == (False, one.digest.hex())
    assert "not running" in command("status", "--state-dir", state).stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small disk")
def test_a_full_disk_is_told_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], check=True)
    fleet = Fleet(tmp_path)
    fleet.state = disk / "state"
    try:
        fleet.start()
        fleet.enrol()
        one, big = fleet.release(1.0), fleet.release(2.0, version="2.0.0", ballast=9_000_000)
        with Agent(fleet) as agent:
            commit(fleet, agent, one, 1.0)
            fleet.offer(big)
            fleet.desire(big)
            model = fleet.until_phase("refused", big)
            assert model.error_code == "disk-full"
            assert "bytes of disk" in model.error_text
            assert agent.infer() == 1.0
            until(lambda: not Paths(fleet.state).slot("adder", "b").exists(), "the slot is empty")
    finally:
        fleet.stop()
        subprocess.run(["umount", str(disk)], check=True)


def test_a_state_folder_with_a_long_path_still_has_a_control_socket(fleet: Fleet) -> None:
    deep = fleet.folder / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    fleet.state = fleet.state.rename(deep / "state")
    with Agent(fleet):
        fleet.until_event("boot")
        status = json.loads(command("status", "--json", "--state-dir", str(fleet.state)).stdout)
        assert status["running"] is True
