"""What this device says of itself, read from the kernel; nothing is asked of a runtime or a vendor library."""

import os
from collections.abc import Sequence
from pathlib import Path

from dunlin_contract.fit import DeviceDescription, Tier
from fleet_agent import locking
from fleet_agent.errors import SetupError
from fleet_agent.runtimes import installed

_PROC = Path("/proc")


def describe(folder: Path, runtimes: Sequence[str] = ()) -> DeviceDescription:
    """Hardware, memory, room on the disk that holds ``folder``, and runtimes (only those named, if any are).

    Raises:
        SetupError: a runtime that was named is not installed.
    """
    found = {info.name: info for info in installed.installed()}
    for name in runtimes:
        if name not in found:
            raise SetupError(installed.missing().get(name) or f"no runtime is called {name!r}")
    arch = os.uname().machine
    disk = os.statvfs(folder)
    return DeviceDescription(
        hardware_class=_hardware_class() or f"linux-{arch}",
        arch=arch,
        memory_bytes=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        flash_bytes=disk.f_blocks * disk.f_frsize,
        runtimes=tuple(info for name, info in sorted(found.items()) if not runtimes or name in runtimes),
        tier=tier(),
    )


def _hardware_class() -> str:
    """First entry of the device tree's list, such as ``raspberrypi,4-model-b``; empty on a machine without one."""
    try:
        data = (_PROC / "device-tree/compatible").read_bytes()
    except OSError:
        return ""
    return data.partition(b"\0")[0].decode("ascii", "replace")[:64]


def tier() -> Tier:
    """Keys lie in files; plaintext stays in memory where there is no swap (it may come later) or pages are locked."""
    try:
        swaps = (_PROC / "swaps").read_text("ascii").splitlines()[1:]
    except OSError:
        swaps = []
    if not swaps:
        return Tier(keystore="file", model_store="no-swap")
    return Tier(keystore="file", model_store="locked" if locking.possible(keeps_rights=False) else "swappable")


def available_memory() -> int:
    """Bytes that a new process may take without pushing another out, this control group's limit included."""
    lines = dict(line.split(":", 1) for line in (_PROC / "meminfo").read_text("ascii").splitlines())
    free = int(lines["MemAvailable"].split()[0]) * 1024
    try:
        group = Path("/sys/fs/cgroup") / (_PROC / "self/cgroup").read_text("ascii").partition("::/")[2].strip()
        limit = (group / "memory.max").read_text("ascii").strip()
        used = int((group / "memory.current").read_text("ascii"))
    except (OSError, ValueError):
        return free
    return free if limit == "max" else min(free, int(limit) - used)


def used_memory() -> int:
    """Bytes in use on the whole device."""
    lines = dict(line.split(":", 1) for line in (_PROC / "meminfo").read_text("ascii").splitlines())
    return (int(lines["MemTotal"].split()[0]) - int(lines["MemAvailable"].split()[0])) * 1024
