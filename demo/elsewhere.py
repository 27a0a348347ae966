"""A fleet on this machine and one device whose commands run elsewhere, such as in another root folder:

    python -m demo.elsewhere --state-dir /var/lib/fleet-agent chroot ROOT

The words at the end are put before each of the device's commands and must become it by exec. It enrols, is given two
releases of the digits one after the other, answers while its broker is away, and comes back after it was killed.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from demo import recipes
from demo.device import Device, traffic
from demo.fleet import Fleet, free_ports, wait_until
from demo.programs import Program, ProgramError, run

_SLOW_S = 1800.0
"""An emulated processor takes half a minute for what a real one does in one second."""
_IMAGES = 20
_SETTINGS = {"probation_s": 2, "probation_requests": 20, "probation_max_s": 60}


class Elsewhere(Device):
    """A device whose ``fleet-agent`` is behind ``prefix``; its state is not a folder of this machine."""

    def __init__(self, name: str, state: str, port: int, prefix: Sequence[str], runtime: str, log: Path) -> None:
        super().__init__(name, Path(state), port, (), None, log)
        self._agent = [*prefix, "fleet-agent"]
        listen = ["--state-dir", state, "--listen", self.address, "--runtime", runtime]
        self.program = Program(name, [*self._agent, "--debug", "run", *listen], log)

    def enrol(self, token: str, env: Any = None) -> None:
        arguments = ["--state-dir", str(self.directory), "--id", self.name, "--token-file", "-"]
        run([*self._agent, "enroll", *arguments], stdin=token, env=env, timeout_s=_SLOW_S)

    def say(self, *words: str) -> None:
        """Show what one of the device's commands says."""
        print(run([*self._agent, *words, "--state-dir", str(self.directory)], timeout_s=_SLOW_S), flush=True)

    def status(self) -> dict[str, Any]:
        words = [*self._agent, "status", "--json", "--state-dir", str(self.directory)]
        return dict(json.loads(run(words, timeout_s=_SLOW_S)))

    def digits(self) -> tuple[str, int]:
        """Version that answers, and how many of the first test images it reads right."""
        client = traffic.Client(self.address, binary=True, timeout_s=_SLOW_S)
        try:
            tests = traffic.TestSet.load()
            few = traffic.TestSet(tests.images[:_IMAGES], tests.labels[:_IMAGES])
            answers = list(traffic.predict(client, few))
        finally:
            client.close()
        right = sum(answer.digit == label for answer, label in zip(answers, few.labels, strict=True))
        return answers[0].version, int(right)


def _recipe(version: str, runtime: str, directory: Path) -> Path:
    """The example's recipe with variants of one runtime, and a promise that an emulator can keep."""
    recipe = recipes.without_microcontrollers(recipes.digits(version, directory), directory)
    kind = "tflite" if runtime == "litert" else "onnx"
    text = recipes.only(recipe.read_text(), kind).replace("p95_ms = 20", "p95_ms = 60000")
    recipe.write_text(text)
    return recipe


def main() -> None:
    """Run it; raises when something is not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m demo.elsewhere")
    parser.add_argument("--state-dir", required=True, help="the device's state, as its own commands see it")
    parser.add_argument("--runtime", default="litert", choices=("litert", "onnxruntime"))
    parser.add_argument("prefix", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        _story(Fleet(Path(directory)), arguments)


def _story(fleet: Fleet, arguments: argparse.Namespace) -> None:
    fleet.init()
    fleet.start()
    fleet.api.patch("/settings", _SETTINGS)
    (port,) = free_ports(1)
    log = fleet.directory / "logs" / "elsewhere.log"
    device = Elsewhere("elsewhere", arguments.state_dir, port, arguments.prefix, arguments.runtime, log)
    fleet.devices[device.name] = device
    try:
        device.enrol(fleet.claim_token())
        print("enrolled", flush=True)
        device.start()
        for version in ("1.0.0", "2.0.0"):
            release = fleet.push(
                fleet.build(_recipe(version, arguments.runtime, fleet.directory / f"recipe-{version}"))
            )
            fleet.roll_out(release)
            wait_until(f"{version} serves", lambda version=version: _serves(device, version), _SLOW_S, 1.0)  # type: ignore[misc]
            _work_until(fleet, device, release)
            print(f"release {version}: {device.digits()[1]} of {_IMAGES} images right, committed", flush=True)
        device.say("status")
        device.say("doctor")
        fleet.broker.stop()
        print(f"without a broker: {device.digits()[1]} of {_IMAGES} right", flush=True)
        _kill_and_start(device)
        print(f"killed and started without a broker: {device.digits()[1]} of {_IMAGES} right", flush=True)
    except BaseException:
        print(log.read_text()[-4000:])
        raise
    finally:
        fleet.stop()


def _kill_and_start(device: Elsewhere) -> None:
    before = device.status()["pid"]
    device.kill()
    device.start()
    wait_until("it serves again", lambda: _serves(device, "2.0.0"), _SLOW_S, 1.0)
    if device.status()["pid"] == before:
        raise ProgramError("the prefix starts a process of its own: the agent outlived it")


def _serves(device: Elsewhere, version: str) -> bool:
    try:
        return device.digits()[0] == version
    except (OSError, traffic.TrafficError):
        return False


def _work_until(fleet: Fleet, device: Elsewhere, release: str) -> None:
    """Real requests until the release has come through its probation."""

    def committed() -> bool:
        device.digits()
        believed = fleet.believed(device.name)
        return believed.get("active") == release and believed.get("phase") == "committed"

    wait_until("committed", committed, _SLOW_S, 0.5)


if __name__ == "__main__":
    main()
