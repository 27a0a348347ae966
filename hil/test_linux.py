"""Linux agents on other machines: the same promises, seen through `fleet-agent status` there and the server here."""

import contextlib
import threading
from collections.abc import Iterator

import pytest

from demo.device import traffic
from demo.fleet import DIGITS, MODEL, wait_until
from demo.reference import needles
from hil.fleet import World
from hil.releases import Release, digits
from hil.targets.linux import LinuxDevice, LinuxTarget

RUNTIMES = ["litert"]
PAUSE_S = 0.05


class Questions:
    """Asks for predictions all the time, whoever answers: a probation ends by requests."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        image = traffic.TestSet.load().images[0]
        while not self._ending.wait(PAUSE_S):
            with contextlib.suppress(traffic.TrafficError, OSError):
                client = traffic.Client(self._address)
                try:
                    client.infer(image)
                finally:
                    client.close()


class Agent:
    """A device on the other machine, in the world of the run."""

    def __init__(self, world: World, device: LinuxDevice, v1: str, v2: str) -> None:
        self.world = world
        self.fleet = world.fleet
        self.device = device
        self.v1, self.v2 = v1, v2

    def roll_out(self, release: str) -> str:
        return self.fleet.roll_out(release, selector={"devices": [self.device.name]})

    def serves(self, release: str, phase: str = "committed") -> None:
        """The agent says so, and the server knows."""

        def look() -> bool:
            model = self.device.status()["models"].get(MODEL, {})
            believed = self.fleet.believed(self.device.name)
            return bool(
                (model.get("active"), model.get("phase"), model.get("ready")) == (release, phase, True)
                and (believed.get("active"), believed.get("phase")) == (release, phase)
            )

        wait_until(f"{self.device.name} serves {release[:8]} ({phase})", look, 120, 0.5)

    def events(self, kind: str) -> list[str]:
        items = self.fleet.api.get("/events", device=self.device.name, limit=500)["items"]
        return [one["code"] for one in items if one["kind"] == kind]


def release(world: World, number: int) -> Release:
    """A digits release that computers take."""
    model = DIGITS / "models" / f"v{number}-int8.tflite"
    return digits(f"{number}.9.0", number, world.hardware, also={"tflite-int8": model})


@pytest.fixture
def agent(world: World, linux: LinuxTarget) -> Iterator[Agent]:
    """Enrolled, on, and serving the first release."""
    device = linux.device(world.fresh_name(linux.name), world.fleet, RUNTIMES)
    questions = Questions(device.address)
    try:
        device.enrol()
        device.start()
        agent = Agent(world, device, *(world.release(release(world, number)) for number in (1, 2)))
        wait_until(f"{device.name} is online", lambda: agent.fleet.api.get(f"/devices/{device.name}")["online"])
        rollout = agent.roll_out(agent.v1)
        agent.serves(agent.v1)
        agent.fleet.wait_rollout(rollout, "completed")
        yield agent
    finally:
        questions.stop()
        device.close()


def test_update(agent: Agent) -> None:
    rollout = agent.roll_out(agent.v2)
    agent.serves(agent.v2)
    agent.fleet.wait_rollout(rollout, "completed")
    assert agent.events("update-rolled-back") == []


def test_resume_after_a_stop(agent: Agent) -> None:
    rollout = agent.roll_out(agent.v2)
    agent.device.stop()
    agent.device.start()
    agent.serves(agent.v2)
    agent.fleet.wait_rollout(rollout, "completed")


def test_power_cut(agent: Agent) -> None:
    agent.device.power_cut()
    rollout = agent.roll_out(agent.v2)
    agent.device.start()
    agent.serves(agent.v2)
    agent.fleet.wait_rollout(rollout, "completed")
    agent.device.power_cut()
    agent.device.start()
    agent.serves(agent.v2)


def test_rollback(agent: Agent) -> None:
    rollout = agent.roll_out(agent.v2)
    agent.serves(agent.v2)
    agent.fleet.wait_rollout(rollout, "completed")
    agent.fleet.wait_rollout(agent.roll_out(agent.v1), "completed")
    agent.serves(agent.v1)


def test_wipe(agent: Agent) -> None:
    with agent.world.bundle("1.9.0") as bundle:
        manifest = bundle.release.manifest
        (variant,) = [one for one in manifest.variants if one.kind == "tflite-int8"]
        model = max(variant.payloads, key=lambda index: manifest.payloads[index].ciphertext_length)
        # grep, which looks for it over there, looks in one line at a time.
        needle = next(one for one in needles(next(iter(bundle.chunks(model)))) if b"\n" not in one)
    assert agent.device.files_with(needle)
    receipt = agent.fleet.order_wipe(agent.device.name, "it is lent to somebody")["receipt"]
    assert [one["model"] for one in receipt["erased"]] == [MODEL]
    assert receipt["canary_unreadable"]
    assert not agent.device.status()["models"].get(MODEL, {}).get("ready", False)
    assert agent.device.files_with(needle) == []
