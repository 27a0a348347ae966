"""An installation on this machine and its devices, handled by the product's own commands alone."""

import contextlib
import json
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from demo.api import Api
from demo.device import Device
from demo.programs import Program, command, run

DIGITS = Path(__file__).resolve().parent.parent / "examples" / "digits"
MODEL = "digits"
T = TypeVar("T")


class NotInTimeError(Exception):
    """What was waited for did not come."""


def wait_until(what: str, look: Callable[[], T | None], timeout_s: float = 60.0, pause_s: float = 0.1) -> T:
    """Call `look` until it returns something, and return that.

    Raises:
        NotInTimeError: naming `what`.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        if (found := look()) is not None and found is not False:
            return found
        if time.monotonic() > deadline:
            raise NotInTimeError(f"{what}: not within {timeout_s:g} s")
        time.sleep(pause_s)


def free_ports(count: int) -> list[int]:
    """TCP ports of 127.0.0.1 that nothing listens on now; all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(one.getsockname()[1]) for one in sockets]


class Fleet:
    """One server with its broker, the owners' keys and any number of devices, all below `directory`.

    The folders stand for machines: `server` is the server's, `owner` the key ceremony's and the packager's, and each
    device has one of its own. Nothing but what a command prints or writes passes between them.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.server_dir = directory / "server"
        self.owner_dir = directory / "owner"
        self.password = secrets.token_urlsafe(9)
        self.devices: dict[str, Device] = {}
        self._operator_port, self._device_port, self.broker_port = free_ports(3)
        self.url = f"http://127.0.0.1:{self._operator_port}"
        logs = directory / "logs"
        self.broker = Program("broker", self._command("broker", "run"), logs / "broker.log")
        self.server = Program("server", self._command("serve"), logs / "server.log")
        self.api = Api(self.url, "")

    def init(self) -> None:
        """Make the server and the owners' keys, and introduce them to each other: the ceremony of a new fleet."""
        self.owner_dir.mkdir(parents=True)
        ports = ["--port", self._operator_port, "--device-port", self._device_port, "--broker-port", self.broker_port]
        run(command("fleet-server", "init", self.server_dir, "--host", "127.0.0.1", *ports))
        settings = self.server_dir / "server.toml"
        # Rollouts are looked at more often than once a second, so that a demo is no waiting game.
        settings.write_text(settings.read_text().replace("tick_s = 1.0", "tick_s = 0.25"))
        keys = ["--server-keys", self.server_dir / "server-keys.cbor", "--no-passphrase"]
        run(command("packager", "keys", "init", self.keys_dir, *keys))
        self._server("root", "import", self.keys_dir / "root.cose")
        password_file = self.owner_dir / "password"
        password_file.write_text(self.password)
        self._server("user", "add", "demo", "--role", "admin", "--password-file", password_file)
        token = self._server("token", "add", "demo", "--role", "admin").strip()
        (self.owner_dir / "token").write_text(token)
        self.api = Api(self.url, token)

    @property
    def keys_dir(self) -> Path:
        return self.owner_dir / "keys"

    @property
    def device_ports(self) -> tuple[int, int]:
        """Ports of 127.0.0.1 that devices connect to: enrolment and objects, broker."""
        return self._device_port, self.broker_port

    @property
    def token_file(self) -> Path:
        return self.owner_dir / "token"

    def start(self) -> None:
        """Start broker and server and return when both answer."""
        self.start_broker()
        self.start_server()

    def start_broker(self) -> None:
        self.broker.start()
        self.broker.wait_for("^broker mqtts://")

    def start_server(self) -> None:
        self.server.start()
        self.server.wait_for("^devices https://")

    def stop(self) -> None:
        """Stop everything, devices first."""
        for device in self.devices.values():
            device.stop()
        self.server.stop()
        self.broker.stop()

    # Releases

    def build(self, recipe: Path, *options: str) -> Path:
        """Build a bundle from a recipe; its path."""
        out = self.directory / "bundles" / recipe.stem
        out.mkdir(parents=True, exist_ok=True)
        built = run(command("packager", "build", recipe, "--keys", self.keys_dir, "--out", out, "--json", *options))
        return Path(json.loads(built)["bundle"])

    def push(self, bundle: Path) -> str:
        """Push a bundle; the digest of its release, hex."""
        where = ["--keys", self.keys_dir, "--server", self.url, "--token-file", self.token_file]
        return str(json.loads(run(command("packager", "push", bundle, *where, "--json")))["digest"])

    # Devices

    def enrol(
        self,
        name: str,
        *,
        tags: dict[str, str] | None = None,
        runtimes: Sequence[str] = (),
        broker_port: int | None = None,
        lines: Sequence[str] = (),
    ) -> Device:
        """Make a device and enrol it with a fresh claim token. `broker_port` is where it finds the broker instead."""
        device = self.device(name, runtimes=runtimes, broker_port=broker_port, lines=lines)
        device.enrol(self.claim_token(tags))
        return device

    def enrol_child(
        self, gateway: Device, line: str, name: str, *, tags: dict[str, str] | None = None, timeout_s: float = 120.0
    ) -> None:
        """Enrol the microcontroller on a line of a device that runs, by the device's own command."""
        wait_until(f"somebody answers on {line}", lambda: gateway.hears(line), timeout_s)
        arguments = ["--state-dir", gateway.directory, "--line", line, "--id", name, "--token-file", "-"]
        enroll = command("fleet-agent", "child", "enroll", *arguments)
        run(enroll, stdin=self.claim_token(tags), timeout_s=timeout_s)

    def claim_token(self, tags: dict[str, str] | None = None) -> str:
        body = {"tags": tags or {}, "auto_approve": True, "expires_in_s": 600}
        return str(self.api.post("/claim-tokens", body)["token"])

    def device(
        self,
        name: str,
        *,
        runtimes: Sequence[str] = (),
        broker_port: int | None = None,
        lines: Sequence[str] = (),
    ) -> Device:
        (port,) = free_ports(1)
        directory = self.directory / "devices" / name
        device = Device(name, directory, port, runtimes, broker_port, self.directory / "logs" / f"{name}.log", lines)
        self.devices[name] = device
        return device

    # What the server believes

    def believed(self, device: str) -> dict[str, Any]:
        """What the server knows of a device's digits model."""
        models = self.api.get(f"/devices/{device}")["models"]
        return dict(models.get(MODEL, {}))

    def wait_active(self, device: str, release: str, timeout_s: float = 90.0) -> None:
        """Wait until the server knows that the device has committed a release."""
        wait_until(
            f"{device} on {release[:8]}",
            lambda: (state := self.believed(device)).get("active") == release and state.get("phase") == "committed",
            timeout_s,
        )

    def roll_out(self, release: str, **options: Any) -> str:
        """Start a rollout; its id."""
        body = {"release": release, "selector": {}, "stages": [{"percent": 100}], **options}
        return str(self.api.post("/rollouts", body)["id"])

    def preview(self, release: str) -> dict[str, Any]:
        """What a rollout of a release to the whole fleet would do."""
        return dict(self.api.post("/rollouts/preview", {"release": release, "selector": {}}))

    def wait_rollout(self, rollout: str, *states: str, timeout_s: float = 120.0) -> dict[str, Any]:
        """Wait until the rollout is in one of `states`; the rollout."""

        def look() -> dict[str, Any] | None:
            now: dict[str, Any] = self.api.get(f"/rollouts/{rollout}")
            return now if now["state"] in states else None

        return wait_until(f"rollout {rollout} {' or '.join(states)}", look, timeout_s)

    def order_wipe(self, device: str, reason: str) -> dict[str, Any]:
        """Draft a wipe, sign it with both owners' keys on "their machines", and wait for the verified receipt."""
        wipe = self.draft_wipe(device, reason)
        self.sign_wipe(wipe, "ops-1")
        self.sign_wipe(wipe, "ops-2")
        return self.wait_wipe(wipe)

    def draft_wipe(self, device: str, reason: str) -> str:
        return str(self.api.post(f"/devices/{device}/wipes", {"reason": reason})["id"])

    def sign_wipe(self, wipe: str, owner: str) -> None:
        key = self.keys_dir / f"{owner}.pem"
        order = f"{self.url}/wipes/{wipe}"
        run(command("packager", "wipe", "sign", order, "--key", key, "--yes", "--token-file", self.token_file))

    def wait_wipe(self, wipe: str, timeout_s: float = 60.0) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            now: dict[str, Any] = self.api.get(f"/wipes/{wipe}")
            return now if now["receipt"] else None

        return wait_until(f"receipt of wipe {wipe}", look, timeout_s)

    def backup(self, file: Path) -> None:
        self._server("backup", file)

    def replace_server(self, backup: Path) -> None:
        """The server's machine is lost: bring a backup back on a new one, under the old addresses, its broker empty."""
        self.server.kill()
        self.broker.kill()
        self.server_dir = self.server_dir.with_name(f"{self.server_dir.name}-restored")
        self._server("restore", backup)
        self.broker.argv = self._command("broker", "run")
        self.server.argv = self._command("serve")
        self.start()

    def _command(self, *arguments: object) -> list[str]:
        return command("fleet-server", *arguments, "--data", self.server_dir)

    def _server(self, *arguments: object) -> str:
        return run(self._command(*arguments))
