"""One agent, a real broker, real models: what requests were like is told in counts; requests are kept by order only."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dunlin_contract import keys
from dunlin_contract.drift import SHARES, Baseline, Feature
from dunlin_contract.results import Result
from dunlin_contract.telemetry import ModelTelemetry
from tests.agent import local_api_models
from tests.agent.fleet import QUICK, Agent, Fleet, Release, commit, samples, until

TOLD = replace(QUICK, telemetry_interval_s=1)
MEAN = Feature(side="input", tensor="x", what="mean", edges=(-1.0, 1.0, 2.0), expected=(1, 32_767, 32_767, 0))
ELSEWHERE = Feature(side="input", tensor="no such", what="mean", edges=(0.0,), expected=(0, SHARES))
CLASS = Feature(side="output", tensor="y", what="class", edges=(0.5, 1.5, 2.5), expected=(SHARES, 0, 0, 0))
BASELINE = Baseline(features=(MEAN, ELSEWHERE, CLASS)).to_bytes()
LABELS = b"a\nb\nc\nd\n"


@pytest.fixture
def watched(fleet: Fleet) -> Release:
    return fleet.release(1.0, labels=LABELS, baseline=BASELINE)


def consent(fleet: Fleet, text: str = "consent = true") -> list[str]:
    path = fleet.folder / "agent.toml"
    path.write_text(f"[capture]\n{text}\n")
    return ["--config", str(path)]


def last(fleet: Fleet) -> ModelTelemetry | None:
    return fleet.telemetry[-1].models.get("adder") if fleet.telemetry else None


def captures(fleet: Fleet) -> list[Result]:
    return [one for one in fleet.results if one.kind == "capture"]


def values(result: Result) -> tuple[list[float], list[float]]:
    sides = (result.inputs[0].data, result.outputs[0].data)
    return tuple(np.frombuffer(side, "float32").tolist() for side in sides)  # type: ignore[return-value]


def status(fleet: Fleet, *options: str) -> str:
    command = [sys.executable, "-m", "fleet_agent.cli", "status", "--state-dir", str(fleet.state), *options]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_what_requests_were_like_is_told_in_counts_and_shown_to_people(fleet: Fleet, watched: Release) -> None:
    with Agent(fleet) as agent:
        commit(fleet, agent, watched, 1.0)
        fleet.desire(watched, settings=TOLD)
        for _ in range(90):
            assert agent.infer(50.0) == 51.0

        def counted() -> ModelTelemetry | None:
            found = last(fleet)
            # On a busy machine some are counted for others, and more or fewer than 90 come out.
            return found if found is not None and found.drift and found.drift[0].counts[3] > 60 else None

        found = until(counted, lambda: f"about 90, last {last(fleet)}")
        assert [one.feature for one in found.drift] == ["input x mean", "input no such mean", "output y class"]
        assert found.drift[0].expected == MEAN.expected
        # The requests of its probation, too, which are all below 2.
        assert sum(found.drift[0].counts) == sum(found.drift[2].counts) == sum(found.confidence)
        assert found.drift[0].counts[1] > 0
        assert found.drift[1].counts == (0, 0)
        about: dict[str, Any] = json.loads(status(fleet, "--json"))["models"]["adder"]
        shown = {one["feature"]: one for one in about["drift"]}
        assert (shown["input x mean"]["shift"], shown["output y class"]["shift"]) == ("major", "none")
        assert shown["input no such mean"]["count"] == 0
        line = next(one for one in status(fleet).splitlines() if "drift" in one)
        assert "input x mean" in line
        assert "(MAJOR)" in line
        assert "no such" not in line


def test_a_baseline_that_cannot_be_read_stops_no_release(fleet: Fleet) -> None:
    broken = fleet.release(1.0, labels=LABELS, baseline=b"\xa1\x00\x01")
    with Agent(fleet) as agent:
        commit(fleet, agent, broken, 1.0)
        fleet.desire(broken, settings=TOLD)
        until(lambda: (found := last(fleet)) is not None and sum(found.confidence) > 5, "telemetry")
        assert last(fleet).drift == ()  # type: ignore[union-attr]


def test_requests_are_kept_by_order_and_consent_up_to_the_days_number_past_restarts(
    fleet: Fleet, watched: Release
) -> None:
    with Agent(fleet, arguments=consent(fleet)) as agent:
        commit(fleet, agent, watched, 1.0)
        order = fleet.capture_order(random_permille=1000, per_day=3)
        fleet.desire(watched, captures={"adder": order})
        until(lambda: agent.infer(5.0) and len(captures(fleet)) == 3, lambda: f"{len(captures(fleet))} kept")
        first = captures(fleet)[0]
        assert (first.model, first.release, first.reason) == ("adder", watched.digest, "random")
        assert values(first) == ([5.0] * 4, [6.0] * 4)
        agent.work(20)
        assert json.loads(status(fleet, "--json"))["models"]["adder"]["capture"]["left_today"] == 0
    with Agent(fleet, arguments=consent(fleet)) as agent:
        agent.until_serves(1.0)
        until(lambda: "capture" in json.loads(status(fleet, "--json"))["models"]["adder"], "the journal has the order")
        fleet.desire(watched, captures={"adder": fleet.capture_order(random_permille=1000, per_day=4)})
        until(lambda: agent.infer(7.0) and len(captures(fleet)) == 4, lambda: f"{len(captures(fleet))} kept")
        agent.work(20)
        fleet.desire(watched)
        until(lambda: "capture" not in json.loads(status(fleet, "--json"))["models"]["adder"], "the order ended")
    assert len(captures(fleet)) == 4
    assert not [event for event in fleet.events if event.code.startswith("capture")]


def test_nothing_is_kept_without_both(fleet: Fleet, watched: Release) -> None:
    strangers = (keys.generate(), keys.generate())
    now = int(time.time())
    forged = {
        "threshold": fleet.capture_order(random_permille=1000, signers=fleet.signers.ops[:1]),
        "signer-unknown": fleet.capture_order(random_permille=1000, signers=strangers),
        "device": fleet.capture_order(random_permille=1000, device="dev-2"),
        "expired": fleet.capture_order(random_permille=1000, issued=now - 100, not_after=now - 50),
    }
    with Agent(fleet, arguments=consent(fleet)) as agent:
        commit(fleet, agent, watched, 1.0)
        for rule, envelope in forged.items():
            fleet.desire(watched, captures={"adder": envelope})
            what = f"[{rule}]"
            until(
                lambda what=what: any(e.code == "capture-refused" and what in e.text for e in fleet.events),  # type: ignore[misc]
                lambda what=what: f"{what} of {[e.text for e in fleet.events]}",  # type: ignore[misc]
            )
            agent.work(5)
    with Agent(fleet) as agent:
        agent.until_serves(1.0)
        fleet.desire(watched, captures={"adder": fleet.capture_order(random_permille=1000)})
        fleet.until_event("note", "capture-consent")
        agent.work(5)
    assert captures(fleet) == []
    assert not (fleet.state / "results.db").exists()


def test_what_a_candidate_answers_otherwise_is_kept(fleet: Fleet, watched: Release, tmp_path: Path) -> None:
    """The candidate says the logarithm: the same place is largest, except where the numbers are below one."""
    logarithm = local_api_models.share_of_column(tmp_path / "m.onnx").read_bytes()
    other = fleet.release(0.0, version="2.0.0", model=logarithm, golden=samples(logarithm, [[1, 2, 3, 4]]))
    with Agent(fleet, arguments=consent(fleet, 'consent = true\nkinds = ["disagreement"]')) as agent:
        commit(fleet, agent, watched, 1.0)
        fleet.offer(other)
        order = fleet.capture_order(random_permille=1000, disagreement=True)
        fleet.desire(watched, trials={other: ("shadow", 1000)}, captures={"adder": order})
        fleet.until_phase("trial", other)
        until(lambda: agent.rank() == 3 and len(captures(fleet)) > 1, "two disagreements")
        first = captures(fleet)[0]
        assert (first.reason, first.release) == ("disagreement", watched.digest)
        assert values(first) == ([1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0])
        assert {one.reason for one in captures(fleet)} == {"disagreement"}


def test_a_wipe_takes_what_was_kept_with_it(fleet: Fleet, watched: Release) -> None:
    fleet.acking = False
    with Agent(fleet, arguments=consent(fleet)) as agent:
        commit(fleet, agent, watched, 1.0)
        fleet.desire(watched, captures={"adder": fleet.capture_order(random_permille=1000, per_day=5)})
        until(lambda: agent.infer(4321.5) and len({one.n for one in captures(fleet)}) == 5, "five kept")
        planted = np.full(4, 4321.5, "float32").tobytes()
        stored = lambda: b"".join(path.read_bytes() for path in fleet.state.glob("results.db*"))  # noqa: E731
        assert planted in stored()
        fleet.desire(wipe=fleet.wipe_order("adder"))
        fleet.until_event("wiped")
        assert planted not in stored()
