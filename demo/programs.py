"""Child programs: started with a log file each, stopped in reverse order, none left behind."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

COMMANDS = Path(sys.executable).parent
"""Where `fleet-server`, `packager` and `fleet-agent` are installed."""

ROOT = Path(__file__).resolve().parent.parent
STOP_S = 10.0


class ProgramError(Exception):
    """A program ended, failed or did not become ready. The text ends with the last lines of its log."""


def command(name: str, *arguments: object) -> list[str]:
    """Argument list of one of Dunlin's own commands."""
    return [str(COMMANDS / name), *map(str, arguments)]


def run(argv: Sequence[str], *, timeout_s: float = 120.0, stdin: str = "", env: Mapping[str, str] | None = None) -> str:
    """Run a command to its end and return what it printed.

    Raises:
        ProgramError: exit status other than 0, with what the command said of it.
    """
    environment = {**os.environ, **(env or {})}
    done = subprocess.run(
        argv, input=stdin, capture_output=True, text=True, timeout=timeout_s, env=environment, cwd=ROOT, check=False
    )
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip()
        name = " ".join([Path(argv[0]).name, *argv[1:2]])
        raise ProgramError(f"{name} failed with status {done.returncode}: {said}")
    return done.stdout


class Program:
    """One long-running program. It gets a session of its own, so that Ctrl-C reaches only the demo, which then stops
    all in order; and the kernel kills it if the demo itself is killed."""

    def __init__(self, name: str, argv: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.argv = list(argv)
        self.log = log
        self.env = dict(env or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ProgramError(f"{self.name} is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self.argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.env},
                start_new_session=True,
            )

    def wait_for(self, pattern: str, timeout_s: float = 60.0) -> re.Match[str]:
        """Wait until a line of the log since the last start matches.

        Raises:
            ProgramError: the program ended first, or the time is over.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            running = self.running
            if match := re.search(pattern, self.output(), re.MULTILINE):
                return match
            if not running:
                raise ProgramError(f"{self.name} ended before it was ready:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise ProgramError(f"{self.name} did not show {pattern!r} in {timeout_s:g} s:\n{self.tail()}")
            time.sleep(0.05)

    def output(self) -> str:
        """What the program wrote since it was last started."""
        if not self.log.exists():
            return ""
        with open(self.log, "rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def tail(self, lines: int = 15) -> str:
        return "\n".join(self.output().splitlines()[-lines:])

    def stop(self) -> None:
        """SIGTERM, and SIGKILL where that does not help in time."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def wait_for_end(self, timeout_s: float = 60.0) -> int:
        """Exit status once the program has ended by itself."""
        if self._process is None:
            raise ProgramError(f"{self.name} is not running")
        return self._process.wait(timeout_s)


def descendants(pid: int) -> list[int]:
    """`pid` and every process below it, by /proc."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for one in found:
        found.extend(children.get(one, []))
    return found
