"""Releases that come another way than over the broker: on a stick, and over HTTPS from the server's own listener."""

import json
from pathlib import Path

from demo.device import Device
from demo.programs import command, run
from tests.journeys.world import BULKY, V1, World

NO_CHUNKS_BY_BROKER = """
from fleet_agent.carriers.mqtt import MqttCarrier
offers = MqttCarrier.offers
MqttCarrier.offers = lambda self, name, place: place is None and offers(self, name, place)
"""


def brought(device: Device) -> dict[str, int]:
    """How many objects each carrier brought to the device, as its own status says."""
    said = run(command("fleet-agent", "status", "--json", "--state-dir", device.directory))
    return {kind: one["objects"] for kind, one in json.loads(said)["carriers"]["of"].items()}


def test_a_release_comes_on_a_stick(world: World, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    run(command("packager", "usb", world.bundles[V1], stick, "--keys", world.fleet.keys_dir))
    device = world.fleet.enrol(world.fresh_name(), runtimes=["onnxruntime"])
    (device.directory / "agent.toml").write_text(f'[carriers]\nhttp = false\nusb = "{stick}"\n')
    (tmp_path / "sitecustomize.py").write_text(NO_CHUNKS_BY_BROKER)
    device.start({"PYTHONPATH": str(tmp_path)})
    watched = world.watch(device)
    assert brought(device)["usb"] >= 3
    watched.check(V1)


def test_a_large_release_comes_over_https(world: World, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(NO_CHUNKS_BY_BROKER)
    device = world.fleet.enrol(world.fresh_name(), runtimes=["onnxruntime"])
    device.start({"PYTHONPATH": str(tmp_path)})
    watched = world.watch(device)
    before = brought(device)["http"]
    rollout = world.roll_out(BULKY, device)
    world.fleet.wait_rollout(rollout, "completed")
    assert brought(device)["http"] - before >= 20
    watched.check(BULKY)
