"""Which runtimes this machine has, told without importing them, or even ``importlib.metadata``.

The supervisor asks: that module alone would add 7 MB to its 25. An installed distribution is a folder
``name-version.dist-info`` on the path (PyPA, "Recording installed projects"), so the folder's name says it all.
"""

import re
import sys
from functools import cache
from pathlib import Path

from dunlin_contract.fit import RuntimeInfo
from fleet_agent.runtimes.errors import RuntimeMissingError

# runtime -> distributions that provide it (the first found counts), and the extra that installs it
_PROVIDERS = {
    "litert": (("ai_edge_litert",), "litert"),
    "onnxruntime": (("onnxruntime", "onnxruntime_gpu"), "onnx"),
}
RUNTIMES = tuple(_PROVIDERS)
_TENSORRT = ("tensorrt", "tensorrt_cu12", "tensorrt_cu13", "tensorrt_cu11")


def find(runtime: str) -> RuntimeInfo:
    """Name and version of an installed runtime.

    Raises:
        RuntimeMissingError: it is not there; the text says what to install.
    """
    if runtime not in _PROVIDERS:
        raise RuntimeMissingError(f"this agent knows no runtime {runtime!r}; it knows {', '.join(RUNTIMES)}")
    distributions, extra = _PROVIDERS[runtime]
    versions = _distributions()
    version = next((versions[name] for name in distributions if name in versions), None)
    if version is None or "numpy" not in versions:
        lacking = "numpy" if version else distributions[0].replace("_", "-")
        raise RuntimeMissingError(
            f"{lacking} is not on this device: install it with pip install 'dunlin-agent[{extra}]'"
        )
    return RuntimeInfo(name=runtime, version=_numbers(version), ops=())


def installed() -> list[RuntimeInfo]:
    """Every runtime that a worker can use here."""
    gone = missing()
    return [find(runtime) for runtime in RUNTIMES if runtime not in gone]


def missing() -> dict[str, str]:
    """Why each of the other runtimes cannot be used here."""
    reasons = {}
    for runtime in RUNTIMES:
        try:
            find(runtime)
        except RuntimeMissingError as error:
            reasons[runtime] = str(error)
    return reasons


def version(distribution: str) -> str | None:
    """Version of an installed distribution, named with underscores; None: it is not there."""
    return _distributions().get(distribution)


def engine_version() -> str:
    """Version of the TensorRT that builds and runs engines here.

    Raises:
        RuntimeMissingError: it is not there, or not all that it takes; the text says what to install.
    """
    found = next((there for name in _TENSORRT if (there := version(name)) is not None), None)
    if found is None:
        raise RuntimeMissingError("TensorRT is not on this device: install it with JetPack, or pip install tensorrt")
    for lacking in ("pycuda", "numpy"):
        if version(lacking) is None:
            raise RuntimeMissingError(f"{lacking} is not on this device: pip install {lacking}, to run engines")
    return found


def _numbers(version: str) -> tuple[int, int, int]:
    """First three numbers of a version such as ``2.3.0rc1+cpu``."""
    found = [int(number) for number in re.findall(r"\d+", version.partition("+")[0])[:3]]
    major, minor, patch = (*found, 0, 0, 0)[:3]
    return major, minor, patch


@cache
def _distributions() -> dict[str, str]:
    """Normalised name -> version of everything installed; the first on the path wins, as it does for an import."""
    found: dict[str, str] = {}
    for folder in sys.path:
        try:
            names = [entry.name for entry in Path(folder or ".").iterdir()]
        except OSError:
            continue
        for entry in names:
            if entry.endswith(".dist-info"):
                name, _, version = entry.removesuffix(".dist-info").partition("-")
                found.setdefault(name.lower().replace("-", "_"), version)
    return found
