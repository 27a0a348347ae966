"""Several workers of one model: they share its requests, and one dying is not noticed."""

import http.client
import json
import os
import signal
import threading
from pathlib import Path

from fleet_agent import control, ipc
from fleet_agent.supervisor.instance import Instance
from tests.agent.fleet import Agent, Fleet, commit, until

SETTINGS = """
[[model]]
name = "adder"
workers = 3
batch = 8
"""


def agent(fleet: Fleet, settings: str) -> Agent:
    (fleet.state / "agent.toml").write_text(settings)
    return Agent(fleet)


def status(fleet: Fleet) -> dict:
    answer = next(control.ask(fleet.state / "control.sock", {"do": "status"}, 10), None)
    assert answer is not None
    return answer["models"]["adder"]


def workers(running: Agent) -> list[int]:
    return running.children().get("worker", [])


def until_three(fleet: Fleet, running: Agent) -> None:
    until(lambda: status(fleet)["workers"] == 3 and len(workers(running)) == 3, lambda: running.text()[-3000:])


def test_copies_share_the_requests_and_outlive_each_other(fleet: Fleet) -> None:
    with agent(fleet, SETTINGS) as running:
        commit(fleet, running, fleet.release(2.0), 2.0)
        until_three(fleet, running)
        until(lambda: status(fleet)["batch"] == 8, lambda: str(status(fleet)))
        before = status(fleet)["served"]
        answers: list[float | None] = []
        senders = [
            threading.Thread(target=lambda: answers.extend(running.infer(1.0) for _ in range(40))) for _ in "abc"
        ]
        for sender in senders:
            sender.start()
        # The first worker, and then each that takes its place.
        for _ in range(2):
            os.kill(min(workers(running)), signal.SIGKILL)
            until_three(fleet, running)
        for sender in senders:
            sender.join()
        assert answers == [3.0] * 120
        # What the dead ones answered is not forgotten; they answered all but what was under way when they died.
        until(lambda: status(fleet)["served"] >= before + 110, lambda: str(status(fleet)))


def test_an_update_replaces_all_copies(fleet: Fleet) -> None:
    with agent(fleet, SETTINGS) as running:
        commit(fleet, running, fleet.release(2.0), 2.0)
        until_three(fleet, running)
        old = set(workers(running))
        commit(fleet, running, fleet.release(5.0, version="2.0.0", counter=2), 5.0)
        until(lambda: len(workers(running)) == 3 and not old & set(workers(running)), lambda: running.text()[-3000:])
        assert {running.infer(1.0) for _ in range(12)} == {6.0}


def test_memory_for_all_copies_is_asked_for_before_any_starts(fleet: Fleet) -> None:
    gigabytes = [line.split()[1] for line in Path("/proc/meminfo").read_text().splitlines() if "MemTotal" in line]
    half = int(gigabytes[0]) * 1024 // 2
    with agent(fleet, SETTINGS) as running:
        release = fleet.release(2.0, memory_bytes=half)
        fleet.offer(release)
        fleet.desire(release)
        model = fleet.until_phase("refused", release)
        assert model.error_code == "memory" or "memory for 3 workers" in model.error_text, model
        assert not workers(running)


def test_a_model_that_needs_more_than_its_owner_allows_is_refused(fleet: Fleet) -> None:
    with agent(fleet, '[[model]]\nname = "adder"\nmemory_mb = 32\n') as running:
        release = fleet.release(2.0, memory_bytes=64 << 20)
        fleet.offer(release)
        fleet.desire(release)
        model = fleet.until_phase("refused", release)
        assert model.error_code == "memory"
        assert "needs 64 MiB of memory, agent.toml allows 32: raise memory_mb" in model.error_text
        assert not workers(running)


def test_processors_that_are_not_there_are_told(fleet: Fleet) -> None:
    with agent(fleet, "[worker]\ncpus = [1000]\n"):
        release = fleet.release(2.0)
        fleet.offer(release)
        fleet.desire(release)
        model = fleet.until_phase("refused", release)
        assert (model.error_code, "processors 1000" in model.error_text) == ("settings", True)


def test_labels_reach_the_local_api(fleet: Fleet) -> None:
    with agent(fleet, "") as running:
        commit(fleet, running, fleet.release(2.0, labels=b"one\ntwo\nthree\nfour\n"), 2.0)
        body = {
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [0, 7, 0, 0]}],
            "outputs": [{"name": "y", "parameters": {"classification": 1}}],
        }
        connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=10)
        connection.request("POST", "/v2/models/adder/infer", json.dumps(body))
        (output,) = json.loads(connection.getresponse().read())["outputs"]
        connection.close()
        assert output["data"] == ["9.000000:1:two"]
        # And they are still there for a front that starts again.
        os.kill(running.children()["front"][0], signal.SIGKILL)
        running.until_serves(2.0)


def test_a_worker_says_once_how_many_rows_it_runs_together() -> None:
    """A hostile one could else keep the supervisor and the front busy with it."""
    instance = Instance(1, "adder", None, None)  # type: ignore[arg-type] - what it runs plays no part
    message = ipc.Message({"is": "batch", "rows": 8}, [])
    assert instance.batched(message)
    assert instance.batch == 8
    assert not instance.batched(message)
