"""The supervisor's end of a child process."""

import errno
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

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


def test_a_child_has_no_terminal() -> None:
    """It is the first of a session of its own: what it writes to a terminal, nobody there has typed."""
    ours, theirs = ipc.pair()
    with ours, theirs:
        pid = ipc.spawn("fleet_agent.front", theirs)
        session = os.getsid(pid)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert session == pid


def refuse(*_: object, **__: object) -> NoReturn:
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def leftovers() -> tuple[int, str]:
    """How many descriptors this process has open, and the children of this thread."""
    return len(list(Path("/proc/self/fd").iterdir())), Path("/proc/thread-self/children").read_text()


def no_thread(*_: object) -> NoReturn:
    raise RuntimeError("can't start new thread")


@pytest.mark.parametrize(
    ("what", "name", "fails"),
    [(ipc, "pair", refuse), (ipc, "spawn", refuse), (os, "pidfd_open", refuse), (threading.Thread, "start", no_thread)],
    ids=["socket", "process", "handle", "thread"],
)
@pytest.mark.parametrize("closed", [False, True])
def test_a_child_that_cannot_be_started_ends_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, what: object, name: str, fails: Callable[..., object], closed: bool
) -> None:
    loop = Loop()
    told: list[str] = []

    def ended(why: str) -> None:
        told.append(why)
        loop.stop()

    before = leftovers()
    with monkeypatch.context() as patch:
        patch.setattr(what, name, fails)
        made = Child(loop, "fleet_agent.worker", lambda _: None, ended)
    made.send({"do": "load"})
    assert made.pid is None
    assert told == []
    if closed:
        made.close(lambda: ended("gone"))
    loop.run()
    made.send({"do": "load"})
    reason = "can't start new thread" if fails is no_thread else os.strerror(errno.EAGAIN)
    assert told == ["gone" if closed else f"not started ({reason})"]
    assert leftovers() == before


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
