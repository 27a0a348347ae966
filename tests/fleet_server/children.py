"""Devices behind a gateway: what they sign, and the way it takes to the server."""

from dataclasses import dataclass, field
from typing import Any

from sqlmodel import Session

from dunlin_contract import cose, topics
from dunlin_contract.cose import Role
from dunlin_contract.enrolment import ClaimToken, EnrolReply
from dunlin_contract.event import Event
from dunlin_contract.fit import DeviceDescription, RuntimeInfo, Tier
from dunlin_contract.topics import Address
from fleet_server.db.models import DeviceAlarmRow
from fleet_server.ingest import handlers, messages
from fleet_server.services import alarms, audit, enrolment
from fleet_server.services.streams import AckDue
from tests.fleet_server.rollouts.fleet import Agent, Fleet
from tests.fleet_server.world import Device, World

MICRO = DeviceDescription(
    hardware_class="cortex-m4",
    arch="armv7e-m",
    memory_bytes=256 * 1024,
    flash_bytes=256 * 1024,
    arena_bytes=64 * 1024,
    runtimes=(RuntimeInfo(name="tflm", version=(2, 18, 0)),),
    tier=Tier(keystore="flash", model_store="plain-flash"),
)


@dataclass
class Child(Device):
    """A microcontroller. `number` is that of the last report it signed."""

    description: DeviceDescription = MICRO
    gateway: str = "gw-1"
    number: int = 0

    @property
    def address(self) -> Address:
        return Address(self.name, self.gateway)

    def enrol(self, token: ClaimToken) -> EnrolReply:
        self.reply = enrolment.enrol_through(self.world.ctx, self.address, self.request(token))
        return self.reply

    def signed_report(self, seq: int | None = None, **more: Any) -> bytes:
        """Its next report, in its envelope."""
        self.number += 1
        report = self.report(seq, **({"number": self.number} | more))
        return cose.sign1(report.to_bytes(), self.identity, Role.REPORTED)

    def signed_event(self, n: int, kind: str = "note", **more: Any) -> bytes:
        return cose.sign1(self.event(n, kind, **more).to_bytes(), self.identity, Role.EVENT)

    def alarms(self) -> dict[str, DeviceAlarmRow]:
        with self.world.ctx.db.read() as session:
            return {row.kind: row for row in alarms.of_device(session, self.name)}


def hear(world: World, address: Address, kind: str, payload: bytes, **how: bool) -> list[AckDue]:
    """What the bridge does with a message."""
    message = messages.parse(address.up(kind), payload, how.get("retained", False), how.get("repeated", False))
    with world.ctx.db.write() as session:
        return handlers.handle(session, world.ctx, [message], world.clock.now)


def connect(world: World, address: Address, online: bool = True) -> None:
    """A gateway says of itself, or of a device behind it, that it is connected."""
    hear(world, address, "status", topics.ONLINE if online else topics.OFFLINE)


@dataclass
class MicroAgent(Agent):
    """An agent behind a gateway: the server hears it only by its signatures."""

    description: DeviceDescription = MICRO
    variant: str = "tflm-int8"
    device: Child = field(kw_only=True)

    def connect(self, online: bool = True) -> None:
        connect(self.device.world, self.device.address, online)

    def report(self, seq: int | None = None) -> None:
        version = self.root_version
        sent = self.device.signed_report(
            seq, models=self.models, device=self.description, epoch=version, root_version=version
        )
        hear(self.device.world, self.device.address, "reported", sent)

    def tell(self, kind: str, **more: object) -> Event:
        self.events += 1
        hear(self.device.world, self.device.address, "events", self.device.signed_event(self.events, kind, **more))
        return self.device.event(self.events, kind, **more)


def site(world: World, *names: str, gateway: str = "gw-1") -> list[Child]:
    """A gateway that is online, and enrolled devices behind it that are connected."""
    world.device(gateway)
    connect(world, Address(gateway))
    children = [Child(world, name, gateway=gateway) for name in names]
    for child in children:
        reply = child.enrol(world.token())
        assert reply.status == "issued", reply.reason
        connect(world, child.address)
    return children


def behind(fleet: Fleet, gateway: str, *names: str) -> list[MicroAgent]:
    """A gateway of a fleet, and agents behind it that are connected and have reported."""
    if gateway not in fleet.agents:
        fleet.add(gateway)
    agents = [MicroAgent(device=Child(fleet.world, name, gateway=gateway)) for name in names]
    for agent in agents:
        reply = agent.device.enrol(fleet.world.token())
        assert reply.status == "issued", reply.reason
        fleet.agents[agent.name] = agent
        agent.connect()
        agent.report()
    return agents


def trail(session: Session, device: str) -> list[str]:
    """What was done to a device, the latest first."""
    return [row.action for row in audit.page(session, 100, target=f"device:{device}")]
