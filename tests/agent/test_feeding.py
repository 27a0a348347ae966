"""The supervisor's side of sources: processes that die or hang begin again, and trouble is told once."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from dunlin_contract.golden import TensorData
from dunlin_contract.results import Result
from fleet_agent import ipc
from fleet_agent.config.sources import Source
from fleet_agent.results.store import Draft, Refused
from fleet_agent.supervisor import feeding
from fleet_agent.supervisor.feeding import Feeding
from fleet_agent.supervisor.loop import Loop, Timer
from fleet_agent.supervisor.results import Results

RELEASE = b"\5" * 32


class Process:
    """Stands for a feeder's process."""

    def __init__(
        self, _: Loop, module: str, receive: Callable[[ipc.Message], None], end: Callable[[str], None]
    ) -> None:
        assert module == "fleet_agent.feeder"
        self.receive, self.end = receive, end
        self.sent: list[Mapping[str, Any]] = []
        self.closed = False

    def send(self, body: Mapping[str, object], _: Sequence[int] = ()) -> None:
        self.sent.append(body)

    def close(self) -> None:
        self.closed = True

    def say(self, **body: object) -> None:
        self.receive(ipc.Message(dict(body), []))


class Desk:
    """Loop, store and clock by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *sources: Source) -> None:
        self.now = 0.0
        self.later: list[tuple[float, Timer]] = []
        self.processes: list[Process] = []
        self.kept: list[tuple[Draft, Callable[[int | Refused], None]]] = []
        self.told: list[str] = []
        monkeypatch.setattr(feeding, "Child", self._child)
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

        def tell(_: str, __: str, text: str) -> None:
            self.told.append(text)

        def holds(model: str, release: bytes) -> bool:
            return (model, release) == ("m", RELEASE)

        loop, results = cast(Loop, self), cast(Results, self)
        self.feeding = Feeding(loop, sources, Path("/run/api.sock"), results, holds, tell)
        self.feeding.start()

    def _child(self, *arguments: Any) -> Process:
        self.processes.append(Process(*arguments))
        return self.processes[-1]

    def after(self, seconds: float, call: Callable[[], object]) -> Timer:
        timer = Timer(call)
        self.later.append((self.now + seconds, timer))
        return timer

    def put(self, draft: Draft, told: Callable[[int | Refused], None]) -> None:
        self.kept.append((draft, told))

    def forward(self, seconds: float) -> None:
        until = self.now + seconds
        while due := sorted((one for one in self.later if one[0] <= until), key=lambda one: one[0]):
            self.later.remove(due[0])
            self.now = due[0][0]
            due[0][1].fire()
        self.now = until


CAMERA = Source("door", "camera", "m", device="/dev/video0", per_s=1)
OTHERS = (Source("spool", "folder", "m", folder=Path("/in")), Source("bus", "mqtt", "m", url="mqtt://x", topic="t"))


def test_each_camera_has_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch, CAMERA, *OTHERS)
    named = [[source["name"] for source in process.sent[0]["sources"]] for process in desk.processes]
    assert named == [["spool", "bus"], ["door"]]
    desk.feeding.close()
    assert all(process.closed for process in desk.processes)


def test_a_camera_whose_driver_hangs_is_killed_and_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch, CAMERA)
    (first,) = desk.processes
    for _ in range(10):
        desk.forward(60)
        first.say(**{"is": "alive", "source": "door", "answered": 3, "lost": 0})
    assert desk.processes == [first]
    assert desk.feeding.states["door"]["answered"] == 3
    desk.forward(110)
    assert first.closed
    assert len(desk.processes) == 2
    assert desk.told == ["source door: its process was silent for 90 s: its driver hangs; it is started again"]


def test_a_process_that_dies_again_and_again_is_started_ever_more_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch, OTHERS[0])
    for _ in range(20):
        desk.processes[-1].end("killed by SIGSEGV")
        desk.forward(1)
    assert 3 <= len(desk.processes) <= 6
    assert len(desk.told) == 2  # of twenty
    assert desk.feeding.states["spool"]["trouble"]


def test_trouble_and_its_end_are_told_and_what_flaps_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch, OTHERS[0])
    (process,) = desk.processes
    for _ in range(50):
        process.say(**{"is": "trouble", "source": "spool", "text": "the folder is away"})
        desk.forward(1)
        process.say(**{"is": "fine", "source": "spool"})
        desk.forward(1)
    assert desk.told == ["source spool: the folder is away", "source spool: goes on"]
    desk.forward(600)
    process.say(**{"is": "bad", "source": "spool", "text": "a.txt: is neither"})
    assert desk.told[2:] == ["source spool: a.txt: is neither"]


def result(**more: object) -> Result:
    tensor = TensorData(name="y", dtype="uint8", shape=(1,), data=b"\1")
    values: dict[str, object] = {"kind": "result", "model": "m", "release": RELEASE, "outputs": (tensor,)}
    values |= {"source": "spool"}
    return Result(stream=bytes(16), n=1, time_s=0, uptime_s=0, **(values | more))  # type: ignore[arg-type]


def hand_in(process: Process, data: bytes, **body: object) -> None:
    fd = os.memfd_create("result")
    os.write(fd, data)
    process.receive(ipc.Message({"is": "result", "id": 4, "priority": 3, **body}, [fd]))
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(fd)


def test_a_result_is_kept_under_its_release_and_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch, OTHERS[0])
    (process,) = desk.processes
    hand_in(process, result().to_bytes())
    ((draft, told),) = desk.kept
    assert (draft.kind, draft.model, draft.release, draft.source, draft.priority) == (
        "result",
        "m",
        RELEASE,
        "spool",
        3,
    )
    told(7)
    told(Refused("full", "no room"))
    assert process.sent[1:] == [{"id": 4}, {"id": 4, "code": "full", "text": "no room"}]


def test_the_answer_to_a_process_that_died_is_not_given_to_its_successor(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would take its own result, of the same number, for kept."""
    desk = Desk(monkeypatch, OTHERS[0])
    hand_in(desk.processes[0], result().to_bytes())
    desk.processes[0].end("killed by SIGKILL")
    desk.forward(10)
    _, second = desk.processes
    hand_in(second, result().to_bytes())
    (_, old), (_, new) = desk.kept
    old(7)
    assert second.sent[1:] == []
    new(8)
    assert second.sent[1:] == [{"id": 4}]


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (b"rubbish", {}),
        (result(release=bytes(32)).to_bytes(), {}),
        (result(model="other").to_bytes(), {}),
        (result().to_bytes(), {"priority": 10}),
        (result(kind="gap", model=None, release=None, outputs=(), source="", first=1).to_bytes(), {}),
    ],
)
def test_what_is_no_result_is_refused(monkeypatch: pytest.MonkeyPatch, data: bytes, body: dict[str, object]) -> None:
    desk = Desk(monkeypatch, OTHERS[0])
    (process,) = desk.processes
    hand_in(process, data, **body)
    assert desk.kept == []
    assert process.sent[1]["code"] == "malformed"


def test_what_a_feeder_says_is_not_believed_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch, CAMERA, *OTHERS)
    desk.processes[0].say(**{"is": "trouble", "source": "door", "text": "x"})
    desk.processes[0].say(what="is this")
    assert desk.told == []


def test_a_process_that_asks_for_it_begins_again_and_no_trouble_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch, *OTHERS)
    (first,) = desk.processes
    first.say(**{"is": "confined", "tier": "landlock+seccomp"})
    first.say(**{"is": "trouble", "source": "spool", "text": "the folder is away"})
    first.say(**{"is": "again"})
    desk.forward(5)
    (_, second) = desk.processes
    assert first.closed
    assert (first.sent[0]["troubled"], second.sent[0]["troubled"]) == ([], ["spool"])
    assert desk.feeding.states["spool"]["sandbox"] == "landlock+seccomp"
    assert desk.feeding.states["spool"]["trouble"] == "the folder is away"
    second.say(**{"is": "fine", "source": "spool"})
    assert desk.feeding.states["spool"]["trouble"] == ""
    assert desk.told == ["source spool: the folder is away", "source spool: goes on"]
