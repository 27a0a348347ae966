"""The machine: its system, processor, temperature and clock."""

import ctypes
import os
import platform
import time

from fleet_agent.doctor.check import About, Check, ok, warn
from fleet_agent.hardware import kernel
from fleet_agent.sandbox.syscalls import AUDIT_ARCH

_HOT_DC = 800
_TIME_ERROR = 5
_TIMEX_BYTES = 512  # struct timex is 208; all zero asks and changes nothing


def look(about: About) -> list[Check]:
    """System, temperature, clock."""
    temperature = _temperature(kernel.temperature_dc(about.root))
    return [*_system(about), *temperature, *_clock(about, _synchronised(), time.time())]


def _system(about: About) -> list[Check]:
    uname = os.uname()
    what = f"{_name(about)}, Linux {uname.release}, {uname.machine}, Python {platform.python_version()}"
    if uname.machine not in AUDIT_ARCH:
        why = "models run without a filter of system calls: it is known for x86-64 and 64-bit ARM only"
        return [warn(what, why, "install a 64-bit system if the processor has 64 bits")]
    return [ok(what)]


def _name(about: About) -> str:
    try:
        lines = (about.root / "etc/os-release").read_text("utf-8", "replace").splitlines()
    except OSError:
        return "unknown system"
    names = [line.partition("=")[2].strip('"') for line in lines if line.startswith("PRETTY_NAME=")]
    return names[0] if names else "unknown system"


def _temperature(tenths: int | None) -> list[Check]:
    if tenths is None:
        return []
    what = f"temperature {tenths / 10:.0f} °C"
    if tenths < _HOT_DC:
        return [ok(what)]
    return [warn(what, "processors slow down when they are this hot", "cool the device, or give it less to do")]


def _clock(about: About, synchronised: bool, now: float) -> list[Check]:
    why = "signed time decides, so updates go on, but times in logs and of schedules are wrong"
    fix = "let the system set its clock: sudo timedatectl set-ntp true"
    if about.enrolment is not None and now < about.enrolment.certified:
        return [warn("the clock is behind the day of enrolment", why, fix)]
    if not synchronised:
        return [warn("the clock is not synchronised", why, fix)]
    return [ok("the clock is synchronised")]


def _synchronised() -> bool:
    """What the kernel was told by whoever sets the clock (adjtimex(2))."""
    return int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))) != _TIME_ERROR
