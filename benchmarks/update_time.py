"""How long an update takes, against copying the same bytes by mosquitto_pub and mosquitto_sub.

An update is: from the order at the server's API to the first prediction of the new release at the device's local API.
It holds the server's signature and its seal of a grant, the pull of retained objects in a window, every chunk's check
against the signature, decryption into sealed memory, loading and the golden self-test. The copy is one message through
a Mosquitto with the same mutual TLS, from the start of the publisher to the last byte in the subscriber's file.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from demo.bulk import bulky_recipe
from demo.device import Device, traffic
from demo.fleet import DIGITS, Fleet, wait_until
from fleet_server.broker import Broker, BrokerSettings, configuration, process
from fleet_server.keys.store import Paths

ROUNDS = 5
BIG_BYTES = 10_000_000


def version_served(device: Device) -> str:
    client = traffic.Client(device.address)
    try:
        return str(client.infer(traffic.TestSet.load().images[0]).version)
    finally:
        client.close()


def update_s(fleet: Fleet, device: Device, release: str, version: str) -> float:
    """Seconds from the order to the first prediction of `version`."""
    start = time.perf_counter()
    rollout = fleet.roll_out(release, selector={"devices": [device.name]})
    wait_until(f"{device.name} serves {version}", lambda: served(device) == version, 300, pause_s=0.005)
    seconds = time.perf_counter() - start
    fleet.wait_rollout(rollout, "completed")
    return seconds


def served(device: Device) -> str:
    try:
        return version_served(device)
    except traffic.TrafficError:
        return ""


def copy_s(fleet: Fleet, size: int, directory: Path) -> float:
    """Seconds that one message of `size` bytes takes through a broker without Dunlin's packet limit."""
    keys = Paths(fleet.server_dir / "keys")
    settings = BrokerSettings(
        directory=directory / "copy-broker",
        ca_file=keys.ca_certificate,
        certificate_file=keys.certificate("broker"),
        key_file=keys.key("broker"),
    )
    limited = configuration

    def unlimited(changed: BrokerSettings, user: str) -> str:
        lines = limited(changed, user).splitlines()
        return "".join(f"{line}\n" for line in lines if not line.startswith("max_packet_size"))

    process.configuration = unlimited
    payload = directory / "payload"
    payload.write_bytes(bytes(size))
    with Broker(replace(settings)) as broker:
        tls = ["--cafile", keys.ca_certificate, "--cert", keys.certificate("client"), "--key", keys.key("client")]
        common = ["-V", "mqttv5", "-h", "127.0.0.1", "-p", str(broker.port), "-q", "1", *map(str, tls)]
        topic = ["-t", "dunlin/v1/copy", "-i"]
        times = []
        for _ in range(ROUNDS):
            # Retained, so that publisher and subscriber (who share the one certificate) need not be there together.
            start = time.perf_counter()
            subprocess.run(["mosquitto_pub", *common, *topic, "_server", "-r", "-f", str(payload)], check=True)
            subprocess.run(
                ["mosquitto_sub", *common, *topic, "_server", "-C", "1", "-N"], check=True, stdout=subprocess.DEVNULL
            )
            times.append(time.perf_counter() - start)
    process.configuration = limited
    return statistics.median(times)


def measure(fleet: Fleet, name: str, runtime: str, releases: dict[str, str]) -> float:
    """Median seconds of updates to and fro between releases that the device has to fetch each time."""
    times = []
    for number in range(ROUNDS):
        device = fleet.enrol(f"{name}-{number}", runtimes=[runtime])
        device.start()
        wait_until("online", lambda found=device: fleet.api.get(f"/devices/{found.name}")["online"])
        for version, release in releases.items():
            seconds = update_s(fleet, device, release, version)
            if version != "1.0.0":
                times.append(seconds)
        device.stop()
    return statistics.median(times)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="dunlin-bench-") as name:
        directory = Path(name)
        fleet = Fleet(directory)
        try:
            fleet.init()
            fleet.start()
            fleet.api.patch("/settings", {"probation_s": 0, "probation_requests": 0, "report_interval_s": 60})
            recipes = {
                "1.0.0": DIGITS / "v1.toml",
                "2.0.0": DIGITS / "v2.toml",
                "2.1.0": bulky_recipe(directory / "recipes", "2.1.0", BIG_BYTES),
            }
            release = {version: fleet.push(fleet.build(recipe)) for version, recipe in recipes.items()}
            print(f"{'update':<22}{'Dunlin':>12}{'pub/sub copy':>16}{'ratio':>9}   (medians of {ROUNDS})")
            for label, runtime, new, size in (
                ("26 KB (int8 TFLite)", "litert", "2.0.0", 26_000),
                ("10 MB (ONNX)", "onnxruntime", "2.1.0", BIG_BYTES),
            ):
                wanted = {"1.0.0": release["1.0.0"], new: release[new]}
                ours = measure(fleet, f"bench-{runtime}", runtime, wanted)
                copy = copy_s(fleet, size, directory)
                print(f"{label:<22}{ours * 1000:>9.0f} ms{copy * 1000:>13.0f} ms{ours / copy:>9.1f}")
        finally:
            fleet.stop()


if __name__ == "__main__":
    main()
