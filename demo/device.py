"""One device of the demo: an agent in a folder of its own, and ways to look at it that do not go through the server."""

import contextlib
import importlib.util
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from demo.programs import Program, command, descendants, run

MODEL = "digits"


def _load_traffic() -> ModuleType:
    """The example's traffic client, which is a script and no package."""
    path = Path(__file__).resolve().parent.parent / "examples" / "digits" / "traffic.py"
    spec = importlib.util.spec_from_file_location("digits_traffic", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["digits_traffic"] = module
    spec.loader.exec_module(module)
    return module


traffic = _load_traffic()


class Device:
    """An agent: `directory` is its whole disk, `port` its local API, `lines` those of microcontrollers behind it."""

    def __init__(
        self,
        name: str,
        directory: Path,
        port: int,
        runtimes: Sequence[str],
        broker_port: int | None,
        log: Path,
        lines: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.directory = directory
        self.address = f"127.0.0.1:{port}"
        argv = command("fleet-agent", "--debug", "run", "--state-dir", directory, "--listen", self.address)
        for runtime in runtimes:
            argv += ["--runtime", runtime]
        for line in lines:
            argv += ["--line", line]
        if broker_port is not None:
            argv += ["--broker", f"127.0.0.1:{broker_port}"]
        self.program = Program(name, argv, log)

    def enrol(self, token: str, env: Mapping[str, str] | None = None) -> None:
        """Enrol with a claim token, which goes in by standard input: arguments can be read by every user."""
        arguments = ["--state-dir", self.directory, "--id", self.name, "--token-file", "-"]
        run(command("fleet-agent", "enroll", *arguments), stdin=token, env=env)

    def start(self, env: Mapping[str, str] | None = None) -> None:
        self.program.env = dict(env or {})
        self.program.start()

    def stop(self) -> None:
        self.program.stop()

    def kill(self) -> None:
        """As a power cut would."""
        self.program.kill()

    def status(self) -> dict[str, Any]:
        """What `fleet-agent status` says."""
        return dict(json.loads(run(command("fleet-agent", "status", "--state-dir", self.directory, "--json"))))

    def hears(self, line: str) -> bool:
        """Whether a microcontroller answers on one of its serial lines."""
        return any(one["line"] == line and one["online"] for one in self.status().get("lines", []))

    def model(self) -> dict[str, Any]:
        """The device's own word about its model; empty where it has none."""
        return dict(self.status()["models"].get(MODEL, {}))

    def ready(self) -> bool:
        client = traffic.Client(self.address)
        try:
            return bool(client.ready())
        finally:
            client.close()

    def answers(self) -> list[Any]:
        """The device's answers to the 450 test images, over its local API."""
        client = traffic.Client(self.address, binary=True)
        try:
            return list(traffic.predict(client, traffic.TestSet.load()))
        finally:
            client.close()

    def pids(self) -> list[int]:
        """Every process of the device."""
        return descendants(self.program.pid) if self.program.running else []

    def memory_bytes(self) -> int:
        """Resident memory of all its processes, shared pages counted once a process."""
        total = 0
        for pid in self.pids():
            with contextlib.suppress(FileNotFoundError):
                total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
        return total

    def files_with(self, needles: Sequence[bytes]) -> list[Path]:
        """Files on the device's disk that hold any of `needles`."""
        found = []
        for path in sorted(self.directory.rglob("*")):
            if path.is_file():
                with contextlib.suppress(FileNotFoundError):
                    data = path.read_bytes()
                    if any(needle in data for needle in needles):
                        found.append(path)
        return found

    def memory_with(self, needles: Sequence[bytes]) -> list[str]:
        """Processes of the device that have any of `needles` in their memory, or in a file that they hold open.

        Raises:
            PermissionError: an agent's memory is closed to all but root.
        """
        return [name for pid in self.pids() if (name := _found_in(pid, needles)) is not None]


PIECE = 4 * 1024 * 1024
OVERLAP = 4096


def _found_in(pid: int, needles: Sequence[bytes]) -> str | None:
    """Where in a process the first needle was found, None if nowhere."""
    for name, data in _memory(pid):
        if any(needle in data for needle in needles):
            return f"process {pid}, {name}"
    return None


def _memory(pid: int) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of all that a process has mapped or open: /proc/PID/maps, mem and fd."""
    try:
        maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
        memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    except FileNotFoundError:
        return  # it has ended
    try:
        for line in maps:
            span, mode, *_ = line.split()
            if "r" in mode and "[v" not in line:  # [vvar] and [vdso] belong to the kernel
                start, end = (int(part, 16) for part in span.split("-"))
                yield from ((line[:25], piece) for piece in _pieces(memory, start, end))
    finally:
        os.close(memory)
    for entry in _listed(Path(f"/proc/{pid}/fd")):
        with contextlib.suppress(OSError):
            if entry.is_file() and entry.stat().st_size:
                yield f"descriptor {entry.name}", entry.read_bytes()


def _pieces(memory: int, start: int, end: int) -> Iterator[bytes]:
    """A mapping's bytes in pieces that overlap, so that nothing hides on a border."""
    at = start
    while at < end:
        try:
            piece = os.pread(memory, min(PIECE, end - at), at)
        except (OSError, OverflowError):
            return
        if not piece:
            return
        yield piece
        if at + len(piece) >= end:
            return
        at += max(1, len(piece) - OVERLAP)


def _listed(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []
