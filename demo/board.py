"""Microcontrollers that are programs of this machine: the host port, and QEMU. Killing the program is a power cut."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeVar

from demo.firmware import Firmware
from demo.fleet import free_ports, wait_until
from demo.programs import ROOT, Program
from demo.said import Ears, Seen

T = TypeVar("T")
STATUS = '{"status": '
CUT, FAULT, USAGE = 75, 70, 64
"""Exit codes of the firmware: power was cut where it was told to, a rule of the flash was broken, a bad word."""

LOG_LINES = 25


class BoardError(Exception):
    """A board did not do what it was told; the text ends with the end of its log."""


class Simulated(ABC):
    """One device: its flash is the file ``image``; ``runtime`` is the process that lends it TFLM, where it has none."""

    simulated: ClassVar[bool] = True
    flash_bytes: ClassVar[int]
    patience: float = 1.0

    def __init__(self, name: str, directory: Path, firmware: Firmware, hardware_class: str) -> None:
        self.name = name
        self.hardware_class = hardware_class
        self.has_power_switch = True
        self.directory = directory
        self.image = directory / "flash"
        self.words: dict[str, object] = {}
        """What it is started with each time."""
        self._firmware = firmware
        (self._port,) = free_ports(1)
        self.address = f"socket://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._ears = Ears()
        self._tail: deque[str] = deque(maxlen=LOG_LINES)
        self._lender: Program | None = None
        directory.mkdir(parents=True, exist_ok=True)

    def prepare(self) -> None:
        """Blank flash."""
        self.stop()
        with open(self.image, "wb") as file:
            file.write(b"\xff" * self.flash_bytes)

    def start(self, **words: object) -> None:
        """Power on, with words of the command line besides those that it is always started with."""
        assert self._process is None
        self._ears = Ears()
        self._tail.clear()
        together = {**self.words, **words}
        if self._firmware.lent:
            together["runtime"] = self._runtime()
        argv = self._argv({key: value for key, value in together.items() if value is not None})
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0:exitcode=70", "UBSAN_OPTIONS": "print_stacktrace=1"},
        )
        threading.Thread(target=self._listen, args=(self._process, self._ears), daemon=True).start()

    def stop(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """End of the scenario: nothing is left running."""
        self.stop()
        if self._lender is not None:
            self._lender.stop()
            self._lender = None

    @property
    def seen(self) -> Seen:
        """What it said since the last start."""
        return self._ears.seen

    def wait(self, what: str, look: Callable[[Seen], T | None], timeout_s: float = 90.0) -> T:
        """Wait for something that the firmware says.

        Raises:
            BoardError: naming ``what``: it did not come in time, or the firmware ended without it.
        """

        def found_or_ended(seen: Seen) -> tuple[T | None] | None:
            found = look(seen)
            return (found,) if found or seen.exit_code is not None else None

        ears = self._ears
        answer = ears.wait(found_or_ended, timeout_s * self.patience)
        if answer is None or not answer[0]:
            why = f"not within {timeout_s * self.patience:g} s" if answer is None else f"ended ({ears.seen.exit_code})"
            raise BoardError(f"{self.name}: {what}: {why}; {ears.seen.status}\n" + self.log())
        return answer[0]

    def ended(self, timeout_s: float = 90.0) -> int:
        """Exit code of the firmware once it has stopped by itself, all of its lines heard."""
        self._ears.wait(lambda seen: seen.exit_code is not None, timeout_s * self.patience)
        code = self.seen.exit_code
        if code is None:
            raise BoardError(f"{self.name}: still runs; {self.seen.status}\n" + self.log())
        self._process = None
        return code

    def log(self) -> str:
        """The last lines that it wrote."""
        return "\n".join(self._tail)

    def snapshot(self, file: Path) -> None:
        """Keep a copy of its flash."""
        shutil.copyfile(self.image, file)

    def restore(self, file: Path) -> None:
        """Give it the flash of a snapshot."""
        assert self._process is None
        shutil.copyfile(file, self.image)

    def flash(self) -> bytes:
        """All of its flash."""
        return self.image.read_bytes()[: self.flash_bytes]

    @abstractmethod
    def _argv(self, words: Mapping[str, object]) -> Sequence[str]:
        """The command that is the board."""

    def _listen(self, process: "subprocess.Popen[bytes]", ears: Ears) -> None:
        assert process.stdout is not None
        with process.stdout as out:
            for raw in out:
                line = raw.decode(errors="replace").rstrip()
                if line.startswith(STATUS) and self._tail and self._tail[-1].startswith(STATUS):
                    self._tail.pop()  # of a run of them the last says it all
                self._tail.append(line)
                with contextlib.suppress(ValueError, TypeError):
                    ears.hear(json.loads(line))
        ears.ended(process.wait())

    def _runtime(self) -> Path:
        """Folder of the pipes to the process that lends the runtime, which is started first."""
        folder = self.directory / "runtime"
        if self._lender is None:
            folder.mkdir(exist_ok=True)
            tool = ROOT / "firmware_tflm" / "tools" / "lend-runtime"
            self._lender = Program(
                "lend-runtime", [sys.executable, str(tool), str(folder)], self.directory / "lent.log"
            )
            self._lender.start()
            wait_until("lend-runtime's pipes", (folder / "from").exists, 60)
        return folder


class HostBoard(Simulated):
    """The firmware as a process of this machine: the host port."""

    flash_bytes = 16 << 20

    def _argv(self, words: Mapping[str, object]) -> Sequence[str]:
        own = {"flash": self.image, "link": f"tcp:127.0.0.1:{self._port}"}
        return [str(self._firmware.path), *(f"{key}={value}" for key, value in {**own, **words}.items())]


@dataclass(frozen=True, slots=True)
class Machine:
    """``memory_bytes``: of the RAM whose first part stands for flash; QEMU gives each machine one size of it."""

    preset: str
    hardware_class: str
    memory_bytes: int


MACHINES: Mapping[str, Machine] = {
    "mps2-an386": Machine("m4", "cortex-m4", 16 << 20),
    "mps3-an547": Machine("m55", "cortex-m55", 2 << 30),
}


class QemuBoard(Simulated):
    """The firmware on a board that QEMU emulates: UART 0 is a TCP port, flash is RAM that a file holds."""

    flash_bytes = 4 << 20
    patience = 4.0

    def __init__(self, name: str, directory: Path, firmware: Firmware, machine: str) -> None:
        super().__init__(name, directory, firmware, MACHINES[machine].hardware_class)
        self._machine = machine

    def _argv(self, words: Mapping[str, object]) -> Sequence[str]:
        size = MACHINES[self._machine].memory_bytes
        with open(self.image, "r+b") as file:
            file.truncate(size)  # sparse
        line = "".join(f",arg={key}={value}" for key, value in words.items())
        return [
            *("qemu-system-arm", "-machine", f"{self._machine},memory-backend=flash"),
            *("-object", f"memory-backend-file,id=flash,share=on,size={size},mem-path={self.image}"),
            *("-display", "none", "-monitor", "none", "-nodefaults"),
            *("-serial", f"tcp:127.0.0.1:{self._port},server=on,wait=off"),
            *("-semihosting-config", f"enable=on,target=native,arg=dunlin{line}"),
            *("-kernel", str(self._firmware.path)),
        ]

    def snapshot(self, file: Path) -> None:
        """See :class:`Simulated`; without the memory that is no flash."""
        file.write_bytes(self.flash())

    def flash(self) -> bytes:
        """See :class:`Simulated`."""
        with open(self.image, "rb") as file:
            return file.read(self.flash_bytes)
