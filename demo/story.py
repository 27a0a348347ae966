"""The story of the demo, and its proofs. Every claim is checked on the devices, never on what the server says."""

import time
from collections import Counter
from pathlib import Path
from typing import Any

from demo import firmware, reference
from demo.device import Device, traffic
from demo.fleet import Fleet, wait_until
from demo.micro import Microcontroller
from demo.programs import ProgramError
from demo.proxy import Proxy
from demo.recipes import digits
from demo.screen import Claim, DeviceLine, Screen

SLOW_LINK_BYTES_S = 48 * 1024
SLOW_LINK_DELAY_S = 0.02
PAUSE_S = 0.02

SETTINGS = {"probation_s": 2, "probation_requests": 20, "probation_max_s": 60, "report_interval_s": 60}
"""A demo's patience: the real default is minutes, not seconds."""

SETTLING_ROUNDS = 3
GROWTH_ALLOWED = 1.15
"""What the agents' processes may take more at a soak's end than after its first rounds: allocators are not exact."""

V1, V2, V3 = "1.0.0", "2.0.0", "3.0.0"
GATEWAY, MICRO = "lamp-1", "lamp-4"
TAGS = {"site": "demo"}


class Story:
    """Three devices and a microcontroller, three releases, one wipe. `claims` grows as the chapters are told."""

    def __init__(self, directory: Path) -> None:
        self.fleet = Fleet(directory)
        self.screen = Screen(self._device_lines)
        self.claims: list[Claim] = []
        self.notes: list[str] = []
        self.told = False
        self._runtime: dict[str, str] = {}
        self._about: dict[str, str] = {}
        self._traffic: dict[str, Any] = {}
        self._releases: dict[str, str] = {}
        self._bundles: dict[str, Path] = {}
        self._proxy: Proxy | None = None
        self._micro: Microcontroller | None = None

    @property
    def holds(self) -> bool:
        """Whether the story was told to its end, and every claim holds."""
        return self.told and all(holds for _, _, holds in self.claims)

    def tell(self) -> None:
        self._set_up()
        self._enrol()
        self._first_release()
        self._second_release()
        self._third_release()
        self._wipe()
        self._no_request_failed()
        self.told = True

    def soak(self, hours: float) -> None:
        """Roll 1.0.0 and 2.0.0 out in turn, under traffic, for so long; then claim that nothing failed or grew."""
        self._set_up()
        self._enrol()
        self._first_release()
        self._push(V2)
        end = time.monotonic() + hours * 3600
        rounds, first = 0, 0
        while rounds < SETTLING_ROUNDS or time.monotonic() < end:
            for version in (V2, V1):
                with self.screen.step(f"round {rounds + 1}: {version} in two stages") as say:
                    stages = [{"count": 1, "soak_s": 1}, {"percent": 100, "soak_s": 1}]
                    self.fleet.wait_rollout(self.fleet.roll_out(self._releases[version], stages=stages), "completed")
                    memory = sum(device.memory_bytes() for device in self.fleet.devices.values())
                    say(f"{memory >> 20} MB in all agents")
            rounds += 1
            first = memory if rounds == SETTLING_ROUNDS else first
        self._claim_predictions(V1, f"after {2 * rounds} rollouts")
        self.claims.append(
            (
                f"{rounds} rounds took no memory that the first {SETTLING_ROUNDS} did not",
                f"{first >> 20} MB then, {memory >> 20} MB now",
                memory < first * GROWTH_ALLOWED,
            )
        )
        self._no_request_failed()
        self.told = True

    def stop(self) -> None:
        """End traffic, devices, server and broker."""
        for one in self._traffic.values():
            one.stop()
        self.fleet.stop()
        if self._micro is not None:
            self._micro.stop()
        if self._proxy is not None:
            self._proxy.close()

    # Chapters

    def _set_up(self) -> None:
        fleet, step = self.fleet, self.screen.step
        with step("make a server, and the owners' keys: root, release, two for wipes"):
            fleet.init()
        with step("start broker and server"):
            fleet.start()
            fleet.api.patch("/settings", SETTINGS)
        self.screen.say(f"[bold]dashboard[/bold]  {fleet.url}  user demo  password {fleet.password}")
        with step("build, sign and encrypt three releases of the digits model") as say:
            for version in (V1, V2, V3):
                self._bundles[version] = fleet.build(digits(version, fleet.owner_dir / "recipes"))
            say(", ".join(f"{path.stat().st_size // 1024} KB" for path in self._bundles.values()))
        self.build_microcontroller()

    def build_microcontroller(self) -> None:
        """Make one that is off, where this machine can simulate it; else say why not."""
        if why := firmware.no_tflm():
            self.notes.append(f"no microcontroller took part: {why}")
            return
        preset = firmware.best_preset()
        with self.screen.step("compile the firmware of a microcontroller (once: it is kept)") as say:
            try:
                built = firmware.build(preset)
            except ProgramError as error:
                # The rest of the story can be told without it, but does not hold then.
                self.claims.append(("a microcontroller takes part", str(error).splitlines()[0], False))
                say("this failed: the story goes on without it")
                return
            directory = self.fleet.directory / "devices" / MICRO
            self._micro = Microcontroller(MICRO, directory, preset, built, self._releases)
            say(self._micro.about)

    def _enrol(self) -> None:
        self._proxy = Proxy(("127.0.0.1", self.fleet.broker_port), rate=SLOW_LINK_BYTES_S, delay_s=SLOW_LINK_DELAY_S)
        with self.screen.step("enrol three devices with one-use claim tokens and start their agents"):
            for name, runtime, about, port in (
                (GATEWAY, "litert", "TFLite", None),
                ("lamp-2", "onnxruntime", "ONNX", None),
                ("lamp-3", "litert", f"TFLite, {SLOW_LINK_BYTES_S // 1024} KB/s link", self._proxy.port),
            ):
                self._runtime[name], self._about[name] = runtime, about
                lines = [self._micro.address] if self._micro is not None and name == GATEWAY else []
                device = self.fleet.enrol(name, tags=TAGS, runtimes=[runtime], broker_port=port, lines=lines)
                device.start()
            wait_until("three devices online", lambda: self._online(*self.fleet.devices))
        if self._micro is None:
            return
        with self.screen.step(f"enrol a microcontroller that is on a serial line of {GATEWAY}") as say:
            self._about[MICRO] = f"{self._micro.about}, on a line of {GATEWAY}"
            self._micro.start()
            self.fleet.enrol_child(self.fleet.devices[GATEWAY], self._micro.address, MICRO, tags=TAGS)
            wait_until("the microcontroller online", lambda: self._online(MICRO))
            say(self._micro.about)

    def _first_release(self) -> None:
        self._push(V1)
        with self.screen.step("roll 1.0.0 out to all"):
            rollout = self.fleet.roll_out(self._releases[V1])
            self._keep_traffic_on_what_serves(rollout)
        self._claim_predictions(V1, "after the first rollout")
        if self._micro is not None:
            self.claims.append(self._micro.claim_self_test(V1))

    def _second_release(self) -> None:
        self._push(V2)
        with self.screen.step("roll 2.0.0 out in two stages: one device, then all"):
            stages = [{"count": 1, "soak_s": 4}, {"percent": 100, "soak_s": 1}]
            rollout = self.fleet.roll_out(self._releases[V2], stages=stages)
            first = self.fleet.wait_rollout(rollout, "soaking", "completed")
            versions = self._versions()
            self.claims.append(
                (
                    "while the first stage soaks, one device runs 2.0.0 and the others run 1.0.0",
                    _count_text(versions),
                    first["state"] == "soaking" and versions == {V2: 1, V1: versions.total() - 1},
                )
            )
            if self._micro is not None:
                self.claims.append(self._micro.lose_power(V1))
            self.fleet.wait_rollout(rollout, "completed")
        self._claim_predictions(V2, "after the second stage")
        if self._micro is not None:
            self.claims.append(self._micro.claim_self_test(V2))
        differ = {
            runtime: sum(map(int.__ne__, reference.digits(V1, runtime), reference.digits(V2, runtime)))
            for runtime in reference.RUNTIMES
        }
        self.claims.append(
            (
                "2.0.0 can be told from 1.0.0 by its predictions",
                ", ".join(f"{count} of 450 differ ({runtime})" for runtime, count in differ.items()),
                all(differ.values()),
            )
        )

    def _third_release(self) -> None:
        self._push(V3)
        with self.screen.step("roll 3.0.0 out in two stages: it breaks its latency budget on the first device") as say:
            left_out = self.fleet.preview(self._releases[V3])["excluded"]
            stages = [{"count": 1, "soak_s": 4}, {"percent": 100, "soak_s": 1}]
            rollout = self.fleet.roll_out(self._releases[V3], stages=stages, on_breach="revert")
            end = self.fleet.wait_rollout(rollout, "reverted", "completed", "aborted", "paused")
            say(str(end["reason"]))
        saw = sorted(name for name, one in self._traffic.items() if V3 in one.counts.versions)
        self.claims.append(
            ("3.0.0 served on the first stage's device only", ", ".join(saw) or "no device", len(saw) == 1)
        )
        if self._micro is not None:
            reasons = [reason for one in left_out for reason in one["reasons"]]
            names = [one["device"] for one in left_out]
            claim = f"3.0.0 has nothing for {MICRO}: the preview leaves it out, and says why"
            self.claims.append((claim, "; ".join(reasons) or "nothing left out", names == [MICRO] and bool(reasons)))
        self._claim_predictions(V2, "after 3.0.0 was reverted")
        if self._micro is not None:
            self.claims.append(self._micro.claim_signed(GATEWAY))

    def _wipe(self) -> None:
        device = self.fleet.devices["lamp-3"]
        models = [reference.model_file(version, self._runtime[device.name]).read_bytes() for version in (V1, V2, V3)]
        plain = [needle for model in models for needle in reference.needles(model, 5)]
        cipher = [piece for path in self._bundles.values() for piece in reference.needles(path.read_bytes(), 24)]
        with self.screen.step("wipe lamp-3: drafted on the server, signed by two owners elsewhere"):
            memory_before, files_before = _memory_with(device, plain), device.files_with(cipher)
            serving = device.ready()
            self._traffic[device.name].stop()
            self.fleet.order_wipe(device.name, "the demo ends here")
            memory_after, files_after = _memory_with(device, plain), device.files_with([*plain, *cipher])
        self.claims.append(
            (
                "before the wipe, lamp-3 serves, and the model is (encrypted) on its disk",
                f"{len(files_before)} files hold pieces of it",
                bool(files_before) and serving,
            )
        )
        self.claims.append(
            (
                "after it, no file of lamp-3 holds a piece of the model, plain or encrypted",
                f"{_file_count(device)} files searched, {len(files_after)} hold one",
                not files_after,
            )
        )
        if memory_before is None or memory_after is None:
            self.notes.append("the memory of lamp-3's processes was not searched: only root may read an agent's memory")
        else:
            processes = len(device.pids())
            self.claims.append(
                (
                    "before the wipe the model is in lamp-3's memory",
                    f"pieces found in {len(memory_before)} of its processes",
                    bool(memory_before),
                )
            )
            self.claims.append(
                (
                    "after it, no process of lamp-3 holds a piece of it",
                    f"{processes} processes searched, {len(memory_after)} hold one",
                    not memory_after and bool(processes),
                )
            )
        self.claims.append(
            ("lamp-3 serves no model any more", "ready" if device.ready() else "not ready", not device.ready())
        )
        self._claim_predictions(V2, "on the others after the wipe", skip=device.name)

    def _no_request_failed(self) -> None:
        counts = [one.counts for one in self._traffic.values()]
        failures = sum(one.failures for one in counts)
        errors = [error for one in counts for error in one.errors[:2]]
        found = f"{sum(one.requests for one in counts)} requests, {failures} failed"
        self.claims.append(
            ("no request failed, whatever was rolled out meanwhile", "; ".join([found, *errors]), not failures)
        )

    # Parts of chapters

    def _push(self, version: str) -> None:
        with self.screen.step(f"push {version}: the server verifies everything again") as say:
            self._releases[version] = self.fleet.push(self._bundles[version])
            say(self._releases[version][:12])

    def _keep_traffic_on_what_serves(self, rollout: str) -> None:
        """Send test images to each device from the moment that it is ready, until the end of the demo."""

        def look() -> bool:
            for name, device in self.fleet.devices.items():
                if name not in self._traffic and device.ready():
                    self._traffic[name] = traffic.Traffic(device.address, pause_s=PAUSE_S)
                    self._traffic[name].start()
            return len(self._traffic) == len(self.fleet.devices)

        wait_until("every device serves 1.0.0", look, 120)
        self.fleet.wait_rollout(rollout, "completed")

    def _claim_predictions(self, version: str, when: str, skip: str = "") -> None:
        with self.screen.step(f"compare 450 predictions a device with the bare runtime's, {when}"):
            for device in self.fleet.devices.values():
                if device.name == skip:
                    continue
                answers = device.answers()
                expected = reference.digits(version, self._runtime[device.name])
                same = sum(a.digit == digit for a, digit in zip(answers, expected, strict=True))
                versions = Counter(answer.version for answer in answers)
                self.claims.append(
                    (
                        f"{device.name} ({self._about[device.name]}) predicts as {version} does {when}",
                        f"{same} of {len(expected)} equal, answered by {_count_text(versions)}",
                        same == len(expected) == 450 and set(versions) == {version},
                    )
                )
            if self._micro is not None:
                self.claims.append(self._micro.claim_answers(version, when))

    def _versions(self) -> Counter[str]:
        """How many devices serve which version, each by its own word."""
        found = Counter(self._serving(device) for device in self.fleet.devices.values())
        if self._micro is not None:
            found[self._micro.version()] += 1
        return found

    def _serving(self, device: Device) -> str:
        """The version that answers one request now."""
        client = traffic.Client(device.address)
        try:
            return str(client.infer(traffic.TestSet.load().images[0]).version)
        finally:
            client.close()

    def _online(self, *names: str) -> bool:
        return all(self.fleet.api.get(f"/devices/{name}")["online"] for name in names)

    def _device_lines(self) -> list[DeviceLine]:
        lines = []
        for name in list(self._about):
            line = DeviceLine(name, self._about[name])
            try:
                line.phase = str(self.fleet.believed(name).get("phase", "-"))
            except Exception:  # noqa: BLE001 - the screen shows what it can; the story itself notices what is wrong
                line.phase = "?"
            if (one := self._traffic.get(name)) is not None:
                counts = one.counts
                line.requests, line.failures = counts.requests, counts.failures
                line.slowest_ms = counts.slowest_s * 1000
                line.serving = next(reversed(counts.versions), "-")
            elif name == MICRO and self._micro is not None:
                line.requests, line.serving = self._micro.served(), self._micro.version()
            lines.append(line)
        return lines


def _count_text(versions: Counter[str]) -> str:
    return ", ".join(f"{count} × {version}" for version, count in sorted(versions.items())) or "nothing"


def _memory_with(device: Device, needles: list[bytes]) -> list[str] | None:
    """Where in the device's memory a needle is; None: it cannot be read by this user."""
    try:
        return device.memory_with(needles)
    except PermissionError:
        return None


def _file_count(device: Device) -> int:
    return sum(path.is_file() for path in device.directory.rglob("*"))
