"""Releases on trial against real rows: what directives carry, what telemetry brings, what the tables keep."""

import pytest

from dunlin_contract.directive import Trial
from dunlin_contract.sketch import Sketch
from dunlin_contract.telemetry import Comparison, ModelTelemetry, Telemetry
from fleet_server.api import views
from fleet_server.db.models import ModelTelemetryRow
from fleet_server.rollouts import service
from fleet_server.rollouts.preview import preview
from fleet_server.rollouts.spec import RolloutSpec
from fleet_server.services import devices, objects, reports
from tests.fleet_server.children import behind
from tests.fleet_server.rollouts.fleet import Agent, Fleet, running


def trial(agent: Agent) -> Trial | None:
    return agent.device.directive().trials.get("digits")


def try_out(agent: Agent) -> None:
    """Do what the directive says of the candidate, and report it."""
    told, before = trial(agent), agent.models["digits"]
    assert told is not None
    agent.set(phase="trial", active=before.active, candidate=told.candidate.release, variant=agent.variant)


def compare(
    agent: Agent,
    pairs: int = 100,
    agreed: int = 100,
    errors: int = 0,
    slower: float = 1.0,
    model: str = "digits",
    mode: str | None = None,
) -> None:
    """Send telemetry of the trial, or of another one with the same candidate."""
    told, active = trial(agent), agent.models["digits"].active
    assert told is not None
    assert active is not None
    serving, candidate = Sketch(), Sketch()
    for _ in range(pairs):
        serving.add(1000)
        candidate.add(1000 * slower)
    comparison = Comparison(
        candidate=told.candidate.release,
        mode=mode or (told.mode if told.mode != "standby" else "shadow"),
        pairs=pairs,
        agreed=agreed,
        errors=errors,
        shed=3,
        latency_us=candidate.counts,
        distance={10: pairs},
        memory_bytes=1 << 20,
    )
    one = ModelTelemetry(release=active, count=pairs, errors=0, latency_us=serving.counts, comparison=comparison)
    ctx = agent.device.world.ctx
    with ctx.db.write() as session:
        numbers = Telemetry(models={model: one}, memory_bytes=1, load_permille=1)
        reports.telemetry(session, devices.get(session, agent.name, lock=True), numbers, ctx.clock())


def test_a_shadow_rollout_goes_through_by_signed_directives_and_keeps_what_it_was_decided_by(fleet: Fleet) -> None:
    fleet.add("cam-1", "cam-2")
    old = running(fleet, "1.0.0", counter=1)
    new = fleet.push("2.0.0", counter=2)
    stages = [{"count": 1, "soak_s": 30}, {"percent": 100}]
    rollout = fleet.start(new, mode="shadow", share=0.25, stages=stages, gate={"agreement_min": 0.9, "min_pairs": 50})
    (first,) = fleet.having(rollout, "trying")
    told = trial(first)
    assert told is not None
    assert (told.candidate.release.hex(), told.mode, told.share) == (new, "shadow", 250)
    assert first.desired() == bytes.fromhex(old)
    grant = told.candidate.grant
    (other,) = fleet.having(rollout, "waiting")
    assert trial(other) is None

    try_out(first)
    fleet.tick(1)
    assert (fleet.state(rollout), fleet.parts(rollout)[first.name]) == ("soaking", "comparing")
    compare(first, pairs=49)
    fleet.tick(30)
    assert fleet.state(rollout) == "soaking"
    compare(first)
    fleet.tick(1)
    assert fleet.parts(rollout)[first.name] == "assigned"
    assert (first.desired(), trial(first)) == (bytes.fromhex(new), None)
    assert first.device.directive().desired["digits"].grant == grant

    first.follow()
    fleet.tick(1)
    fleet.tick(30)
    with fleet.world.ctx.db.read() as session:
        line = views.rollout(session, service.get(session, rollout))
    seen = line["stages"][0]["comparison"]
    assert (seen["pairs"], seen["agreed"], seen["errors"], seen["shed"]) == (100, 100, 0, 3)
    assert seen["serving_p95_us"] == pytest.approx(1000, rel=0.05)
    assert "comparison" not in line["stages"][1]
    assert (line["mode"], line["share"]) == ("shadow", 0.25)


