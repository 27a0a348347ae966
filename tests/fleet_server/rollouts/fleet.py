"""Devices over a real installation that do what their signed directives say: rollouts as they really go."""

from dataclasses import dataclass, field

from dunlin_contract import cose
from dunlin_contract.cose import Role
from dunlin_contract.event import Event
from dunlin_contract.fit import DeviceDescription
from dunlin_contract.reported import ModelState
from fleet_server.db.models import DeviceModelRow, DeviceRow
from fleet_server.rollouts import service
from fleet_server.rollouts.preview import Preview, preview
from fleet_server.rollouts.spec import RolloutSpec
from fleet_server.services import devices, events, reports, wipes
from tests.fleet_server.world import ACTOR, DESCRIPTION, Device, World

TWO_STAGES = [{"count": 1, "soak_s": 30}, {"percent": 100}]


@dataclass
class Agent:
    """One device that is enrolled and connected. `models` is what it would say of itself."""

    device: Device
    description: DeviceDescription = DESCRIPTION
    models: dict[str, ModelState] = field(default_factory=dict)
    variant: str = "onnx-int8"
    events: int = 0
    root_version: int = 1  # of the root it trusts; each has the epoch of its number here

    @property
    def name(self) -> str:
        return self.device.name

    def connect(self, online: bool = True) -> None:
        ctx = self.device.world.ctx
        with ctx.db.write() as session:
            reports.status(session, devices.get(session, self.name, lock=True), online, False, ctx.clock())

    def report(self, seq: int | None = None) -> None:
        """Say what it is and runs, as of directive `seq`: the last that was made for it unless given."""
        ctx = self.device.world.ctx
        version = self.root_version
        report = self.device.report(
            seq, models=self.models, device=self.description, epoch=version, root_version=version
        )
        with ctx.db.write() as session:
            reports.reported(session, ctx, devices.get(session, self.name, lock=True), report, ctx.clock())

    def tell(self, kind: str, **more: object) -> Event:
        """Send its next event."""
        self.events += 1
        event = self.device.event(self.events, kind, **more)
        ctx = self.device.world.ctx
        with ctx.db.write() as session:
            events.receive(session, ctx, devices.get(session, self.name, lock=True), event, ctx.clock())
        return event

    def desired(self, model: str = "digits") -> bytes | None:
        """Release that its directive names, verified as the device would."""
        found = self.device.directive().desired.get(model)
        return None if found is None else found.release

    def set(self, model: str = "digits", **state: object) -> None:
        """Report this state of a model."""
        self.models[model] = ModelState(**state)  # type: ignore[arg-type]
        self.report()

    def follow(self, model: str = "digits", served: int = 100) -> None:
        """Do what the directive says, all the way."""
        wanted, before = self.desired(model), self.models.get(model)
        if wanted is None:
            self.models.pop(model, None)
            self.report()
            return
        previous = before.active if before is not None and before.active != wanted else None
        self.set(model, phase="committed", active=wanted, previous=previous, variant=self.variant, served=served)

    def refuse(self, model: str = "digits", phase: str = "rolled-back", code: str = "latency") -> None:
        """Try what the directive says, and go back."""
        before = self.models.get(model)
        self.set(
            model,
            phase=phase,
            active=before.active if before is not None else None,
            candidate=self.desired(model),
            error_code=code,
            error_text="p95 12.4 ms is over the budget of 1 ms",
        )

    def row(self, model: str = "digits") -> DeviceModelRow:
        with self.device.world.ctx.db.read() as session:
            row = session.get(DeviceModelRow, (self.name, model))
        assert row is not None
        return row


@dataclass
class Fleet:
    """A world, its agents by name, and the releases that were pushed."""

    world: World
    agents: dict[str, Agent] = field(default_factory=dict)

    def add(
        self, *names: str, tags: dict[str, str] | None = None, description: DeviceDescription = DESCRIPTION
    ) -> list[Agent]:
        """Enrol and connect devices."""
        for name in names:
            device = Device(self.world, name)
            device.enrol(self.world.token(auto_approve=True, tags=tags))
            agent = self.agents[name] = Agent(device, description)
            agent.connect()
            agent.report()
        return [self.agents[name] for name in names]

    def push(self, version: str, counter: int = 1, name: str = "digits", size: int = 2000) -> str:
        """Build and push a release; its digest, hex."""
        return self.world.push(self.world.build(name, version, counter, size))[0].digest

    def start(self, release: str, **body: object) -> int:
        """Start a rollout as the API does."""
        ctx = self.world.ctx
        with ctx.db.write() as session:
            row = service.create(session, ctx, RolloutSpec.parse({"release": release, **body}), ACTOR, ctx.clock())
        assert row.id is not None
        return row.id

    def order(self, rollout: int, action: str) -> None:
        ctx = self.world.ctx
        with ctx.db.write() as session:
            service.order(session, ctx, rollout, service.Action(action), ACTOR, ctx.clock())

    def tick(self, after_s: float = 0.0) -> None:
        """Let time pass and have the server look."""
        self.world.clock.now += after_s
        ctx = self.world.ctx
        with ctx.db.write() as session:
            service.tick(session, ctx, ctx.clock())

    def state(self, rollout: int) -> str:
        with self.world.ctx.db.read() as session:
            return service.get(session, rollout).state

    def parts(self, rollout: int) -> dict[str, str]:
        """Device -> its part."""
        with self.world.ctx.db.read() as session:
            row = service.get(session, rollout)
            return {part.device: part.state for part, _, _ in service.members(session, row, "", 1000)}

    def having(self, rollout: int, part: str) -> list[Agent]:
        return [self.agents[name] for name, state in self.parts(rollout).items() if state == part]

    def device_row(self, name: str) -> DeviceRow:
        return self.agents[name].device.row()


def running(fleet: Fleet, version: str, counter: int = 1) -> str:
    """A release that every device runs, by a completed rollout."""
    release = fleet.push(version, counter)
    rollout = fleet.start(release)
    for agent in fleet.agents.values():
        agent.follow()
    fleet.tick(1)
    assert fleet.state(rollout) == "completed"
    return release


def forecast(fleet: Fleet, release: str, **body: object) -> Preview:
    ctx = fleet.world.ctx
    with ctx.db.read() as session:
        return preview(session, RolloutSpec.parse({"release": release, **body}), ctx.clock())


def wipe(fleet: Fleet, device: str) -> bytes:
    """A wipe order of the whole device that both ops keys have signed; its payload."""
    world = fleet.world
    with world.ctx.db.write() as session:
        row = wipes.draft(session, device, None, "", ACTOR, world.clock.now)
    for key in world.ops:
        signature = cose.signature(row.payload, key, Role.WIPE)
        with world.ctx.db.write() as session:
            wipes.add_signature(session, world.ctx, row.id, signature, ACTOR, world.clock.now)
    return row.payload
