"""A fleet in memory that does what the engine's effects say: enough to drive rollouts without a database."""

from dataclasses import dataclass, field, replace

from dunlin_contract.drift import SHARES
from dunlin_contract.sketch import Sketch
from fleet_server.drift import Drift, Feature
from fleet_server.rollouts import engine
from fleet_server.rollouts.spec import Gate, RolloutSpec, Selector, Stage
from fleet_server.rollouts.terms import (
    Action,
    Assign,
    Compared,
    Effect,
    EndTrial,
    Event,
    Fact,
    Observed,
    Ordered,
    RaiseFloor,
    Restore,
    Rollout,
    Try,
)

OLD, NEW = "a" * 64, "b" * 64
EVIDENT_S = 900.0
EVEN = (SHARES - SHARES // 2, SHARES // 2)


def spec(
    *stages: Stage, on_breach: str = "pause", min_success: float = 0.9, mode: str = "rolling", **gate: float
) -> RolloutSpec:
    """A rollout of NEW with a device deadline of 100 s."""
    return RolloutSpec(
        NEW,
        Selector(),
        stages or (Stage(percent=100),),
        Gate(min_success=min_success, **gate),  # type: ignore[arg-type] - some are whole numbers
        on_breach,
        device_deadline_s=100,
        mode=mode,
    )


@dataclass
class Device:
    """What a device runs, what it was told, and what of that it has seen."""

    desired: str | None = OLD
    trial: str | None = None
    micro: bool = False
    seq: int = 1
    fact: Fact = field(default_factory=lambda: Fact(active=OLD, heard=1))
    told: Compared = field(default_factory=Compared)
    told_at: float = 0.0

    def tell(self, release: str | None, trial: str | None = None) -> int:
        self.desired, self.trial = release, trial
        self.seq += 1
        return self.seq

    def compare(self, pairs: int = 100, agreed: int = 100, errors: int = 0, slower: float = 1.0) -> None:
        """Hear the directive and run its candidate beside the desired release."""
        serving, candidate = Sketch(), Sketch()
        for _ in range(pairs):
            serving.add(1000)
            candidate.add(1000 * slower)
        seen = Compared(pairs, agreed, errors, 0, candidate.counts, serving.counts)
        self.fact = replace(self.fact, heard=self.seq, candidate=self.trial, phase="trial", compared=seen)

    def measure(self, celsius: float, at: float) -> None:
        """Say how hot it is."""
        self.fact = replace(self.fact, temperature_c=celsius, measured_at=at)

    def count(self, *counts: int, name: str = "input x mean", expected: tuple[int, ...] = EVEN) -> None:
        """Count one feature of the release's baseline."""
        self.fact = replace(self.fact, drift=Drift((Feature(name, expected, counts),)))

    def commit(self) -> None:
        """Hear the directive and run what it says."""
        phase = "committed" if self.desired else "idle"
        self.fact = replace(self.fact, heard=self.seq, active=self.desired, candidate=None, phase=phase)

    def fail(self, phase: str = "rolled-back") -> None:
        """Hear the directive, try its release and give up."""
        self.fact = replace(
            self.fact, heard=self.seq, active=OLD, candidate=self.trial or self.desired, phase=phase, error="latency"
        )


class World:
    """Devices and one rollout over them; `now` is unix seconds."""

    def __init__(self, count: int, wanted: RolloutSpec) -> None:
        self.now = 1000.0
        self.devices = {f"dev-{n:03}": Device() for n in range(count)}
        self.effects: list[Effect] = []
        self.floors: dict[str, int] = {}
        self.owed_until = 0.0
        self.rollout = Rollout(7, wanted, counter=5, since=self.now)
        self.look()

    def step(self, event: Event) -> list[Effect]:
        self.rollout, effects = engine.step(self.rollout, event, self.now)
        members = dict(self.rollout.members)
        for effect in effects:
            if isinstance(effect, Assign):
                seq = self.devices[effect.device].tell(self.rollout.spec.release)
                members[effect.device] = replace(members[effect.device], seq=seq)
            elif isinstance(effect, Try):
                device = self.devices[effect.device]
                seq = device.tell(device.desired, self.rollout.spec.release)
                members[effect.device] = replace(members[effect.device], seq=seq)
            elif isinstance(effect, EndTrial):
                device = self.devices[effect.device]
                members[effect.device] = replace(members[effect.device], seq=device.tell(device.desired))
            elif isinstance(effect, Restore):
                seq = self.devices[effect.device].tell(effect.release)
                members[effect.device] = replace(members[effect.device], seq=seq)
            elif isinstance(effect, RaiseFloor):
                self.floors[effect.device] = effect.counter
        self.rollout = replace(self.rollout, members=members)
        self.effects += effects
        return list(effects)

    def look(self, after_s: float = 0.0) -> list[Effect]:
        """Let time pass and show the engine every device. What one has counted is evidence for EVIDENT_S."""
        for one in self.devices.values():
            if one.fact.compared is not one.told:
                one.told, one.told_at = one.fact.compared, self.now
        self.now += after_s
        facts = {
            name: replace(
                one.fact,
                way_back=one.fact.active,
                tries=not one.micro and one.desired not in (None, NEW),
                counts=not one.micro,
                compared_until=one.told_at + EVIDENT_S,
            )
            for name, one in self.devices.items()
        }
        return self.step(Observed(facts, self.owed_until))

    def order(self, action: str) -> list[Effect]:
        return self.step(Ordered(Action(action), "user:ada"))

    def having(self, part: str) -> list[str]:
        return sorted(name for name, member in self.rollout.members.items() if member.part == part)

    def commit_all(self) -> None:
        for name in (*self.having("assigned"), *self.having("reverting")):
            self.devices[name].commit()

    def online(self, name: str, online: bool) -> None:
        device = self.devices[name]
        device.fact = replace(device.fact, online=online)
