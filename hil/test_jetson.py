"""Linux agents on NVIDIA Jetsons: an engine of TensorRT that is built there, kept, and goes with its release."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from demo.fleet import DIGITS, MODEL, wait_until
from hil.fleet import World
from hil.releases import Release, digits
from hil.targets.linux import LinuxTarget
from hil.test_linux import Agent, Questions

SIGN = "/etc/nv_tegra_release"
BUILD_S = 1800.0
"""The first engine that TensorRT builds on a board takes minutes, however small the model."""
SETTINGS = '[worker]\ndelegate = "engine"\n'


class Jetson(Agent):
    """A device that builds engines, in the world of the run."""

    @property
    def model(self) -> dict[str, Any]:
        return dict(self.device.status()["models"].get(MODEL, {}))

    def notes(self, code: str) -> int:
        """How often the server heard of something."""
        return self.events("note").count(code)

    def runs_on(self, what: str) -> None:
        def look() -> bool:
            with contextlib.suppress(KeyError):
                return bool(self.model["runs_on"] == what)
            return False

        wait_until(f"{self.device.name} runs on {what}", look, BUILD_S, 2.0)

    def hears(self, what: str, holds: Callable[[], bool]) -> None:
        wait_until(f"the server hears that {what}", holds, 120, 0.5)


def release(world: World, number: int) -> Release:
    """A digits release for ONNX Runtime."""
    model = DIGITS / "models" / f"v{number}-float.onnx"
    return digits(f"{number}.8.0", number, world.hardware, also={"onnx-float32": model})


@pytest.fixture
def jetson(world: World, linux: LinuxTarget) -> Iterator[Jetson]:
    """Enrolled, on, and serving the first release."""
    if not linux.has(SIGN):
        pytest.skip(f"{linux.name} is no Jetson: it has no {SIGN}")
    device = linux.device(world.fresh_name(linux.name), world.fleet, ["onnxruntime"])
    questions = Questions(device.address)
    try:
        device.enrol()
        device.configure(SETTINGS)
        device.start()
        one, two = (world.release(release(world, number)) for number in (1, 2))
        jetson = Jetson(world, device, one, two)
        wait_until(f"{device.name} is online", lambda: jetson.fleet.api.get(f"/devices/{device.name}")["online"])
        rollout = jetson.roll_out(one)
        jetson.serves(one)
        jetson.fleet.wait_rollout(rollout, "completed")
        yield jetson
    finally:
        questions.stop()
        device.close()


def test_an_engine_is_built_kept_and_replaced(jetson: Jetson) -> None:
    jetson.runs_on("engine")
    jetson.hears("it is built", lambda: jetson.notes("engine-built") == 1)
    assert jetson.notes("engine-failed") == 0
    jetson.device.power_cut()
    jetson.device.start()
    jetson.serves(jetson.v1)
    jetson.runs_on("engine")
    assert jetson.notes("engine-built") == 1, "an engine that is there is not built again"
    rollout = jetson.roll_out(jetson.v2)
    jetson.serves(jetson.v2)
    jetson.fleet.wait_rollout(rollout, "completed")
    jetson.runs_on("engine")
    jetson.hears("the next one is built", lambda: jetson.notes("engine-built") == 2)


def test_a_power_cut_while_it_builds(jetson: Jetson) -> None:
    def building() -> bool:
        return "being built" in str(jetson.model.get("engine", "")) or jetson.model.get("runs_on") == "engine"

    wait_until(f"{jetson.device.name} builds", building, 120, 0.2)
    jetson.device.power_cut()
    jetson.device.start()
    jetson.serves(jetson.v1)
    jetson.runs_on("engine")


def test_sensors(jetson: Jetson) -> None:
    hardware = jetson.device.status()["hardware"]
    assert 0 < hardware["temperature_dc"] < 1200
    assert hardware["power_mw"] > 0
    assert hardware["power_mode"]
    assert 0 <= hardware["gpu_permille"] <= 1000
