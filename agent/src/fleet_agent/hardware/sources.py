"""Which vendors' libraries and tools are worth asking on this machine, told without importing or running any."""

from pathlib import Path

from fleet_agent.hardware import kernel, raspberry
from fleet_agent.hardware.reading import Reading
from fleet_agent.runtimes import installed


def present(root: Path = kernel.ROOT, known: Reading | None = None) -> tuple[str, ...]:
    """Names of ``fleet_agent.hardware.__main__.SOURCES``; ``known``: what files say already."""
    known = known or kernel.read(root)
    names = []
    if known.throttled is None and any((root / path.lstrip("/")).exists() for path in raspberry.PROGRAMS):
        names.append("vcgencmd")
    if (root / "etc/nv_tegra_release").exists():
        if installed.version("jetson_stats") is not None:
            names.append("jtop")
    elif (root / "dev/nvidiactl").exists() and installed.version("nvidia_ml_py") is not None:
        # On a Jetson NVML knows next to nothing.
        names.append("nvml")
    return tuple(names)
