"""The control socket: requests that are none, callers that leave, callers that are too many."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet_agent.control import ask, short
from fleet_agent.errors import SetupError
from fleet_agent.supervisor.control import CALLERS, REQUEST_BYTES, Caller, Control
from fleet_agent.supervisor.loop import Loop
from tests.agent.fleet import until


class Served:
    """A control socket whose requests are answered, kept waiting, or fail."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.waiting: list[Caller] = []
        self.left: list[Caller] = []
        self.loop = Loop()
        self.control = Control(self.loop, path, {"answer": self._answer, "wait": self._wait, "fail": self._fail})
        self.thread = threading.Thread(target=self.loop.run)
        self.thread.start()

    def _answer(self, request: dict[str, object], caller: Caller) -> None:
        caller.say({"heard": request})
        caller.say({"again": True})
        caller.end()

    def _wait(self, _: dict[str, object], caller: Caller) -> None:
        caller.hung_up = lambda: self.left.append(caller)
        self.waiting.append(caller)

    def _fail(self, _: dict[str, object], caller: Caller) -> None:
        raise KeyError("a mistake")

    def connect(self) -> socket.socket:
        address, _ = short(self.path)
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(30)
        sock.connect(address)
        return sock

    def raw(self, data: bytes) -> dict[str, object]:
        """The first answer to some bytes."""
        with self.connect() as sock:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            answer = json.loads(sock.makefile("rb").readline())
        assert isinstance(answer, dict)
        return answer


@pytest.fixture(name="served")
def _served(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path / "control.sock")
    yield served
    for caller in served.waiting:
        caller.end()
    served.loop.stop()
    served.thread.join()
    served.control.close()


def test_a_request_is_answered_line_by_line(served: Served) -> None:
    request = {"do": "answer", "with": "words"}
    assert list(ask(served.path, request, 30)) == [{"heard": request}, {"again": True}]
    assert served.path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "data",
    [b"", b"\n", b"[]\n", b'{"do": 1}\n', b'{"do": "other"}\n', b"\xff\n", b"[" * 4000 + b"\n", b"x" * REQUEST_BYTES],
)
def test_what_is_no_request_is_told_so(served: Served, data: bytes) -> None:
    assert "does not know this request" in str(served.raw(data)["error"])


def test_a_request_that_fails_ends_with_an_error_and_the_next_is_served(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(ask(served.path, {"do": "fail"}, 30)) == [{"error": "the agent failed: its log says where"}]
    assert len(list(ask(served.path, {"do": "answer"}, 30))) == 2
    assert "unexpected KeyError" in capsys.readouterr().err


def test_a_caller_that_leaves_is_noticed(served: Served) -> None:
    with served.connect() as sock:
        sock.sendall(b'{"do": "wait"}\n')
        until(lambda: served.waiting, "it waits")
        assert not served.left
    until(lambda: served.left == served.waiting, "it left")


def test_too_many_callers_are_turned_away_and_room_comes_back(served: Served) -> None:
    callers = [served.connect() for _ in range(CALLERS)]
    for caller in callers:
        caller.sendall(b'{"do": "wait"}\n')
    until(lambda: len(served.waiting) == CALLERS, "all wait")
    assert list(ask(served.path, {"do": "answer"}, 30)) == []
    for caller in callers:
        caller.close()
    until(lambda: len(served.left) == CALLERS, "all left")
    until(lambda: list(ask(served.path, {"do": "answer"}, 30)), "there is room")


def test_an_agent_that_does_not_answer_in_time_is_said_to_be_busy(served: Served) -> None:
    with pytest.raises(SetupError, match="it is busy"):
        next(ask(served.path, {"do": "wait"}, 0.2))


def test_no_agent_is_no_answer(tmp_path: Path) -> None:
    assert list(ask(tmp_path / "none.sock", {"do": "status"}, 1)) == []
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "left.sock"))
    left.close()
    assert list(ask(tmp_path / "left.sock", {"do": "status"}, 1)) == []
