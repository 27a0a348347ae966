"""Raspberry Pi: ``vcgencmd``, which asks the firmware. Source: Raspberry Pi's documentation, "vcgencmd"."""

from pathlib import Path

from fleet_agent.hardware.reading import LackingError, Reading, tenths

PROGRAMS = ("/usr/bin/vcgencmd", "/usr/local/bin/vcgencmd")
_DEVICE = "/dev/vcio"
_PATIENCE_S = 2.0
_ANSWER_CHARS = 200


def program() -> str | None:
    """Where it is, None where it is not."""
    return next((one for one in PROGRAMS if Path(one).exists()), None)


def read() -> Reading:
    """Throttling flags and temperature.

    Raises:
        LackingError: no such tool, or the firmware does not answer this user.
    """
    flags = _ask("get_throttled", "throttled=")
    celsius = _ask("measure_temp", "temp=").removesuffix("'C")
    try:
        return Reading(temperature_dc=tenths(float(celsius)), throttled=int(flags, 16) & 0xFFFFFFFF)
    except ValueError:
        raise LackingError(f"vcgencmd gives no numbers: {flags!r:.40}, {celsius!r:.40}") from None


def _ask(what: str, begins: str) -> str:
    import subprocess

    path = program()
    if path is None:
        raise LackingError("vcgencmd is not installed: apt-get install raspi-utils, or libraspberrypi-bin")
    try:
        done = subprocess.run([path, what], capture_output=True, timeout=_PATIENCE_S, check=False, env={})
    except subprocess.TimeoutExpired:
        raise LackingError("vcgencmd does not answer: the firmware is busy or hangs") from None
    except OSError as error:
        raise LackingError(f"vcgencmd cannot be run: {error.strerror}") from None
    text = (done.stdout + done.stderr).decode("ascii", "replace").strip()[:_ANSWER_CHARS]
    if not text.startswith(begins):
        # "VCHI initialization failed", "Can't open device file: /dev/vcio": one cause nearly always.
        why = f"{_DEVICE} may not be opened: add the agent's user to the group video"
        said = " ".join(text.split())[:80] or f"exit code {done.returncode}"
        raise LackingError(f"vcgencmd says {said!r}; {why}")
    return text.removeprefix(begins)
