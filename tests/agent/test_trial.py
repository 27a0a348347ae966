"""One agent, a real broker, real models: a candidate on trial, and that the release that serves never pays for it."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from dunlin_contract.reported import ModelState
from dunlin_contract.telemetry import Comparison
from tests.agent import local_api_models
from tests.agent.fleet import QUICK, Agent, Fleet, Release, commit, samples, until

TOLD = replace(QUICK, telemetry_interval_s=1)


def try_beside(fleet: Fleet, active: Release, candidate: Release, mode: str = "shadow", share: int = 1000) -> None:
    fleet.offer(candidate)
    fleet.desire(active, trials={candidate: (mode, share)}, settings=TOLD)


def comparison(fleet: Fleet) -> Comparison | None:
    model = fleet.telemetry[-1].models.get("adder") if fleet.telemetry else None
    return model.comparison if model is not None else None


@pytest.fixture
def releases(fleet: Fleet) -> tuple[Release, Release]:
    return fleet.release(1.0), fleet.release(2.0, version="2.0.0")


def test_a_shadow_is_compared_and_promoted_without_another_download(
    fleet: Fleet, releases: tuple[Release, Release]
) -> None:
    one, two = releases
    with Agent(fleet) as agent:
        commit(fleet, agent, one, 1.0)
        try_beside(fleet, one, two)
        state = fleet.until_phase("trial", two)
        assert state.active == one.digest
        agent.work(20)
        assert agent.infer() == 1.0

        def told() -> Comparison | None:
            found = comparison(fleet)
            return found if found is not None and found.pairs >= 20 else None

        found = until(told, lambda: f"20 pairs, last {comparison(fleet)}")
        assert (found.candidate, found.mode, found.agreed, found.errors) == (two.digest, "shadow", found.pairs, 0)
        assert found.memory_bytes > 10_000_000
        for name in two.objects:
            fleet.publish(f"dunlin/v1/obj/{name.hex()}", b"")
        fleet.desire(two)
        agent.until_serves(2.0)
        until(lambda: agent.work() or (fleet.model() or state).phase == "committed", "committed")
        assert fleet.until_phase("committed", two).previous == one.digest
    assert not [event for event in fleet.events if event.kind == "update-refused"]


def test_a_split_answers_its_share_and_an_ended_trial_none(fleet: Fleet, releases: tuple[Release, Release]) -> None:
    one, two = releases
    with Agent(fleet) as agent:
        commit(fleet, agent, one, 1.0)
        try_beside(fleet, one, two, "split", 500)
        fleet.until_phase("trial", two)
        until(lambda: agent.infer() == 2.0, "the candidate answers some")
        answers = [agent.infer() for _ in range(100)]
        assert 45 <= answers.count(2.0) <= 55
        assert answers.count(1.0) + answers.count(2.0) == 100
        fleet.desire(one)
        fleet.until_phase("committed", one)
        assert {agent.infer() for _ in range(20)} == {1.0}
        until(lambda: len(agent.children()["worker"]) == 1, "the candidate left")


def test_a_candidate_that_dies_or_hangs_on_trial_is_refused_and_nobody_notices(
    fleet: Fleet, releases: tuple[Release, Release]
) -> None:
    one, two = releases
    with Agent(fleet) as agent:
        commit(fleet, agent, one, 1.0)
        try_beside(fleet, one, two)
        fleet.until_phase("trial", two)
        os.kill(max(agent.children()["worker"]), signal.SIGKILL)
        state = fleet.until_phase("refused", two)
        assert (state.error_code, state.active) == ("crash", one.digest)
        assert fleet.until_event("update-refused").code == "crash"
        assert agent.infer() == 1.0
        assert len(agent.children()["worker"]) == 1


def test_a_candidate_that_answers_nan_on_trial_is_refused(fleet: Fleet, tmp_path: Path) -> None:
    one = fleet.release(1.0)
    logarithm = local_api_models.log(tmp_path / "log.onnx").read_bytes()
    nan = fleet.release(0.0, version="2.0.0", model=logarithm, golden=samples(logarithm, [[1, 2, 3, 4]]))
    with Agent(fleet) as agent:
        commit(fleet, agent, one, 1.0)
        try_beside(fleet, one, nan)
        fleet.until_phase("trial", nan)
        until(lambda: agent.infer(-2.0) == -1.0 and fleet.model().phase == "refused", "refused")  # type: ignore[union-attr]
        assert fleet.until_phase("refused", nan).error_code == "nonfinite"
        assert agent.infer() == 1.0


def test_a_trial_goes_on_after_the_device_was_off(fleet: Fleet, releases: tuple[Release, Release]) -> None:
    one, two = releases
    with Agent(fleet) as agent:
        commit(fleet, agent, one, 1.0)
        try_beside(fleet, one, two)
        fleet.until_phase("trial", two)
        agent.stop(signal.SIGKILL)
    reports = len(fleet.reported)
    with Agent(fleet) as agent:
        agent.until_serves(1.0)
        until(lambda: len(fleet.reported) > reports and _phase(fleet) == "trial", "on trial again")
        assert fleet.until_phase("trial", two).active == one.digest


def _phase(fleet: Fleet) -> str:
    return (fleet.model() or ModelState(phase="idle")).phase


def test_a_candidate_too_large_to_run_beside_is_refused_and_the_other_serves_on(fleet: Fleet) -> None:
    one, huge = fleet.release(1.0), fleet.release(2.0, version="2.0.0", memory_bytes=1 << 40)
    with Agent(fleet) as agent:
        commit(fleet, agent, one, 1.0)
        worker = agent.children()["worker"]
        try_beside(fleet, one, huge)
        state = fleet.until_phase("refused", huge)
        assert (state.active, agent.infer(), agent.children()["worker"]) == (one.digest, 1.0, worker)
        assert state.error_code in ("memory", "no-variant")


def test_on_probation_the_release_before_is_asked_too_and_disagreement_goes_back(fleet: Fleet, tmp_path: Path) -> None:
    one = fleet.release(1.0)
    flat = local_api_models.share_of_column(tmp_path / "flat.onnx").read_bytes()
    other = fleet.release(0.0, version="2.0.0", model=flat, golden=samples(flat, [[1, 2, 3, 4]]))
    long = replace(QUICK, probation_requests=100_000)
    with Agent(fleet) as agent:
        commit(fleet, agent, one, 1.0)
        fleet.offer(other)
        fleet.desire(other, settings=long)
        fleet.until_phase("probation", other)
        until(lambda: agent.rank() == 3 and _phase(fleet) == "rolled-back", "rolled back")
        state = fleet.until_phase("rolled-back", other)
        assert (state.error_code, state.active) == ("disagreement", one.digest)
