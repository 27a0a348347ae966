"""A whole agent that feeds its own model: online, offline for a day, killed, and wiped."""

import json
import signal
import struct
import time
from pathlib import Path

import pytest

from dunlin_contract.results import Result
from fleet_agent import control
from tests.agent.fleet import Agent, Fleet, commit, until

SPEED = 4000
FAST = f"""
import time
import fleet_agent.clock as clock
began, plain = time.clock_gettime(time.CLOCK_BOOTTIME), clock.Clock
def fast():
    return began + (time.clock_gettime(time.CLOCK_BOOTTIME) - began) * {SPEED}
clock.Clock = lambda: plain(since_boot=fast)
"""
"""Hook: for this agent a day passes in 22 seconds."""


@pytest.fixture(name="spool")
def _spool(fleet: Fleet) -> Path:
    path = fleet.folder / "in"
    path.mkdir()
    (fleet.state / "agent.toml").write_text(f"""
[[sink]]
name = "fleet"
kind = "fleet"
[[sink]]
name = "log"
kind = "file"
path = "{fleet.folder}/out.jsonl"
[[source]]
name = "spool"
kind = "folder"
model = "adder"
folder = "{path}"
done = "delete"
sinks = ["fleet", "log"]
[[source]]
name = "gone"
kind = "folder"
model = "adder"
folder = "{fleet.folder}/nowhere"
""")
    return path


def drop(spool: Path, *rows: int) -> None:
    """Requests of the numbers ``rows``, each put in place whole."""
    for row in rows:
        body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [float(row)] * 4}]}
        beside = spool / f".{row}"
        beside.write_text(json.dumps(body))
        beside.replace(spool / f"{row}.json")


def answered(results: list[Result]) -> set[float]:
    """First numbers of the outputs."""
    return {struct.unpack("<f", one.outputs[0].data[:4])[0] for one in results if one.first is None}


def logged(fleet: Fleet) -> list[float]:
    lines = (fleet.folder / "out.jsonl").read_text().splitlines()
    return [json.loads(line)["outputs"][0]["data"][0] for line in lines]


def status(fleet: Fleet) -> dict[str, object]:
    return next(control.ask(fleet.state / "control.sock", {"do": "status"}, 10))


def test_results_reach_the_fleet_after_a_day_without_it(fleet: Fleet, spool: Path) -> None:
    one = fleet.release(1.0)
    with Agent(fleet) as agent:
        commit(fleet, agent, one, 1.0)
    with Agent(fleet, hook=FAST) as agent:
        agent.until_serves(1.0)
        drop(spool, 1, 2)
        until(lambda: answered(fleet.results) == {2.0, 3.0}, lambda: f"results; agent says:\n{agent.text()[-3000:]}")
        assert {(one_.model, one_.release, one_.source) for one_ in fleet.results} == {("adder", one.digest, "spool")}
        fleet.broker.stop()
        until(lambda: not status(fleet)["connected"], "the agent is offline")
        began, row = time.monotonic(), 10
        while time.monotonic() - began < 86_400 / SPEED:
            drop(spool, row)
            until(lambda row=row: logged(fleet)[-1] == row + 1.0, "inference goes on")  # type: ignore[misc]
            assert agent.infer(1.0) == 2.0
            row += 1
        until(lambda: not list(spool.glob("*.json")), "all files are fed")
        promised = set(map(float, logged(fleet)))
        waiting = status(fleet)["results"]
        assert isinstance(waiting, dict)
        assert waiting["waiting"] >= row - 10
        agent.process.send_signal(signal.SIGKILL)
        agent.process.wait()
    with Agent(fleet, hook=FAST) as agent:
        agent.until_serves(1.0)
        fleet.broker.start()
        until(lambda: promised <= answered(fleet.results), lambda: f"all of it comes:\n{agent.text()[-3000:]}")
        until(lambda: status(fleet)["results"]["waiting"] == 0, "all is acknowledged")  # type: ignore[index]
        offline = [one_.uptime_s for one_ in fleet.results if one_.n > 2]
        assert max(offline) - min(offline) > 80_000
        numbers = sorted({result.n for result in fleet.results})
        assert numbers == list(range(1, len(numbers) + 1))
        # The folder that is not there is told once by each agent, and holds up nothing.
        assert agent.text().count("nowhere cannot be read") == 3


def test_a_wiped_model_leaves_no_results(fleet: Fleet, spool: Path) -> None:
    one = fleet.release(1.0)
    with Agent(fleet) as agent:
        commit(fleet, agent, one, 1.0)
        fleet.acking = False
        drop(spool, 77)
        until(lambda: 78.0 in answered(fleet.results), "the result came")
        mark = fleet.results[-1].outputs[0].data
        stored = [fleet.state / name for name in ("results.db", "results.db-wal")]
        assert any(mark in path.read_bytes() for path in stored if path.exists())
        fleet.desire(wipe=fleet.wipe_order())
        fleet.until_event("wiped")
        assert not any(mark in path.read_bytes() for path in stored if path.exists())
