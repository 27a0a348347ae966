"""One agent, a real broker, real models: what an update does to the device, seen from its local API and its reports."""

import os
import signal
from dataclasses import replace
from pathlib import Path

from dunlin_contract import topics
from dunlin_contract.golden import Golden
from fleet_agent.paths import Paths
from tests.agent import local_api_models
from tests.agent.fleet import QUICK, Agent, Fleet, adding, commit, samples, until


def kinds(fleet: Fleet) -> list[str]:
    return [event.kind for event in fleet.events]


def test_first_release_then_an_update_that_keeps_the_old_one_ready(fleet: Fleet) -> None:
    one, two = fleet.release(1.0), fleet.release(2.0, version="2.0.0")
    with Agent(fleet) as agent:
        commit(fleet, agent, one, 1.0)
        commit(fleet, agent, two, 2.0)
        model = fleet.model()
        assert model is not None
        assert (model.active, model.previous, model.variant) == (two.digest, one.digest, "onnx")
        until(lambda: len(agent.children().get("worker", [])) == 1, "the old worker left after the commit")
    assert kinds(fleet)[:4] == ["boot", "update-planned", "update-probation", "update-committed"]
    until(lambda: fleet.statuses[-1:] == [topics.OFFLINE], "it said goodbye")


def test_a_release_slower_than_its_budget_is_rolled_back_on_real_requests_and_not_tried_again(fleet: Fleet) -> None:
    one, slow = fleet.release(1.0), fleet.release(2.0, version="2.0.0", budget_us=1)
    with Agent(fleet) as agent:
        commit(fleet, agent, one, 1.0)
        fleet.offer(slow)
        fleet.desire(slow)
        fleet.until_phase("probation", slow)
        agent.until_serves(2.0)
        until(lambda: agent.work() or agent.infer() == 1.0, "the old release is back")
        model = fleet.until_phase("rolled-back", slow)
        assert (model.active, model.error_code) == (one.digest, "latency")
        fleet.desire(slow)
        fleet.until_reported("the directive was seen", lambda reported: reported.seq == fleet.seq)
        assert fleet.until_phase("rolled-back", slow).active == one.digest
        assert kinds(fleet).count("update-planned") == 2


def test_a_release_that_fails_its_golden_self_test_never_serves(fleet: Fleet) -> None:
    wrong = samples(adding(5.0), [[1, 2, 3, 4]])
    one, two = fleet.release(1.0), fleet.release(2.0, version="2.0.0", golden=wrong)
    with Agent(fleet) as agent:
        commit(fleet, agent, one, 1.0)
        fleet.offer(two)
        fleet.desire(two)
        model = fleet.until_phase("refused", two)
        assert (model.error_code, model.active) == ("self-test", one.digest)
        assert "off by up to 3" in model.error_text
        assert agent.infer() == 1.0


def test_a_model_that_its_runtime_does_not_take_is_refused(fleet: Fleet) -> None:
    sample: Golden = samples(adding(1.0), [[1, 2, 3, 4]])
    broken = fleet.release(1.0, model=b"this is no model", golden=sample)
    with Agent(fleet) as agent:
        fleet.offer(broken)
        fleet.desire(broken)
        assert fleet.until_phase("refused", broken).error_code == "load-failed"
        assert agent.infer() is None


def test_going_back_needs_no_download_and_no_probation(fleet: Fleet) -> None:
    one, two = fleet.release(1.0), fleet.release(2.0, version="2.0.0")
    with Agent(fleet) as agent:
        commit(fleet, agent, one, 1.0)
        commit(fleet, agent, two, 2.0)
        for name in one.objects:
            fleet.publish(topics.obj(name), b"")
        fleet.desire(one)
        agent.until_serves(1.0)
        assert fleet.until_phase("committed", one).previous == two.digest
        assert not fleet.reported[-1].missing


def test_a_crash_on_trial_rolls_back_and_a_crash_of_the_good_one_only_restarts_it(fleet: Fleet) -> None:
    one, two = fleet.release(1.0), fleet.release(2.0, version="2.0.0")
    with Agent(fleet) as agent:
        commit(fleet, agent, one, 1.0)
        (good,) = agent.children()["worker"]
        os.kill(good, signal.SIGKILL)
        assert fleet.until_event("worker-crashed").code == "crash"
        agent.until_serves(1.0)
        fleet.offer(two)
        fleet.desire(two)
        fleet.until_phase("probation", two)
        # The younger of the two processes is the one on trial.
        os.kill(max(agent.children()["worker"]), signal.SIGKILL)
        assert fleet.until_phase("rolled-back", two).error_code == "crash"
        agent.until_serves(1.0)


def test_a_front_that_dies_comes_back_with_everything_it_knew(fleet: Fleet) -> None:
    one = fleet.release(1.0)
    with Agent(fleet) as agent:
        commit(fleet, agent, one, 1.0)
        (worker,) = agent.children()["worker"]
        (front,) = agent.children()["front"]
        os.kill(front, signal.SIGKILL)
        until(lambda: agent.children().get("front", [front]) != [front], "a new front")
        agent.until_serves(1.0)
        assert agent.children()["worker"] == [worker]


