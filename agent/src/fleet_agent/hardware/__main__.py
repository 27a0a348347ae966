"""``python -m fleet_agent.hardware``, started by the supervisor: ask vendors' sources once, answer, end."""

import os
from collections.abc import Callable

from fleet_agent import ipc
from fleet_agent.hardware import jetson, nvidia, raspberry
from fleet_agent.hardware.reading import LackingError, Reading
from fleet_agent.sandbox import enter, profiles
from fleet_agent.sandbox.kernel import SandboxError

SOURCES: dict[str, Callable[[], Reading]] = {
    "vcgencmd": raspberry.read,
    "jtop": jetson.read,
    "nvml": nvidia.read,
}
_RUNS_PROGRAMS = ("vcgencmd",)
"""Asked before the sandbox, in which no program is run: the firmware's own tool, not code that pip brought."""

_WHY_CHARS = 200


class Asked:
    """What came together so far, and why some sources say nothing."""

    def __init__(self) -> None:
        self.reading = Reading()
        self.lacking: dict[str, str] = {}

    def ask(self, name: str) -> None:
        """Ask one source."""
        try:
            self.reading = self.reading.over(SOURCES[name]())
        except LackingError as error:
            self.lacking[name] = str(error)
        except Exception as error:  # noqa: BLE001 - a vendor's library raises what it likes
            self.lacking[name] = f"unexpected {type(error).__name__}: {error}"[:_WHY_CHARS]


def serve() -> None:
    """One order, one answer."""
    control, parent = ipc.enter_child(), os.getppid()
    order = ipc.recv(control)
    if order is None:
        return
    names = [str(name) for name in order.body["sources"]]
    ipc.close_all(order.fds)
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        # Libraries print what they think of a machine, each time.
        os.dup2(null, stream)
    asked = Asked()
    for name in names:
        if name in _RUNS_PROGRAMS:
            asked.ask(name)
    libraries = [name for name in names if name not in _RUNS_PROGRAMS]
    if libraries:
        try:
            enter.enter(profiles.sensors(), parent)
        except SandboxError as error:
            asked.lacking |= dict.fromkeys(libraries, f"the sandbox does not work: {error}")
        else:
            for name in libraries:
                asked.ask(name)
    ipc.send(control, {"is": "reading", "reading": asked.reading.to_map(), "lacking": asked.lacking})


if __name__ == "__main__":
    serve()
    # Without waiting for threads: a library may have some that never end.
    os._exit(0)