def test_a_candidate_that_is_refused_or_disagrees_ends_the_rollout_with_the_reason(fleet: Fleet) -> None:
    fleet.add("cam-1")
    old = running(fleet, "1.0.0", counter=1)
    new = fleet.push("2.0.0", counter=2)
    (agent,) = fleet.agents.values()
    body = {"mode": "shadow", "on_breach": "abort", "gate": {"agreement_min": 0.9}}
    rollout = fleet.start(new, **body)
    try_out(agent)
    compare(agent, agreed=50)
    fleet.tick(1)
    assert fleet.state(rollout) == "aborted"
    with fleet.world.ctx.db.read() as session:
        assert "agrees in 0.500 of 100 requests" in service.get(session, rollout).reason
    assert (agent.desired(), trial(agent)) == (bytes.fromhex(old), None)
    agent.follow()
    fleet.tick(1)
    assert fleet.parts(rollout) == {"cam-1": "reverted"}

    # What was counted of the first trial says nothing of the second.
    rollout = fleet.start(new, **body)
    try_out(agent)
    fleet.tick(1)
    assert fleet.state(rollout) == "soaking"
    agent.set(
        phase="refused", active=bytes.fromhex(old), candidate=bytes.fromhex(new), error_code="crash", error_text="died"
    )
    fleet.tick(1)
    assert fleet.state(rollout) == "aborted"
    with fleet.world.ctx.db.read() as session:
        (part, _, _) = service.members(session, service.get(session, rollout), "", 10)[0]
    assert part.reason == "refused: crash: died"
    assert trial(agent) is None


def test_only_what_was_counted_of_the_rollouts_model_in_its_mode_is_evidence(fleet: Fleet) -> None:
    fleet.add("cam-1")
    running(fleet, "1.0.0", counter=1)
    new = fleet.push("2.0.0", counter=2)
    rollout = fleet.start(new, mode="shadow", stages=[{"percent": 100, "soak_s": 30}], gate={"agreement_min": 0.9})
    (agent,) = fleet.agents.values()
    try_out(agent)
    compare(agent, agreed=0, model="other")
    compare(agent, agreed=0, mode="split")
    fleet.tick(1)
    assert (fleet.state(rollout), _page(fleet, rollout)) == ("soaking", None)
    compare(agent, agreed=10, pairs=10)
    fleet.tick(1)
    assert _page(fleet, rollout) == (10, 10)
    compare(agent, agreed=0)
    fleet.tick(1)
    assert fleet.state(rollout) == "paused"


def test_a_release_that_is_tried_again_leaves_the_first_trials_numbers(small_fleet: Fleet) -> None:
    fleet = small_fleet
    fleet.add("cam-1")
    running(fleet, "1.0.0", counter=1)
    new = fleet.push("2.0.0", counter=2)
    (agent,) = fleet.agents.values()
    body = {"mode": "shadow", "on_breach": "abort", "gate": {"agreement_min": 0.9}}
    first = fleet.start(new, **body)
    try_out(agent)
    compare(agent, agreed=50)
    fleet.tick(1)
    assert fleet.state(first) == "aborted"
    agent.follow()
    fleet.tick(1)
    second = fleet.start(new, **body)
    try_out(agent)
    compare(agent, pairs=7, agreed=7)
    fleet.tick(1)
    assert (_page(fleet, first), _page(fleet, second)) == ((100, 50), (7, 7))


def test_after_an_outage_a_trial_waits_for_fresh_telemetry(small_fleet: Fleet) -> None:
    fleet = small_fleet
    fleet.add("cam-1")
    running(fleet, "1.0.0", counter=1)
    rollout = fleet.start(fleet.push("2.0.0", counter=2), mode="shadow", stages=[{"percent": 100, "soak_s": 30}])
    (agent,) = fleet.agents.values()
    try_out(agent)
    compare(agent)
    fleet.tick(1)
    link, clock = fleet.world.ctx.link, fleet.world.clock
    link.connected = False
    fleet.tick(7200)
    assert (fleet.state(rollout), fleet.parts(rollout)) == ("soaking", {"cam-1": "comparing"})
    link.connected, link.since = True, clock.now
    fleet.tick(899)
    assert fleet.state(rollout) == "soaking"
    compare(agent)
    fleet.tick(1)
    assert fleet.parts(rollout) == {"cam-1": "assigned"}


