"""Whether something keeps the agent running, and whether applications reach it."""

import http.client
import subprocess
from shutil import which

from fleet_agent.doctor.check import About, Check, fail, ok, warn

UNIT = "fleet-agent.service"
_WAIT_S = 10.0


def look(about: About) -> list[Check]:
    """The unit, then the local API of the running agent."""
    return [*_unit(about), *_api(about)]


def _unit(about: About) -> list[Check]:
    running = about.running is not None
    if not (about.root / "run/systemd/system").exists():
        if running:
            return [ok("the agent runs; there is no systemd, so what starts it must start it again when it ends")]
        return [warn("the agent does not run", "there is no systemd to start it", "fleet-agent run")]
    state = _state()
    if state is None:
        why = "nothing starts it when the device boots"
        return [warn("the agent is no service", why, "sudo fleet-agent install")]
    enabled, active = state
    if active == "active":
        return [ok(f"{UNIT} runs") if enabled == "enabled" else _not_enabled()]
    why = f"systemd says: {active}" + (", the agent runs without it" if running else "")
    return [warn(f"{UNIT} does not run", why, "sudo systemctl enable --now fleet-agent; journalctl --unit fleet-agent")]


def _not_enabled() -> Check:
    return warn(f"{UNIT} does not start at boot", "it is not enabled", "sudo systemctl enable fleet-agent")


def _state() -> tuple[str, str] | None:
    """(enabled, active) of the unit, None without one."""
    if which("systemctl") is None:
        return None
    words = ["systemctl", "show", UNIT, "--property", "LoadState,UnitFileState,ActiveState"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_WAIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    values = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    if values.get("LoadState") != "loaded":
        return None
    return values.get("UnitFileState", ""), values.get("ActiveState", "")


def _api(about: About) -> list[Check]:
    port = (about.running or {}).get("port")
    if not isinstance(port, int):
        return []  # nothing serves yet
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_WAIT_S)
    try:
        connection.request("GET", "/v2/health/live")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        why = f"{error}"
        return [fail(f"the local API on port {port} does not answer", why, "journalctl --unit fleet-agent")]
    finally:
        connection.close()
    # 401: it wants a token, so it is there.
    if status in {200, 401}:
        return [ok(f"the local API answers on port {port}")]
    return [fail(f"the local API on port {port} is not well", f"it says {status}", "journalctl --unit fleet-agent")]
