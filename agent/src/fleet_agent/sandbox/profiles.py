"""Who may do what."""

import socket
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from fleet_agent.sandbox.landlock import DEVICE, KEEP, READ, WRITE, Right, Rule
from fleet_agent.sandbox.privileges import DAC_OVERRIDE, IPC_LOCK
from fleet_agent.sandbox.seccomp import OWNERSHIP, SOCKETS


@dataclass(frozen=True, slots=True)
class Profile:
    """``computing``: may make the few calls of a computation only; else all but what is alien, and ``denied``.

    ``writes``: it may write files at all. ``capabilities``: what it keeps of root's. ``families``: of sockets, where
    these are not ``denied``.
    """

    rules: tuple[Rule, ...]
    computing: bool = False
    denied: tuple[str, ...] = ()
    writes: bool = True
    capabilities: int = 0
    families: tuple[int, ...] = (socket.AF_UNIX,)

    @property
    def network(self) -> bool:
        """It speaks to other machines."""
        return socket.AF_INET in self.families


# LiteRT asks both about the processor when a model is prepared; nothing else is opened after the imports.
_PROCESSOR = (Rule("/proc/cpuinfo", Right.READ_FILE), Rule("/sys/devices/system/cpu", READ))

# What NVIDIA's driver libraries ask; other processes are not in it.
_OF_DRIVERS = ("self", "cpuinfo", "meminfo", "devices", "modules", "filesystems", "stat", "driver", "sys/vm")
# Libraries that are in no other folder, and where NVIDIA's loader finds them.
_OF_CUDA = ("/usr/local/cuda", "/etc/ld.so.cache", "/etc/nv_tegra_release")
# GPUs of workstations (nvidia*), of Jetsons (nvhost-*, nvmap, nvgpu, nvsci*), and what every C library opens.
_DEVICES = ("nv*", "dri", "null", "zero", "random", "urandom")

_FAMILIES = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)
_WORKER = Profile(_PROCESSOR, computing=True, writes=False)


def installed_code() -> tuple[Rule, ...]:
    """Where modules and libraries are: for processes that import some of them late."""
    folders = {entry for entry in sys.path if Path(entry).is_absolute()}
    return tuple(Rule(folder, READ) for folder in sorted(folders | {"/usr/lib", "/lib", "/usr/local/lib", "/lib64"}))


def worker(delegate: str) -> Profile:
    """Interprets a model. An accelerator's driver maps code, talks to devices and loads libraries when it likes."""
    if delegate == "cpu":
        return _WORKER
    rules = [*installed_code(), Rule("/sys", READ), *(Rule(path, READ) for path in _OF_CUDA)]
    rules += [Rule(f"/proc/{name}", READ) for name in _OF_DRIVERS]
    rules += [Rule(path, DEVICE) for pattern in _DEVICES for path in sorted(map(str, Path("/dev").glob(pattern)))]
    return Profile(tuple(rules), denied=("bind", "listen"), writes=False)


def builder() -> Profile:
    """Builds an engine of a model: as a worker of the GPU, but what it makes, a file in memory, has a size."""
    return replace(worker("engine"), writes=True)


def sensors() -> Profile:
    """Asks a vendor's library about the device: its driver, or its service by a Unix socket. It sees no key."""
    shared = Rule("/dev/shm", KEEP)  # noqa: S108 - where semaphores lie
    rules = (Rule("/sys", READ), Rule("/proc", READ), Rule("/run", READ), Rule("/etc", READ), Rule("/dev", DEVICE))
    return Profile((*installed_code(), *rules, shared), denied=("bind", "listen"))


def front(shared_memory: bool) -> Profile:
    """Answers applications on sockets that were bound before; opens none to anywhere.

    It reads who is at the other end and the machine's load, and where allowed what applications put into shared memory.
    """
    reads = ("/proc/net", "/proc/stat", "/proc/meminfo", "/proc/self", "/etc/localtime", "/usr/share/zoneinfo")
    rules = (*installed_code(), *(Rule(path, READ) for path in reads))
    if not shared_memory:
        return Profile(rules, denied=SOCKETS)
    shared = Rule("/dev/shm", WRITE)  # noqa: S108 - applications' own place for it
    return Profile((*rules, shared), denied=SOCKETS, capabilities=DAC_OVERRIDE)


def feeder(own: tuple[Rule, ...], *, network: bool) -> Profile:
    """Takes inputs from files, cameras and networks to the local API: ``own`` is what its sources and sinks name."""
    zones = (Rule("/etc/localtime", READ), Rule("/usr/share/zoneinfo", READ))
    rules = (*installed_code(), *_PROCESSOR, *zones, *own)
    families = _FAMILIES if network else (socket.AF_UNIX,)
    return Profile(rules, denied=OWNERSHIP, families=families, capabilities=DAC_OVERRIDE)


def unlocker(state: Path) -> Profile:
    """Has the keys: reads and writes the state folder, and speaks to nobody but the supervisor."""
    rules = (*installed_code(), Rule(str(state), KEEP), Rule("/dev/urandom", READ))
    return Profile(rules, denied=(*SOCKETS, "socketpair", "accept", "accept4"), capabilities=DAC_OVERRIDE | IPC_LOCK)
