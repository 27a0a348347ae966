"""Who may do what."""

import sys
from dataclasses import dataclass
from pathlib import Path

from fleet_agent.sandbox.landlock import DEVICE, KEEP, READ, WRITE, Right, Rule
from fleet_agent.sandbox.privileges import DAC_OVERRIDE, IPC_LOCK
from fleet_agent.sandbox.seccomp import SOCKETS


@dataclass(frozen=True, slots=True)
class Profile:
    """``computing``: may make the few calls of a computation only; else all but what is alien, and ``denied``.

    ``writes``: it may write files at all. ``capabilities``: what it keeps of root's.
    """

    rules: tuple[Rule, ...]
    computing: bool = False
    denied: tuple[str, ...] = ()
    writes: bool = True
    capabilities: int = 0


# LiteRT asks both about the processor when a model is prepared; nothing else is opened after the imports.
_PROCESSOR = (Rule("/proc/cpuinfo", Right.READ_FILE), Rule("/sys/devices/system/cpu", READ))

# What NVIDIA's driver libraries ask; other processes are not in it.
_OF_DRIVERS = ("self", "cpuinfo", "meminfo", "devices", "modules", "filesystems", "stat", "driver", "sys/vm")

_WORKER = Profile(_PROCESSOR, computing=True, writes=False)


def installed_code() -> tuple[Rule, ...]:
    """Where modules and libraries are: for processes that import some of them late."""
    folders = {entry for entry in sys.path if Path(entry).is_absolute()}
    return tuple(Rule(folder, READ) for folder in sorted(folders | {"/usr/lib", "/lib", "/usr/local/lib", "/lib64"}))


def worker(delegate: str) -> Profile:
    """Interprets a model. An accelerator's driver maps code, talks to devices and loads libraries when it likes."""
    if delegate == "cpu":
        return _WORKER
    rules = [*installed_code(), Rule("/sys", READ), Rule("/dev", DEVICE)]
    rules += [Rule(f"/proc/{name}", READ) for name in _OF_DRIVERS]
    return Profile(tuple(rules), denied=("bind", "listen"), writes=False)


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


def unlocker(state: Path) -> Profile:
    """Has the keys: reads and writes the state folder, and speaks to nobody but the supervisor."""
    rules = (*installed_code(), Rule(str(state), KEEP), Rule("/dev/urandom", READ))
    return Profile(rules, denied=(*SOCKETS, "socketpair", "accept", "accept4"), capabilities=DAC_OVERRIDE | IPC_LOCK)
