"""A real server and broker, releases of the digits for LiteRT, and one device that is killed again and again."""

import itertools
import os
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import connect
from typing import Any

from demo import recipes
from demo.api import ApiError
from demo.device import Device, traffic
from demo.fleet import DIGITS, MODEL, Fleet, wait_until
from fleet_agent import control
from fleet_agent.paths import Paths

HOOKS = Path(__file__).parent / "hooks"
HOWS = ("before", "after", "torn")
SETTINGS = {
    "probation_s": 0, "probation_requests": 5, "probation_max_s": 600, "report_interval_s": 5, "report_jitter_s": 0,
    "object_timeout_s": 2, "telemetry_interval_s": 60,
}  # fmt: skip
QUICK_MS = 60_000
_WAIT_S, _PAUSE_S = 300.0, 0.5


class Site:
    """The fleet, its releases by version, and images to ask for."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.fleet = Fleet(directory)
        self.releases: dict[str, str] = {}
        self.images = traffic.TestSet.load().images[:3]
        self.serve_s: list[float] = []
        self._names = itertools.count(1)

    def start(self, versions: Sequence[str]) -> None:
        """Begin, with ``versions`` on the server: 1 and 2 are good, 3 is never quick enough."""
        self.fleet.init()
        self.fleet.start()
        self.fleet.api.patch("/settings", SETTINGS)
        folder = self.directory / "recipes"
        folder.mkdir()
        (folder / "models").symlink_to(DIGITS / "models")
        for version in versions:
            text = recipes.only((DIGITS / f"v{version[0]}.toml").read_text(), "tflite")
            lines = [line for line in text.splitlines() if not line.startswith(("version", "p95_ms"))]
            budget = 0.001 if version.startswith("3") else QUICK_MS
            lines.insert(lines.index("[budget]") + 1, f"p95_ms = {budget}")
            recipe = folder / f"{version}.toml"
            recipe.write_text("\n".join([f'version = "{version}"', *lines]) + "\n")
            self.releases[version] = self.fleet.push(self.fleet.build(recipe))

    def stop(self) -> None:
        self.fleet.stop()

    def say(self, line: str) -> None:
        """How far it has come, for whoever watches a run that takes an hour."""
        with open(self.directory / "progress", "a") as file:
            file.write(f"{line}\n")

    def enrol(self) -> Device:
        return self.fleet.enrol(f"device-{next(self._names)}", runtimes=["litert"])

    def roll_out(self, version: str, device: Device, **options: Any) -> str:
        """A rollout to one device, once that is free for it; should it fail, it holds the device no longer."""
        selector = {"devices": [device.name]}

        def order() -> str | None:
            with suppress(ApiError):
                return self.fleet.roll_out(self.releases[version], selector=selector, on_breach="abort", **options)
            return None

        return wait_until(f"{device.name} may have {version}", order, _WAIT_S, _PAUSE_S)

    def ask(self, device: Device) -> str:
        """Ask for a few predictions; the version that gave the last, empty when none came."""
        version = ""
        with suppress(traffic.TrafficError, OSError), closing(traffic.Client(device.address)) as client:
            for image in self.images:
                version = str(client.infer(image).version)
        return version

    def believed(self, device: Device) -> dict[str, Any]:
        return self.fleet.believed(device.name)

    def kill_at(self, device: Device, at: int, how: str) -> Path:
        """Start the device so that it is killed at its ``at``-th journal write; the file that tells of it."""
        told = self.directory / f"{device.name}.killed"
        told.unlink(missing_ok=True)
        path = os.pathsep.join(filter(None, [str(HOOKS), os.environ.get("PYTHONPATH")]))
        env = {"PYTHONPATH": path, "DUNLIN_KILL_AT": str(at), "DUNLIN_KILL_HOW": how, "DUNLIN_KILL_TOLD": str(told)}
        device.start(env)
        return told

    def revive(self, device: Device, *, serves: bool) -> None:
        """Start it as it is, and see it serve again if it did before."""
        device.program.kill()
        began = time.monotonic()
        device.start()
        if serves:
            wait_until(f"{device.name} serves again", device.ready, _WAIT_S, pause_s=0.02)
            self.serve_s.append(time.monotonic() - began)
            assert self.ask(device), "it says that it is ready and does not answer"

    def converged(self, device: Device, tend: Callable[[], None]) -> None:
        """The server's view is the device's, and it has every event once; ``tend`` sees to it that it runs."""

        def known() -> bool:
            tend()
            own, view = told_by(device), self.believed(device)
            return own.get("ready") is True and all(
                view.get(name) == own.get(name) for name in ("phase", "active", "candidate", "error_code")
            )

        wait_until("the server's view is the device's", known, _WAIT_S, _PAUSE_S)
        wait_until("all events are acknowledged", lambda: tend() or _waiting(device) == 0, _WAIT_S, _PAUSE_S)
        events = self.fleet.api.get("/events", device=device.name, limit=500)["items"]
        numbers = sorted(int(event["n"]) for event in events)
        assert numbers == list(range(numbers[0], numbers[-1] + 1)), f"events {numbers}"


def told_by(device: Device) -> dict[str, Any]:
    """What the running device says of its model."""
    for status in control.ask(Paths(device.directory).control, {"do": "status"}, _WAIT_S):
        return dict(status["models"].get(MODEL, {}))
    return {}


def _waiting(device: Device) -> int:
    with closing(connect(f"file:{device.directory / 'journal.db'}?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT count(*) FROM event").fetchone()[0])


@dataclass
class Killing:
    """One scenario on one device, killed at one write: ``act`` until ``done``, each of ``parts`` in turn."""

    site: Site
    device: Device
    parts: Sequence[tuple[Callable[[], object], Callable[[dict[str, Any]], bool]]]
    serves: bool = True

    def run(self, at: int, how: str) -> bool:
        """Whether the device came as far as that write; at the end it and the server agree in either case."""
        told = self.site.kill_at(self.device, at, how)
        for act, done in self.parts:
            act()
            self._until(done, told)
        if not told.exists():
            self._until(lambda _: _waiting(self.device) == 0, told)
        self.site.converged(self.device, lambda: self._tend(told))
        self.device.stop()
        return told.exists()

    def _tend(self, told: Path) -> None:
        """Bring it back once it was killed."""
        if not self.device.program.running:
            assert told.exists(), self.device.program.tail(30)
            self.site.revive(self.device, serves=self.serves)

    def _until(self, done: Callable[[dict[str, Any]], bool], told: Path) -> None:
        def look() -> bool:
            self._tend(told)
            self.site.ask(self.device)
            return done(self.site.believed(self.device))

        wait_until(f"{self.device.name} ends as it should", look, _WAIT_S, pause_s=_PAUSE_S)
