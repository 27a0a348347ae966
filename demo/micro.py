"""The microcontroller of the demo: a simulated board on a serial line of one of the devices, and the claims on it.

What it says itself comes from its firmware's own lines, and from what goes over its serial line, never from the server.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from demo import application, reference
from demo.board import HostBoard, QemuBoard, Simulated
from demo.firmware import Firmware
from demo.line import Tap
from demo.proxy import Proxy
from demo.said import Seen
from demo.screen import Claim
from dunlin_contract.errors import ContractError

LINE_BYTES_S = 11_520
"""115,200 Bd, with a start and a stop bit around each byte."""
MACHINE = "mps2-an386"
ABOUT = {"m4": "Cortex-M4 in QEMU", "host": "C library"}
ANSWERS = 4
"""Inferences of each release of which a board tells the outputs."""


class Microcontroller:
    """Blank at first. `address` is its line, as its gateway is told. `releases`: version -> digest, known by then."""

    def __init__(
        self, name: str, directory: Path, preset: str, firmware: Firmware, releases: Mapping[str, str]
    ) -> None:
        self.name = name
        self.about = ABOUT[preset]
        self._releases = releases
        self._board: Simulated
        if preset == "host":
            self._board = HostBoard(name, directory, firmware, "host")
        else:
            self._board = QemuBoard(name, directory, firmware, MACHINE)
        self._board.words["predict"] = 1
        self._board.prepare()
        self._tap = Tap()
        host, _, port = self._board.address.removeprefix("socket://").rpartition(":")
        self._line = Proxy((host, int(port)), rate=LINE_BYTES_S)
        self._line.edit = self._overhear
        self.address = f"socket://127.0.0.1:{self._line.port}"

    def start(self) -> None:
        """Power on."""
        self._board.start()

    def stop(self) -> None:
        """End of the demo."""
        self._board.close()
        self._line.close()

    def version(self) -> str:
        """What it serves."""
        digest = self._board.seen.status.serving
        return next((version for version, one in self._releases.items() if one == digest), "-")

    def served(self) -> int:
        """Inferences since it was switched on."""
        return self._board.seen.status.served

    def claim_answers(self, version: str, when: str) -> Claim:
        """Its first answers since it serves `version` are those of bare TFLM to the same inputs."""
        release = self._releases[version]

        def look(seen: Seen) -> list[Mapping[str, Any]]:
            last = seen.outputs[-ANSWERS:]
            return last if len(last) == ANSWERS and all(one["release"] == release for one in last) else []

        told = self._board.wait(f"{ANSWERS} answers of {version}", look)
        expected = application.outputs(reference.model_file(version, "litert"), [int(one["k"]) for one in told])
        same = sum(one["values"] == [want.hex() for want in wants] for one, wants in zip(told, expected, strict=True))
        claim = f"{self.name} ({self.about}) predicts as {version} does {when}"
        return claim, f"{same} of {ANSWERS} equal to the last byte", same == ANSWERS

    def claim_self_test(self, version: str) -> Claim:
        """The release has passed its self-test since the board was switched on."""
        results = [one["ok"] for one in self._board.seen.self_tests if one["release"] == self._releases[version]]
        passed = results[-1:] == [True]
        claim = f"{version} passed its signed self-test on {self.name} itself"
        return claim, "passed" if passed else "not passed", passed

    def lose_power(self, version: str) -> Claim:
        """Cut its power in the middle of its update, and give it back. `version` is what it serves until then."""
        seen = self._board.wait("the middle of the update", lambda seen: seen if _in_the_middle(seen) else None)
        had = seen.status.have
        self._board.stop()
        self._board.start()
        tests = self._board.wait("its self-test after the power cut", lambda seen: seen.self_tests)
        self._board.wait("what it serves after the power cut", lambda seen: seen.status.serving)
        serves, tested = self.version(), tests[0]["ok"] and tests[0]["release"] == self._releases[version]
        kept = self._board.wait("the rest of its update", lambda seen: seen.status.need and seen.status.have)
        found = f"{serves}, self-test {'passed' if tested else 'not passed'}, {kept} of {seen.status.need} chunks kept"
        claim = f"power fails in the middle of {self.name}'s update: it comes back with {version} and goes on"
        return claim, found, serves == version and tested and kept >= had

    def claim_signed(self, gateway: str) -> Claim:
        """Every report and event that went over its line is signed, and no report is told twice."""
        claim = f"all that {self.name} says through {gateway} is signed by the key that it enrolled with"
        try:
            numbers, events = self._tap.signed(self._tap.enrolment().spki)
        except ContractError as error:
            return claim, str(error), False
        rising = numbers == sorted(set(numbers))
        found = f"{len(numbers)} reports and {events} events on its line, all verified"
        return claim, found if rising else "report numbers do not rise", rising and bool(numbers) and events > 0

    def _overhear(self, piece: bytes, towards_the_board: bool) -> bytes:
        if not towards_the_board:
            self._tap.hear(piece)
        return piece


def _in_the_middle(seen: Seen) -> bool:
    status = seen.status
    return status.phase == "downloading" and status.need > status.have >= status.need / 3
