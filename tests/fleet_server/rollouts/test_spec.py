"""What a rollout may ask for, and the line that says what is wrong with it."""

import pytest

from fleet_server.errors import InvalidError
from fleet_server.rollouts.spec import Gate, RolloutSpec, Selector, Stage

RELEASE = "0f" * 32


def body(**parts: object) -> dict[str, object]:
    return {"release": RELEASE, **parts}


def test_defaults_are_one_stage_for_everybody() -> None:
    spec = RolloutSpec.parse(body())
    assert spec.stages == (Stage(percent=100),)
    assert spec.selector.matches("anything", {}, "")
    assert (spec.on_breach, spec.gate.min_success, spec.device_deadline_s) == ("pause", 0.9, 600)


@pytest.mark.parametrize(
    ("mode", "trial", "share"),
    [("rolling", None, 1), ("shadow", "shadow", 1), ("canary", "split", 0.1), ("ab", "split", 0.5)],
)
def test_each_mode_has_its_trial_and_share(mode: str, trial: str | None, share: float) -> None:
    spec = RolloutSpec.parse(body(mode=mode))
    assert (spec.trial, spec.share) == (trial, share)


def test_what_is_stored_parses_to_the_same() -> None:
    stages = [{"count": 2, "soak_s": 5}, {"selector": {"tags": {"site": "lab"}}, "soak_s": 0}, {"percent": 100}]
    selector = {"tags": {"a": "b"}, "hardware": ["pi5"], "devices": ["cam-1", "cam-2"]}
    spec = RolloutSpec.parse(body(stages=stages, selector=selector))
    assert spec.selector.as_json() == selector
    for gate in (Gate(), Gate(drift_psi_max=0.2, min_drift_samples=50, temperature_max_c=-1.5, agreement_min=0.5)):
        assert Gate.parse(gate.as_json()) == gate
    assert [Stage.parse(stage.as_json(), "stage") for stage in spec.stages] == list(spec.stages)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (body(release="abc"), "release must be a release digest"),
        (body(relase=RELEASE), "unknown key 'relase'"),
        (body(stages=[]), "1 to 20 steps"),
        (body(stages=[{"percent": 10, "count": 2}]), "exactly one of percent"),
        (body(stages=[{"percent": 0}]), "stages[0].percent must be a number from 0.01 to 100"),
        (body(stages=[{"percent": float("nan")}]), "stages[0].percent must be a number"),
        (body(stages=[{"count": True}]), "stages[0].count must be a whole number"),
        (body(stages=[{"percent": 50}, {"percent": 10}]), "running total"),
        (body(stages=[{"percent": 50, "soak_s": -1}]), "stages[0].soak_s"),
        (body(gate={"min_success": 1.5}), "gate.min_success must be a number from 0 to 1"),
        (body(gate={"min_samples": 0}), "gate.min_samples must be a whole number from 1"),
        (body(on_breach="panic"), "on_breach must be one of pause, abort, revert"),
        (body(selector={"tags": ["lab"]}), "selector.tags must be an object"),
        (body(selector={"devices": ["../x"]}), "is not a device id"),
        (body(selector={"hardware": "pi5"}), "selector.hardware must be a list"),
        (body(lease={"seconds": 5}), "lease.seconds"),
        (body(mode="blue"), "mode must be one of rolling, shadow, canary, ab"),
        (body(share=0.5), "share says how many requests a release on trial gets"),
        (body(mode="shadow", share=0), "share must be a number from 0.001 to 1"),
        (body(mode="ab", gate={"agreement_min": 0.9}), "gate.agreement_min needs mode shadow"),
        (body(gate={"candidate_p95_ratio_max": 2}), "gate.candidate_p95_ratio_max needs a mode with a trial"),
        (body(mode="shadow", gate={"min_pairs": 0}), "gate.min_pairs must be a whole number from 1"),
        (body(mode="shadow", gate={"error_share_max": 2}), "gate.error_share_max must be a number from 0 to 1"),
        (body(gate={"drift_psi_max": 0}), "gate.drift_psi_max must be a number from 0.01 to 100"),
        (body(gate={"drift_psi_max": float("nan")}), "gate.drift_psi_max must be a number"),
        (body(gate={"min_drift_samples": 10_001}), "gate.min_drift_samples must be a whole number from 1 to 10000"),
        (body(gate={"temperature_max_c": 900}), "gate.temperature_max_c must be a number from -40 to 150"),
        (body(gate={"temperature_max": 90}), "unknown key 'temperature_max'; known are agreement_min"),
        (body(lease={"seconds": 3600, "action": "erase"}), "lease.action"),
        ([], "rollout must be an object"),
    ],
)
def test_each_mistake_is_named(wrong: object, message: str) -> None:
    with pytest.raises(InvalidError) as caught:
        RolloutSpec.parse(wrong)
    assert message in caught.value.detail


def test_a_selector_needs_every_part_that_it_gives() -> None:
    selector = Selector.parse({"tags": {"site": "lab"}, "hardware": ["pi5"]})
    assert selector.matches("a", {"site": "lab", "x": "y"}, "pi5")
    assert not selector.matches("a", {"site": "shop"}, "pi5")
    assert not selector.matches("a", {"site": "lab"}, "jetson")


@pytest.mark.parametrize(
    ("percent", "total", "quota"), [(10, 10, 1), (10, 11, 2), (0.01, 3, 1), (100, 7, 7), (50, 0, 0)]
)
def test_a_percentage_is_rounded_up(percent: float, total: int, quota: int) -> None:
    assert Stage(percent=percent).quota(total) == quota