def test_a_model_that_answers_nan_is_rolled_back(fleet: Fleet, tmp_path) -> None:
    one = fleet.release(1.0)
    logarithm = local_api_models.log(tmp_path / "log.onnx").read_bytes()
    nan = fleet.release(0.0, version="2.0.0", model=logarithm, golden=samples(logarithm, [[1, 2, 3, 4]]))
    with Agent(fleet) as agent:
        commit(fleet, agent, one, 1.0)
        fleet.offer(nan)
        fleet.desire(nan)
        fleet.until_phase("probation", nan)
        agent.infer(-1.0)
        assert fleet.until_phase("rolled-back", nan).error_code == "nonfinite"
        agent.until_serves(1.0)


def test_two_models_and_one_that_is_no_longer_desired_leaves_nothing_behind(fleet: Fleet) -> None:
    one, other = fleet.release(1.0), fleet.release(7.0, name="other")
    with Agent(fleet) as agent:
        fleet.offer(one, other)
        fleet.desire(one, other)
        agent.until_serves(1.0, "adder")
        agent.until_serves(7.0, "other")
        fleet.desire(other)
        until(lambda: agent.infer() is None, "adder is gone")
        fleet.until_event("model-removed")
        paths = Paths(fleet.state)
        until(lambda: not paths.model("adder").exists(), "its slots are gone")
        until(lambda: not list(paths.keystore.glob("adder.*")), "its keys are gone")
        assert agent.infer(0.0, "other") == 7.0


def test_everything_goes_on_without_a_network_even_a_restart_and_a_rollback(fleet: Fleet) -> None:
    one, slow = fleet.release(1.0), fleet.release(2.0, version="2.0.0", budget_us=1)
    with Agent(fleet) as agent:
        commit(fleet, agent, one, 1.0)
        fleet.offer(slow)
        fleet.desire(slow, settings=replace(QUICK, probation_requests=10))
        fleet.until_phase("probation", slow)
        fleet.broker.stop()
        agent.until_serves(2.0)
        until(lambda: agent.work() or agent.infer() == 1.0, "rolled back without a network")
    with Agent(fleet) as agent:
        agent.until_serves(1.0)
        fleet.broker.start()
        assert fleet.until_phase("rolled-back", slow).error_code == "latency"
        fleet.until_event("update-rolled-back", "latency")


def test_two_versions_that_do_not_fit_into_memory_are_swapped_and_the_reason_is_told(fleet: Fleet) -> None:
    one = fleet.release(1.0, memory_bytes=40 << 20)
    two = fleet.release(2.0, version="2.0.0", memory_bytes=40 << 20)
    # Room for one worker only: 60 MiB, less 40 for every worker that runs. They take their time to die.
    hook = (
        "import fleet_agent.device, os, pathlib, signal, threading\n"
        "kill = signal.pidfd_send_signal\n"
        "signal.pidfd_send_signal = lambda *one: threading.Timer(0.3, kill, one).start()\n"
        "def room():\n"
        "    workers = 0\n"
        "    for stat in pathlib.Path('/proc').glob('[0-9]*/stat'):\n"
        "        try:\n"
        "            fields = stat.read_text().rpartition(')')[2].split()\n"
        "            line = (stat.parent / 'cmdline').read_bytes()\n"
        "        except OSError:\n"
        "            continue\n"
        "        workers += int(fields[1]) == os.getpid() and fields[0] != 'Z' and b'fleet_agent.worker' in line\n"
        "    return (60 - 40 * workers) << 20\n"
        "fleet_agent.device.available_memory = room\n"
    )
    with Agent(fleet, hook=hook) as agent:
        commit(fleet, agent, one, 1.0)
        commit(fleet, agent, two, 2.0)
        note = fleet.until_event("note", "stop-then-start")
        assert "needs 40 MiB of memory, 20 MiB are free" in note.text


def test_every_process_dies_with_the_supervisor(fleet: Fleet) -> None:
    one = fleet.release(1.0)
    with Agent(fleet) as agent:
        commit(fleet, agent, one, 1.0)
        mine = [pid for pids in agent.children().values() for pid in pids]
        assert len(mine) >= 2
        agent.stop(signal.SIGKILL)
        until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in mine), "they are gone")
    until(lambda: fleet.statuses[-1:] == [topics.OFFLINE], "the last will said so")


def test_telemetry_is_sent_as_often_as_settings_say(fleet: Fleet) -> None:
    one = fleet.release(1.0)
    with Agent(fleet) as agent:
        fleet.offer(one)
        fleet.desire(one, settings=replace(QUICK, telemetry_interval_s=1))
        agent.until_serves(1.0)
        agent.work()
        models = lambda: [told.models["adder"] for told in fleet.telemetry if "adder" in told.models]  # noqa: E731
        model = until(lambda: next((one for one in models() if one.count), None), "telemetry")
        assert model.release == one.digest
        assert sum(model.latency_us.values()) == model.count > 0
