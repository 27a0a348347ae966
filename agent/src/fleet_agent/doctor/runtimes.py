"""The runtimes that models need, whether they start here, and what they can compute on."""

import sys
from pathlib import Path

from fleet_agent.config import workers
from fleet_agent.config.file import ConfigError
from fleet_agent.doctor.check import About, Check, fail, ok, warn
from fleet_agent.doctor.trying import TryError, attempt
from fleet_agent.install import PACKAGED
from fleet_agent.runtimes import installed
from fleet_agent.runtimes.errors import RuntimeMissingError

_LITERT = "import json; from fleet_agent.runtimes import protocol; protocol.prepare('litert'); print(json.dumps([]))"
_ONNX = """
import json
from fleet_agent.runtimes import protocol
protocol.prepare("onnxruntime")
import onnxruntime
print(json.dumps(onnxruntime.get_available_providers()))
"""
_ENGINES = """
import json
from fleet_agent.runtimes import protocol
protocol.prepare("tensorrt")
from fleet_agent.runtimes.tensorrt_common import compute_capability
print(json.dumps(compute_capability()))
"""
_NAMES = {"litert": "LiteRT", "onnxruntime": "ONNX Runtime"}
_DEVICES = ("dev/nvidiactl", "dev/nvhost-ctrl-gpu", "dev/nvmap")
_PROVIDERS = {"cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}


def look(about: About) -> list[Check]:
    """Every runtime, then what agent.toml wants of them."""
    checks, providers, usable = [], [], False
    for runtime, why in installed.missing().items():
        fix = "install the package fleet-agent-onnx" if _packaged() else why.partition(": ")[2]
        checks.append(warn(f"no {_NAMES[runtime]}", f"releases for it cannot run here: {why.partition(':')[0]}", fix))
    for info in installed.installed():
        name = f"{_NAMES[info.name]} {'.'.join(map(str, info.version))}"
        try:
            found = attempt(_LITERT if info.name == "litert" else _ONNX)
        except TryError as error:
            fix = "see the words above; reinstall the agent for this machine's processor if they do not help"
            checks.append(fail(f"{name} does not start", str(error), fix))
        else:
            usable = True
            providers += found
            checks.append(ok(name))
    if not usable:
        why = "no model can be served on this device"
        checks.append(fail("no runtime works", why, "install one: pip install 'dunlin-agent[litert]'"))
    return [*checks, *_delegates(about, providers)]


def _packaged() -> bool:
    return Path(sys.prefix) == PACKAGED


def _delegates(about: About, providers: list[str]) -> list[Check]:
    """What agent.toml asks for and is not there; else a GPU that nothing uses."""
    wanted: set[str] = set()
    if about.words is not None:
        try:
            settings = workers.read(about.words)
            wanted = {one.delegate for one in (settings.others, *settings.models.values())} - {"cpu"}
        except ConfigError:
            return []  # told with agent.toml
    lacking = [
        warn(
            f"agent.toml wants {delegate}, which ONNX Runtime has not got here",
            "the CPU computes instead",
            "pip install onnxruntime-gpu, for this device's CUDA",
        )
        for delegate in sorted(wanted & set(_PROVIDERS))
        if _PROVIDERS[delegate] not in providers
    ]
    if workers.ENGINE in wanted:
        lacking += _engines()
    gpu = any((about.root / name).exists() for name in _DEVICES)
    if gpu and not wanted and not set(_PROVIDERS.values()) & set(providers):
        why = "models run on the CPU"
        lacking.append(
            warn("an NVIDIA GPU that is not used", why, 'install onnxruntime-gpu; delegate = "cuda" in [worker]')
        )
    return lacking


def _engines() -> list[Check]:
    """Whether engines can be built and run here."""
    try:
        version = installed.engine_version()
        attempt(_ENGINES)
    except (RuntimeMissingError, TryError) as error:
        what, _, fix = str(error).rpartition(": ")
        why = what or str(error)
        return [warn("agent.toml wants engines, and none can be built", why, fix if what else "reinstall TensorRT")]
    return [ok(f"TensorRT {version} builds engines")]
