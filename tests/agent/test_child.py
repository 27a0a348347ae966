"""The supervisor's end of a child process."""

import os
import socket
import sys
import threading

import pytest

from fleet_agent import ipc
from fleet_agent.supervisor import child
from fleet_agent.supervisor.child import Child
from fleet_agent.supervisor.loop import Loop

PATIENCE_S = 30
MORE_THAN_A_SOCKET_HOLDS = 5000


def deaf(_: str, control: socket.socket) -> int:
    """Start a process that never looks at its control socket."""
    actions = [(os.POSIX_SPAWN_DUP2, control.fileno(), ipc.CONTROL_FD)]
    words = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
    return os.posix_spawn(sys.executable, words, {}, file_actions=actions)


def test_a_child_that_takes_no_messages_does_not_hold_up_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "_DEAF_S", 1)
    monkeypatch.setattr(ipc, "spawn", deaf)
    loop = Loop()
    told: list[str] = []

    def ended(why: str) -> None:
        told.append(why)
        loop.stop()

    def begin() -> None:
        made = Child(loop, "deaf", lambda _: None, ended)
        for number in range(MORE_THAN_A_SOCKET_HOLDS):
            made.send({"id": number})

    loop.post(begin)
    running = threading.Thread(target=loop.run, daemon=True)
    running.start()
    running.join(PATIENCE_S)
    assert told == ["killed by SIGKILL"]
