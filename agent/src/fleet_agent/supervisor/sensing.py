"""The device's sensors, and what its owner wants done about heat.

Files are read here. Vendors' libraries and tools are asked by a process that lives for one answer: what they cost in
memory is given back, and one that hangs is ended.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from dunlin_contract.telemetry import Hardware
from fleet_agent import ipc
from fleet_agent.clock import Clock
from fleet_agent.config.power import Power
from fleet_agent.errors import line
from fleet_agent.hardware import kernel, policy, sources
from fleet_agent.hardware.reading import Reading
from fleet_agent.supervisor.child import Child
from fleet_agent.supervisor.log import log
from fleet_agent.supervisor.loop import Loop, Timer

_LOOK_S = 2.5
_ASK_S = 60.0
_LONGEST_ASK_S = 900.0
_ANSWER_S = 10.0
_OLD_S = 200.0
_WHY_CHARS = 200
_NOTHING = Hardware()


@dataclass(frozen=True, slots=True)
class Hearers:
    """Who hears of heat. ``tell``: an event for the server; ``heated``: act, or go back to normal."""

    tell: Callable[[str, str, str], None]
    heated: Callable[[bool], None]


@dataclass(slots=True)
class _Asked:
    """What vendors' sources said last: when, and which of them said nothing, with why."""

    at: float = 0.0
    reading: Reading = field(default_factory=Reading)
    lacking: dict[str, str] = field(default_factory=dict)


class Sensing:
    """Reads, judges, and has the judgement acted on. ``root``: where ``/`` is found."""

    def __init__(
        self, loop: Loop, clock: Clock, power: Power | None, hearers: Hearers, root: Path = kernel.ROOT
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._power = power
        self._hearers = hearers
        self._root = root
        self._verdict = policy.Verdict()
        self._asked = _Asked()
        self._pause_s = _ASK_S
        self._child: Child | None = None
        self._deadline: Timer | None = None

    def start(self) -> None:
        """Look from now on: often where there is a policy, else only when somebody wants to know."""
        self._ask()
        if self._power is not None:
            self._look()

    def close(self) -> None:
        """End what is being asked."""
        if self._child is not None:
            self._child.close()
            self._child = None

    @property
    def reading(self) -> Reading:
        """What all sensors say now; what vendors' sources said may be some minutes old."""
        files = kernel.read(self._root)
        fresh = self._clock.since_boot() - self._asked.at < _OLD_S
        return files.over(self._asked.reading) if fresh else files

    def hardware(self) -> Hardware | None:
        """For telemetry; None where no sensor says anything."""
        reading = self.reading
        said = Hardware(
            temperature_dc=reading.temperature_dc,
            throttled=reading.throttled or 0,
            power_mw=reading.power_mw,
            gpu_permille=reading.gpu_permille,
            power_mode=reading.power_mode or "",
            policy=self.policy,
        )
        return None if said == _NOTHING else said

    @property
    def policy(self) -> str:
        """The contract's word for what is done about heat now."""
        if self._power is None or not self._verdict.hot:
            return "normal"
        return "reduced" if self._power.actions - {"defer"} else "paused"

    def status(self) -> dict[str, object]:
        """For ``fleet-agent status``."""
        return {
            **self.reading.to_map(),
            "policy": self.policy,
            "why": self._verdict.why,
            "lacking": dict(self._asked.lacking),
        }

    def _look(self) -> None:
        assert self._power is not None
        before = self._verdict
        self._verdict = policy.judge(before, self.reading, self._power, self._clock.since_boot())
        if self._verdict.hot != before.hot:
            self._turned()
        self._loop.after(_LOOK_S, self._look)

    def _turned(self) -> None:
        assert self._power is not None
        if self._verdict.hot:
            doing = ", ".join(sorted(self._power.actions))
            code, text = "hot", f"the device is hot: {self._verdict.why}; in force: {doing}"
        else:
            code, text = "cool", "the device is cool again: everything is as usual"
        log(text)
        self._hearers.tell("note", code, text)
        self._hearers.heated(self._verdict.hot)

    def _ask(self) -> None:
        names = sources.present(self._root)
        if not names:
            self._loop.after(_LONGEST_ASK_S, self._ask)  # a driver may be loaded late
            return
        self._child = Child(self._loop, "fleet_agent.hardware", self._answered, partial(self._silent, names))
        self._child.send({"sources": list(names)})
        late = f"no answer in {_ANSWER_S:.0f} s"
        self._deadline = self._loop.after(_ANSWER_S, lambda: self._silent(names, late))

    def _answered(self, message: ipc.Message) -> None:
        ipc.close_all(message.fds)
        lacking = message.body.get("lacking")
        said = lacking if isinstance(lacking, dict) else {}
        why = {line(str(name))[:_WHY_CHARS]: line(str(text))[:_WHY_CHARS] for name, text in said.items()}
        self._finish(_Asked(self._clock.since_boot(), Reading.from_map(message.body.get("reading")), why))

    def _silent(self, names: tuple[str, ...], why: str) -> None:
        """The process hangs, or ended without a word."""
        self._finish(_Asked(self._clock.since_boot(), Reading(), dict.fromkeys(names, f"its library failed: {why}")))

    def _finish(self, asked: _Asked) -> None:
        self.close()
        if self._deadline is not None:
            self._deadline.cancel()
        for name, why in asked.lacking.items():
            if self._asked.lacking.get(name) != why:
                log(f"sensors: {name}: {why}")
        self._asked = asked
        useless = bool(asked.lacking) and not asked.reading.to_map()
        self._pause_s = min(_LONGEST_ASK_S, self._pause_s * 2) if useless else _ASK_S
        self._loop.after(self._pause_s, self._ask)
