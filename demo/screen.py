"""What the demo shows: a list of steps, and under it the devices as they are now."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

Claim = tuple[str, str, bool]
"""What is claimed, what was found on the devices, and whether that is so."""


@dataclass
class DeviceLine:
    """One device as the screen shows it."""

    name: str
    about: str
    serving: str = "-"
    phase: str = "-"
    requests: int = 0
    failures: int = 0
    slowest_ms: float = 0.0


@dataclass
class _Step:
    text: str
    started: float
    seconds: float | None = None
    result: str = ""


@dataclass
class Screen:
    """Live on a terminal; one line a step where the output goes to a file."""

    refresh: Callable[[], list[DeviceLine]]
    console: Console = field(default_factory=Console)

    def __post_init__(self) -> None:
        if not self.console.is_terminal:
            self.console.width = 140
        self._steps: list[_Step] = []
        self._devices: list[DeviceLine] = []
        self._live = Live(get_renderable=self._draw, console=self.console, refresh_per_second=4, transient=False)
        self._ending = threading.Event()
        self._started = time.monotonic()
        self._watcher = threading.Thread(target=self._watch, name="screen", daemon=True)

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._live.start()
            self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        if self._live.is_started:
            self._watcher.join()
            self._live.stop()

    @contextmanager
    def step(self, text: str) -> Iterator[Callable[[str], None]]:
        """A step under way; call what it yields with a few words of result."""
        step = _Step(text, time.monotonic())
        self._steps.append(step)

        def say(result: str) -> None:
            step.result = result

        yield say
        step.seconds = time.monotonic() - step.started
        if not self.console.is_terminal:
            self.console.print(self._line(step))

    def say(self, text: str) -> None:
        """A line that stays above everything else, in one piece: it may be a command to copy."""
        self.console.print(text, highlight=False, soft_wrap=True)

    def _watch(self) -> None:
        while not self._ending.wait(0.5):
            self._devices = self.refresh()

    def _line(self, step: _Step) -> Text:
        mark, style = ("✓", "green") if step.seconds is not None else ("…", "yellow")
        line = Text(f" {mark} ", style=style)
        seconds = step.seconds if step.seconds is not None else time.monotonic() - step.started
        line.append(step.text, style="default").append(f"  {seconds:.1f} s", style="dim")
        if step.result:
            line.append(f"  {step.result}", style="cyan")
        return line

    def _draw(self) -> RenderableType:
        lines: list[RenderableType] = [self._line(step) for step in self._steps]
        if self._devices:
            table = Table("device", "", "serving", "update", "requests", "failed", "slowest", title_justify="left")
            for one in self._devices:
                failed = Text(str(one.failures), style="red" if one.failures else "green")
                slowest = f"{one.slowest_ms:.0f} ms"
                table.add_row(one.name, one.about, one.serving, one.phase, str(one.requests), failed, slowest)
            lines.append(table)
        return Group(*lines)


def claims_table(claims: list[Claim]) -> Table:
    """The table at the end."""
    table = Table("claim", "found on the devices", "", title="checked against the devices", title_justify="left")
    for claim, found, holds in claims:
        table.add_row(claim, found, Text("yes", style="green") if holds else Text("NO", style="bold red"))
    return table