def test_a_device_that_never_gets_to_its_trial_is_told_to_end_it_and_stays_a_failure(small_fleet: Fleet) -> None:
    fleet = small_fleet
    fleet.add("cam-1")
    old = running(fleet, "1.0.0", counter=1)
    rollout = fleet.start(fleet.push("2.0.0", counter=2), mode="shadow", device_deadline_s=60)
    (agent,) = fleet.agents.values()
    assert trial(agent) is not None
    fleet.tick(60)
    assert (agent.desired(), trial(agent)) == (bytes.fromhex(old), None)
    fleet.tick(1)
    assert (fleet.state(rollout), fleet.parts(rollout)) == ("paused", {"cam-1": "failed"})


def _page(fleet: Fleet, rollout: int) -> tuple[int, int] | None:
    """What the rollout's page shows of its first stage's trials: requests that both answered, and agreed in."""
    with fleet.world.ctx.db.read() as session:
        stage = views.rollout(session, service.get(session, rollout))["stages"][0]
    return (stage["comparison"]["pairs"], stage["comparison"]["agreed"]) if "comparison" in stage else None


def test_objects_of_a_release_on_trial_are_kept_and_given_again(fleet: Fleet) -> None:
    fleet.add("cam-1")
    running(fleet, "1.0.0", counter=1)
    new = fleet.push("2.0.0", counter=2)
    rollout = fleet.start(new, mode="canary")
    (agent,) = fleet.agents.values()
    told = trial(agent)
    assert told is not None
    assert (told.mode, told.share) == ("split", 100)
    ctx = fleet.world.ctx
    with ctx.db.write() as session:
        assert objects.clear_unwanted(session, ctx.clock(), None) == 0
        again = objects.republish_missing(session, "cam-1", [told.candidate.manifest.hex()], ctx.clock() + 60)
        assert again == 1
    fleet.order(rollout, "abort")
    with ctx.db.write() as session:
        assert objects.clear_unwanted(session, ctx.clock(), None) > 0


def test_the_preview_says_who_takes_it_at_once(fleet: Fleet) -> None:
    fleet.add("cam-1")
    running(fleet, "1.0.0", counter=1)
    fleet.add("cam-2")
    new = fleet.push("2.0.0", counter=2)
    ctx = fleet.world.ctx
    with ctx.db.read() as session:
        spec = RolloutSpec.parse({"release": new, "mode": "ab", "stages": [{"percent": 100, "soak_s": 60}]})
        plan = preview(session, spec, ctx.clock())
    assert "1 of the devices run nothing to compare it with: they take it at once" in plan.warnings
    assert plan.at_least_s == 120


def test_a_microcontroller_gets_no_trial(fleet: Fleet) -> None:
    agents = behind(fleet, "gw-1", "mcu-1")
    first = fleet.world.push(fleet.world.build(runtime="tflm"))[0].digest
    fleet.start(first)
    agents[0].follow()
    fleet.tick(1)
    new = fleet.world.push(fleet.world.build(version="2.0.0", counter=2, runtime="tflm"))[0].digest
    rollout = fleet.start(new, mode="shadow")
    assert fleet.parts(rollout) == {"mcu-1": "assigned"}
    assert not agents[0].device.directive().trials
    assert agents[0].desired() == bytes.fromhex(new)


def test_telemetry_without_a_trial_leaves_what_the_last_one_came_to(fleet: Fleet) -> None:
    fleet.add("cam-1")
    old = running(fleet, "1.0.0", counter=1)
    fleet.start(fleet.push("2.0.0", counter=2), mode="shadow")
    (agent,) = fleet.agents.values()
    try_out(agent)
    compare(agent, pairs=7)
    ctx = fleet.world.ctx
    with ctx.db.write() as session:
        model = ModelTelemetry(release=bytes.fromhex(old), count=9, errors=0, latency_us={})
        numbers = Telemetry(models={"digits": model}, memory_bytes=1, load_permille=1)
        reports.telemetry(session, devices.get(session, "cam-1", lock=True), numbers, ctx.clock())
    with ctx.db.read() as session:
        row = session.get(ModelTelemetryRow, ("cam-1", "digits", old))
    assert row is not None
    assert (row.count, row.comparison["pairs"], row.comparison["mode"]) == (9, 7, "shadow")
