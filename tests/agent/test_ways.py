"""A device that is hot: a cheaper variant, a capped rate, trials that wait. A real agent, real models."""

import http.client
import json
import os
import signal
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dunlin_contract.telemetry import Hardware
from fleet_agent import control
from fleet_agent.front.limits import LIMITS
from fleet_agent.front.router import Router, Worker
from fleet_agent.paths import Paths
from tests.agent.fleet import Agent, Fleet, adding, commit, until
from tests.agent.test_trial import TOLD

SLIGHTLY = 5e-6
"""What tells the cheaper variant's answers from the other's; the golden samples allow twice as much."""
HOT, COOL = "91000", "45000"


class Machine:
    """The device's sensors, as far as the agent looks, and time that flies for the policy."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "machine"
        self._zone = self.root / "sys/class/thermal/thermal_zone0/temp"
        self._zone.parent.mkdir(parents=True)
        self.feels(COOL)

    def feels(self, millidegrees: str) -> None:
        self._zone.write_text(millidegrees)

    @property
    def hook(self) -> str:
        return f"""
from pathlib import Path
from fleet_agent.hardware import kernel, policy
kernel.ROOT = Path({str(self.root)!r})
policy.HOT_S = policy.CALM_S = policy.MOST_CALM_S = 0.2
from fleet_agent.supervisor import sensing
sensing._LOOK_S = 0.1
"""


@pytest.fixture(name="machine")
def _machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def configure(fleet: Fleet, text: str) -> None:
    (fleet.state / "agent.toml").write_text(text)


def status(fleet: Fleet) -> dict[str, Any]:
    return next(control.ask(Paths(fleet.state).control, {"do": "status"}, 10))


def way(fleet: Fleet) -> str:
    return str(status(fleet)["models"]["adder"].get("way"))


class Asking:
    """Asks all the time; every answer must be one of those that are right."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._ending = threading.Event()
        self.answers: list[float | None] = []
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._ending.is_set():
            self.answers.append(self._agent.infer())

    def __enter__(self) -> "Asking":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()


def test_a_hot_device_runs_the_cheaper_variant_until_it_is_cool(fleet: Fleet, machine: Machine) -> None:
    configure(fleet, '[power]\nhot_c = 80\nactions = ["variant"]')
    release = fleet.release(1.0, lean=adding(1.0 + SLIGHTLY))
    with Agent(fleet, hook=machine.hook) as agent:
        commit(fleet, agent, release, 1.0)
        with Asking(agent) as asking:
            for _ in range(2):
                machine.feels(HOT)
                agent.until_serves(pytest.approx(1.0 + SLIGHTLY, abs=1e-6))
                until(lambda: way(fleet) == "lean", "status says so")
                machine.feels(COOL)
                agent.until_serves(1.0)
                until(lambda: way(fleet) == "", "status says so")
        assert {None if one is None else round(one, 4) for one in asking.answers} == {1.0}
        hot = fleet.until_event("note", "hot")
        assert hot.text == "the device is hot: 91 °C, hot from 80 on; in force: variant"
        assert fleet.until_event("note", "lean").text == "adder 1.0.0 runs on the cheaper variant"
        until(lambda: [e.code for e in fleet.events if e.kind == "note"].count("cool") == 2, "told twice")
        assert len(agent.children()["worker"]) == 1


def test_the_cheaper_variants_death_costs_nobody_an_answer(fleet: Fleet, machine: Machine) -> None:
    configure(fleet, '[power]\nhot_c = 80\nactions = ["variant"]')
    release = fleet.release(1.0, lean=adding(1.0 + SLIGHTLY))
    with Agent(fleet, hook=machine.hook) as agent:
        commit(fleet, agent, release, 1.0)
        machine.feels(HOT)
        until(lambda: way(fleet) == "lean", "lean")
        with Asking(agent) as asking:
            os.kill(max(agent.children()["worker"]), signal.SIGKILL)
            agent.until_serves(1.0)
        assert None not in asking.answers
        assert fleet.until_event("note", "lean-failed").text.startswith(
            "adder 1.0.0 runs as usual: the cheaper variant failed: "
        )
        # Not again while it is hot; the next time that it is, it gets another chance.
        assert way(fleet) == ""
        machine.feels(COOL)
        until(lambda: status(fleet)["hardware"]["policy"] == "normal", "cool")
        machine.feels(HOT)
        until(lambda: way(fleet) == "lean", "lean again")


def test_a_cheaper_variant_that_answers_wrong_never_serves(fleet: Fleet, machine: Machine) -> None:
    configure(fleet, '[power]\nhot_c = 80\nactions = ["variant"]')
    release = fleet.release(1.0, lean=adding(3.0))
    with Agent(fleet, hook=machine.hook) as agent:
        commit(fleet, agent, release, 1.0)
        machine.feels(HOT)
        with Asking(agent) as asking:
            assert "outputs are off" in fleet.until_event("note", "lean-failed").text
        assert set(asking.answers) == {1.0}


