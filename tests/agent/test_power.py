"""Power cuts: the agent is killed (-9) at each write of its journal during an update, and goes on from there.

In every case the known-good release serves again at once and without the network, the update ends, the server learns
how, and no chunk is asked for again once a receipt for it is on the disk.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.fleet import Agent, Fleet, Release, commit, until

_COMMITS = range(1, 23)
"""An update of this fleet's releases takes 20 transactions from the agent's start to its commit."""


def tracing(trace: Path) -> str:
    """Hook: write down what is asked for, and each receipt once it is on the disk."""
    return f"""
import os
import fleet_agent.journal as journal, fleet_agent.supervisor.link as link
def trace(line):
    with open({str(trace)!r}, "a") as file:
        file.write(line + "\\n")
pending = []
real_commit, real_chunk, real_subscribe = journal.Journal.commit, journal.Write.chunk, link.Link.subscribe
def traced_commit(self):
    real_commit(self)
    while pending:
        trace(pending.pop(0))
def traced_chunk(self, model, slot, place):
    pending.append(f"receipt {{slot}} {{place}}")
    real_chunk(self, model, slot, place)
def traced_subscribe(self, names):
    for name in names:
        trace(f"ask {{name.rpartition('/')[2]}}")
    real_subscribe(self, names)
journal.Journal.commit, journal.Write.chunk, link.Link.subscribe = traced_commit, traced_chunk, traced_subscribe
"""


def dying(number: int, *, before: bool) -> str:
    """Hook: die by SIGKILL around the ``number``-th commit of the journal."""
    return f"""
import os, signal
import fleet_agent.journal as journal
count, inner = 0, journal.Journal.commit
def deadly_commit(self):
    global count
    count += 1
    if count == {number} and {before}:
        os.kill(os.getpid(), signal.SIGKILL)
    inner(self)
    if count == {number}:
        os.kill(os.getpid(), signal.SIGKILL)
journal.Journal.commit = deadly_commit
"""


def never_fetched_twice(trace: Path, release: Release) -> bool:
    """Whether no chunk of ``release`` was asked for after its receipt."""
    layout = list(release.chunks)
    kept: set[str] = set()
    for line in trace.read_text().splitlines():
        kind, *rest = line.split()
        if kind == "receipt" and rest[0] == "b":
            kept.add(layout[int(rest[1])].hex())
        elif kind == "ask" and rest[0] in kept:
            return False
    return bool(kept)


@pytest.fixture(name="updating", scope="module")
def _updating(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Fleet, Release, Release, Path]]:
    """A device that serves release 1 and is desired to run release 2; its state folder is copied for each case."""
    fleet = Fleet(tmp_path_factory.mktemp("power"))
    fleet.start()
    fleet.enrol()
    one, two = fleet.release(1.0, ballast=8000), fleet.release(2.0, version="2.0.0", ballast=8000)
    with Agent(fleet) as agent:
        commit(fleet, agent, one, 1.0)
    fleet.offer(two)
    fleet.desire(two)
    saved = fleet.folder / "saved"
    shutil.copytree(fleet.state, saved, ignore=shutil.ignore_patterns("control.sock"))
    yield fleet, one, two, saved
    fleet.stop()


@pytest.mark.parametrize("number", _COMMITS)
def test_killed_at_a_write(updating: tuple[Fleet, Release, Release, Path], number: int) -> None:
    fleet, one, two, saved = updating
    shutil.rmtree(fleet.state)
    shutil.copytree(saved, fleet.state)
    fleet.reported.clear()
    trace = fleet.folder / f"trace-{number}"
    with Agent(fleet, hook=tracing(trace) + dying(number, before=number % 2 == 0)) as agent:
        # Requests let the probation end, should it come to one before the cut.
        until(lambda: agent.work(2) or agent.process.poll() is not None or _done(fleet, two), "killed, or done")
        agent.stop()
    fleet.broker.stop()
    with Agent(fleet, hook=tracing(trace)) as agent:
        until(lambda: agent.infer() in {1.0, 2.0}, lambda: f"serving without a network:\n{agent.text()[-2000:]}")
        fleet.broker.start()
        until(lambda: agent.work(2) or _done(fleet, two), lambda: f"ended: {fleet.model()}")
        model = fleet.model()
        assert model is not None
        if model.phase == "rolled-back":
            assert (model.active, model.error_code) == (one.digest, "restarted")
            assert agent.infer() == 1.0
        else:
            assert agent.infer() == 2.0
    assert never_fetched_twice(trace, two)


def _done(fleet: Fleet, two: Release) -> bool:
    model = fleet.model()
    if model is None:
        return False
    return (model.phase == "committed" and model.active == two.digest) or model.phase == "rolled-back"
