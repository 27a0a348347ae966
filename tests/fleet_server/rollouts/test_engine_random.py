"""The rollout engine under random orders of events: what must hold whatever devices, operators and clocks do."""

from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fleet_server.rollouts import engine, terms
from fleet_server.rollouts.spec import Stage
from fleet_server.rollouts.terms import (
    FINAL,
    Action,
    Assign,
    NotAllowedNowError,
    Part,
    RaiseFloor,
    Restore,
    State,
)
from tests.fleet_server.rollouts.world import NEW, OLD, Device, World, spec

NAMES = [f"dev-{n:03}" for n in range(9)]
SPECS = [
    (Stage(count=1, soak_s=20), Stage(percent=50, soak_s=5), Stage(percent=100)),
    (Stage(percent=30), Stage(percent=100, soak_s=50)),
    (Stage(percent=100),),
    (Stage(count=2, soak_s=10),),
]


class Fleet(RuleBasedStateMachine):
    """Up to nine devices that commit, fail, vanish and come back while an operator pushes buttons."""

    @initialize(
        stages=st.sampled_from(SPECS),
        on_breach=st.sampled_from(["pause", "abort", "revert"]),
        count=st.integers(1, 8),
        min_samples=st.integers(1, 2),
        min_success=st.sampled_from([0.5, 0.9, 1.0]),
        mode=st.sampled_from(["rolling", "shadow", "canary", "ab"]),
        field=st.sampled_from([{}, {"drift_psi_max": 0.25}, {"temperature_max_c": 70.0}]),
    )
    def begin(
        self,
        stages: tuple[Stage, ...],
        on_breach: str,
        count: int,
        min_samples: int,
        min_success: float,
        mode: str,
        field: dict[str, float],
    ) -> None:
        gate = {"min_samples": min_samples, **field}
        wanted = spec(*stages, on_breach=on_breach, min_success=min_success, mode=mode, **gate)
        self.ended_at: int | None = None
        self.world = World(count, wanted)

    @rule(
        name=st.sampled_from(NAMES),
        what=st.sampled_from(
            [
                "commit",
                "roll back",
                "refuse",
                "hear",
                "vanish",
                "return",
                "compare",
                "compare badly",
                "compare a little",
                "count",
                "count what has drifted",
                "heat up",
                "cool down",
            ]
        ),
    )
    def device(self, name: str, what: str) -> None:
        device = self.world.devices.get(name)
        if device is None:
            return
        if what in ("vanish", "return"):
            self.world.online(name, what == "return")
        elif what == "hear":
            device.fact = replace(device.fact, heard=device.seq, candidate=device.desired, phase="downloading")
        elif what.startswith("count"):
            device.count(300, 3000 if what.endswith("drifted") else 300)
        elif what in ("heat up", "cool down"):
            device.measure(80 if what == "heat up" else 60, self.world.now)
        elif what.startswith("compare"):
            if device.trial is not None:
                device.compare(pairs=1 if what.endswith("little") else 100, errors=90 if what.endswith("badly") else 0)
        elif what == "commit":
            device.commit()
        elif NEW in (device.desired, device.trial):
            device.fail("refused" if what == "refuse" else "rolled-back")

    @rule(seconds=st.sampled_from([1.0, 10.0, 60.0, 101.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.look(seconds)

    @rule(action=st.sampled_from(list(Action)))
    def operator(self, action: Action) -> None:
        comparing = bool(self.world.having("comparing"))
        allowed = action in terms.allowed(self.world.rollout.state, comparing=comparing)
        try:
            self.world.order(action)
        except NotAllowedNowError:
            assert not allowed
        else:
            assert allowed

    @rule()
    def enrol(self) -> None:
        for name in NAMES:
            if name not in self.world.devices:
                self.world.devices[name] = Device()
                return

    @precondition(lambda self: len(self.world.rollout.members) > 1)
    @rule(name=st.sampled_from(NAMES))
    def wipe(self, name: str) -> None:
        if device := self.world.devices.get(name):
            device.fact = replace(device.fact, gone=True)

    @invariant()
    def desired_is_what_the_part_says(self) -> None:
        for name, member in self.world.rollout.members.items():
            device = self.world.devices[name]
            told = (device.desired, device.trial)
            match member.part:
                case Part.WAITING | Part.OFFLINE | Part.REVERTING | Part.REVERTED:
                    assert told == (OLD, None)
                case Part.TRYING | Part.COMPARING:
                    assert told == (OLD, NEW)
                case Part.ASSIGNED | Part.SUCCEEDED:
                    assert told == (NEW, None)
                case Part.FAILED:
                    final = self.world.rollout.state in FINAL
                    assert told in ([(OLD, None)] if final else [(NEW, None), (OLD, None)])

    @invariant()
    def nobody_is_assigned_twice_and_floors_rise_only_for_the_committed(self) -> None:
        assigned = [effect.device for effect in self.world.effects if isinstance(effect, Assign)]
        assert len(assigned) == len(set(assigned))
        restored = [effect.device for effect in self.world.effects if isinstance(effect, Restore)]
        assert len(restored) == len(set(restored))
        raised = {effect.device for effect in self.world.effects if isinstance(effect, RaiseFloor)}
        assert not raised & set(restored)
        if raised:
            assert self.world.rollout.state is State.COMPLETED

    @invariant()
    def no_stage_is_wider_than_it_may_be(self) -> None:
        rollout = self.world.rollout
        if rollout.state is State.COMPLETED:
            return
        counted = [member for member in rollout.members.values() if member.part is not Part.DROPPED]
        quota = rollout.spec.stages[rollout.stage].quota(len(self.world.devices))
        assert quota is None or sum(member.stage is not None for member in counted) <= quota

    @invariant()
    def what_has_ended_stays_ended(self) -> None:
        if self.world.rollout.state in FINAL:
            if self.ended_at is None:
                self.ended_at = len([e for e in self.world.effects if isinstance(e, Assign)])
            if self.world.rollout.state is not State.COMPLETED:
                assert self.ended_at == len([e for e in self.world.effects if isinstance(e, Assign)])
        else:
            assert self.ended_at is None

    def teardown(self) -> None:
        """However it stands: silence alone ends it, through its deadlines."""
        if not hasattr(self, "world"):
            return
        for _ in range(40):
            limit = engine.deadline(self.world.rollout)
            if limit is None:
                break
            self.world.look(max(1.0, limit - self.world.now))
        assert self.world.rollout.state in FINAL


TestFleet = Fleet.TestCase
TestFleet.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
