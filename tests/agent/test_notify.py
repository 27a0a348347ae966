"""What systemd hears of the agent: ready once, alive as long as the loop runs and no longer, stopping."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet_agent.supervisor import results
from fleet_agent.supervisor.loop import Loop
from fleet_agent.supervisor.notify import Notify
from tests.agent.fleet import PATIENCE_S, Agent, Fleet


@pytest.fixture(name="manager")
def _manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The socket that systemd would listen on."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        sock.settimeout(PATIENCE_S)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        monkeypatch.setenv("WATCHDOG_USEC", "20000")
        yield sock


def heard(sock: socket.socket) -> str:
    return sock.recv(4096).decode()


def test_a_running_agent_is_ready_alive_and_stops(fleet: Fleet, manager: socket.socket) -> None:
    with Agent(fleet) as agent:
        assert heard(manager) == f"READY=1\nSTATUS=device {fleet.device}"
        assert [heard(manager) for _ in range(5)] == ["WATCHDOG=1"] * 5
        agent.process.send_signal(signal.SIGTERM)
        while (said := heard(manager)) == "WATCHDOG=1":
            pass
        assert said == "STOPPING=1"
        assert agent.stop() == 0


def test_a_loop_that_hangs_says_nothing(manager: socket.socket) -> None:
    loop, free = Loop(), threading.Event()
    notify = Notify(loop)

    before: list[str] = []

    def hang() -> None:
        while not free.is_set():
            manager.settimeout(0.2)
            try:
                before.append(heard(manager))
            except TimeoutError:
                loop.stop()
                free.set()

    loop.post(lambda: notify.ready("one"))
    loop.after(0.05, hang)
    loop.run()
    assert before[:3] == ["READY=1\nSTATUS=one", "WATCHDOG=1", "WATCHDOG=1"]


def test_a_watchdog_for_another_process_is_not_ours(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid() + 1))
    loop = Loop()
    Notify(loop).ready("one")
    loop.stop()
    loop.run()
    assert heard(manager).startswith("READY=1")
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        heard(manager)


def test_an_abstract_socket_and_one_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"dunlin-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0{name}")
        sock.settimeout(PATIENCE_S)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        Notify(Loop()).stopping()
        assert heard(sock) == "STOPPING=1"
    Notify(Loop()).stopping()


def test_a_wipe_that_waits_for_the_disk_is_no_loop_that_hangs() -> None:
    """Killed for it, the agent would begin the same deletion again, and be killed again."""
    unit = Path(results.__file__).parents[1] / "fleet-agent.service"
    words = dict(line.split("=", 1) for line in unit.read_text().splitlines() if "=" in line and line[0] != "#")
    assert float(words["WatchdogSec"]) / 2 > 2 * results._FORGET_S
