"""What every journey needs: a fleet with releases on it, and devices that are watched while things are broken."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo import reference
from demo.device import Device, traffic
from demo.fleet import Fleet, wait_until

HOOKS = Path(__file__).resolve().parent.parent / "support" / "agent_hooks"
V1, V2, BULKY = "1.0.0", "2.0.0", "2.1.0"
BULK_BYTES = 2_500_000
"""Random bytes in 2.1.0, so that it is some twenty chunks; its predictions are those of 2.0.0."""

SETTINGS = {
    "probation_s": 1,
    "probation_requests": 5,
    "probation_max_s": 60,
    "report_interval_s": 5,
    "report_jitter_s": 0,
    "object_timeout_s": 2,
    "telemetry_interval_s": 2,
}
BROKER_ALONE = "[carriers]\nhttp = false\n"
"""For an agent.toml: without the broker nothing comes."""


@dataclass
class World:
    """A fleet with releases, and what journeys do with it. `releases` and `bundles` go by version."""

    fleet: Fleet
    releases: dict[str, str]
    bundles: dict[str, Path]
    _names: int = 0

    def fresh_name(self) -> str:
        self._names += 1
        return f"device-{self._names}"

    def watched(self, *, config: str = "", **options: Any) -> "Watched":
        """A new device that serves 1.0.0 and is asked for predictions all the time; ``config`` is its agent.toml."""
        device = self.fleet.enrol(self.fresh_name(), runtimes=["onnxruntime"], **options)
        if config:
            (device.directory / "agent.toml").write_text(config)
        device.start()
        return self.watch(device)

    def watch(self, device: Device) -> "Watched":
        """Bring 1.0.0 onto an enrolled device that runs, and watch it."""
        self.online(device)
        rollout = self.roll_out(V1, device)
        wait_until(f"{device.name} serves", device.ready)
        watched = Watched(self, device)
        self.fleet.wait_rollout(rollout, "completed")
        return watched

    def claim_token(self) -> str:
        return self.fleet.claim_token()

    def online(self, device: Device) -> None:
        wait_until(f"{device.name} is online", lambda: self.fleet.api.get(f"/devices/{device.name}")["online"])

    def roll_out(self, version: str, *devices: Device, **options: Any) -> str:
        selector = {"devices": [device.name for device in devices]}
        return self.fleet.roll_out(self.releases[version], selector=selector, **options)

    def events(self, device: Device) -> list[dict[str, Any]]:
        """What the server has committed of a device's events, oldest first."""
        items: list[dict[str, Any]] = self.fleet.api.get("/events", device=device.name, limit=500)["items"]
        return sorted(items, key=lambda event: int(event["n"]))

    def wait_event(self, device: Device, kind: str, code: str | None = None) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            found = [e for e in self.events(device) if e["kind"] == kind and code in (None, e["code"])]
            return found[-1] if found else None

        return wait_until(f"event {kind} {code or ''} of {device.name}", look)


class Watched:
    """A device under traffic. `check` ends a journey: what it serves, what the server thinks, what was lost."""

    def __init__(self, world: World, device: Device) -> None:
        self.world = world
        self.device = device
        self.traffic = traffic.Traffic(device.address, pause_s=0.02)
        self.traffic.start()

    def unserved(self) -> Callable[[], None]:
        """The device is about to be killed: stop asking it. What is returned asks on, once it serves again."""
        self.stop_traffic()

        def again() -> None:
            wait_until(f"{self.device.name} serves again", self.device.ready)
            self.traffic = traffic.Traffic(self.device.address, pause_s=0.02)
            self.traffic.start()

        return again

    def stop_traffic(self) -> None:
        counts = self.traffic.stop()
        assert not counts.failures, counts.errors

    def serves(self, version: str) -> None:
        """The device answers as `version` does, all 450 times."""
        answers = self.device.answers()
        assert {answer.version for answer in answers} == {version}
        reference_version = V2 if version == BULKY else version
        assert tuple(answer.digit for answer in answers) == reference.digits(reference_version, "onnxruntime")

    def goes_on(self, requests: int = 30) -> None:
        """So many more requests are answered, whatever the version."""
        seen = self.traffic.counts.requests
        wait_until("requests went on", lambda: self.traffic.counts.requests >= seen + requests)
        assert not self.traffic.counts.failures, self.traffic.counts.errors

    def still_serves(self, version: str, requests: int = 30) -> None:
        """The device goes on answering as `version`, now and for as long as so many more requests take."""
        self.goes_on(requests)
        self.serves(version)

    def check(self, version: str, *, phase: str = "committed") -> None:
        """It serves `version`, the server knows, no request failed, and the server has every event."""
        self.settled(version, phase)
        self.nothing_lost()

    def settled(self, version: str, phase: str = "committed") -> None:
        """It serves `version`, the server knows, and no request failed."""
        release = self.world.releases[version]

        def known() -> bool:
            believed = self.world.fleet.believed(self.device.name)
            return bool(believed.get("active") == release and believed.get("phase") == phase)

        wait_until(f"the server knows that {self.device.name} runs {version} ({phase})", known, 90)
        self.serves(version)
        self.stop_traffic()

    def nothing_lost(self) -> None:
        """Every event is acknowledged, and the server has them all, without a gap."""
        self.all_acknowledged()
        numbers = [event["n"] for event in self.world.events(self.device)]
        assert numbers == list(range(1, len(numbers) + 1))

    def all_acknowledged(self) -> None:
        journal = self.device.directory / "journal.db"

        def waiting() -> int:
            with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as db:
                return int(db.execute("SELECT count(*) FROM event").fetchone()[0])

        wait_until(f"every event of {self.device.name} is acknowledged", lambda: waiting() == 0)


def traced(device: Device, directory: Path, kill: str = "") -> dict[str, str]:
    """Environment for an agent that writes down what it asks for, and may kill itself at a phase."""
    return {
        "PYTHONPATH": str(HOOKS),
        "DUNLIN_TEST_TRACE": str(directory / f"{device.name}.trace"),
        "DUNLIN_TEST_KILL": kill,
        "DUNLIN_TEST_KILLED": str(directory / f"{device.name}.killed"),
    }


def signal_all(pids: Iterable[int], number: int) -> None:
    """Send a signal to processes of a device; one that lives for one answer may be gone by then."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def pause_for(seconds: float) -> None:
    """Let time pass for something that must not happen; never to wait for what should."""
    time.sleep(seconds)