def test_a_successor_comes_while_the_cheaper_variant_serves(fleet: Fleet, machine: Machine) -> None:
    configure(fleet, '[power]\nhot_c = 80\nactions = ["variant"]')
    one = fleet.release(1.0, lean=adding(1.0 + SLIGHTLY))
    two = fleet.release(2.0, version="2.0.0", lean=adding(2.0 + SLIGHTLY))
    with Agent(fleet, hook=machine.hook) as agent:
        commit(fleet, agent, one, 1.0)
        machine.feels(HOT)
        until(lambda: way(fleet) == "lean", "lean")
        fleet.offer(two)
        fleet.desire(two)
        until(lambda: agent.work() or status(fleet)["models"]["adder"]["phase"] == "committed", "committed")
        fleet.until_phase("committed", two)
        agent.until_serves(pytest.approx(2.0 + SLIGHTLY, abs=1e-6))
        until(lambda: len(agent.children()["worker"]) == 2, "those of the release before have left")


def test_a_release_without_a_cheaper_variant_runs_as_it_is(fleet: Fleet, machine: Machine) -> None:
    configure(fleet, '[power]\nhot_c = 80\nactions = ["variant"]')
    with Agent(fleet, hook=machine.hook) as agent:
        commit(fleet, agent, fleet.release(1.0), 1.0)
        machine.feels(HOT)
        until(lambda: status(fleet)["hardware"]["policy"] == "reduced", "hot")
        agent.work()
        assert way(fleet) == ""
    assert not [event for event in fleet.events if event.code == "lean-failed"]


def test_a_capped_rate_answers_503_and_when_to_come_again(fleet: Fleet, machine: Machine) -> None:
    configure(fleet, '[power]\nhot_c = 80\nactions = ["rate"]\nper_s = 0.01')
    with Agent(fleet, hook=machine.hook) as agent:
        commit(fleet, agent, fleet.release(1.0), 1.0)
        machine.feels(HOT)

        def refused() -> tuple[list[str], str] | None:
            """Retry-After and text of a 503; the front may be away."""
            connection = http.client.HTTPConnection("127.0.0.1", agent.port, timeout=10)
            body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [0] * 4}]}
            try:
                connection.request("POST", "/v2/models/adder/infer", json.dumps(body))
                answer = connection.getresponse()
                text = answer.read().decode()
            except OSError:
                return None
            finally:
                connection.close()
            return (answer.headers.get_all("Retry-After") or [], text) if answer.status == 503 else None

        (seconds,), text = until(refused, "refused")
        assert 90 <= int(seconds) <= 100
        assert "this device is hot" in text
        os.kill(agent.children()["front"][0], signal.SIGKILL)
        until(refused, "the next front knows it, too")
        machine.feels(COOL)
        agent.until_serves(1.0)
        assert {agent.infer() for _ in range(20)} == {1.0}


def test_trials_wait_until_it_is_cool(fleet: Fleet, machine: Machine) -> None:
    configure(fleet, "[power]\nhot_c = 80")
    one, two = fleet.release(1.0), fleet.release(2.0, version="2.0.0")
    with Agent(fleet, hook=machine.hook) as agent:
        commit(fleet, agent, one, 1.0)
        machine.feels(HOT)
        until(lambda: status(fleet)["hardware"]["policy"] == "paused", "hot")
        fleet.offer(two)
        seq = fleet.seq
        fleet.desire(one, trials={two: ("shadow", 1000)}, settings=TOLD)
        until(lambda: status(fleet)["seq"] == seq + 1, "the directive is followed")
        assert status(fleet)["models"]["adder"]["candidate"] in {None, one.digest.hex()}
        machine.feels(COOL)
        fleet.until_phase("trial", two)
        # One that runs goes on.
        machine.feels(HOT)
        until(lambda: status(fleet)["hardware"]["policy"] == "paused", "hot again")
        fleet.desire(one, trials={two: ("shadow", 1000)}, settings=TOLD)
        until(lambda: status(fleet)["seq"] == seq + 2, "followed")
        assert status(fleet)["models"]["adder"]["phase"] == "trial"
        told = Hardware(temperature_dc=910, policy="paused")
        until(lambda: fleet.telemetry and fleet.telemetry[-1].hardware == told, "telemetry has it")


def test_requests_are_shared_among_workers_that_run_a_release_the_same_way() -> None:
    listener: Any = None
    router = Router(LIMITS, listener)
    unused: Any = SimpleNamespace(outstanding=1, lost=False)
    ways = {1: "", 2: "", 3: "lean"}
    for number, way in ways.items():
        worker = Worker(number, "adder", "1.0.0", b"r", "onnxruntime", unused, unused, unused, way=way)
        router._workers[number] = worker
    assert [[one.id for one in router.copies(worker)] for worker in router._workers.values()] == [[1, 2], [1, 2], [3]]
