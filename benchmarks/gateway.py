"""Objects through the gateway to a serial line, against a bare pyserial program that sends the same bytes.

The gateway's way: the agent in a process of its own brings each 4 KiB chunk from a real broker over mutual TLS, checks
it, and answers the board's requests of 1 KiB in frames. The bare way: a process that writes the bytes to the same kind
of line, once as a stream and once 1 KiB at a time on request. The line is a pseudo-terminal, as fast as this machine;
then one that the reader holds to 115,200 baud, the usual serial line, where the frames' own bytes are what counts.
"""

import os
import pty
import secrets
import select
import statistics
import subprocess
import sys
import tempfile
import time
import tty
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from dunlin_contract import link, merkle  # noqa: E402 - the path is set above
from tests.agent.fleet import Agent, Fleet, until  # noqa: E402

ROUNDS = 3
CHUNK_BYTES = 4096 + 16
LINES = ((None, 512, "as fast as it goes"), (115_200 / 10, 16, "115,200 baud"))
"""Bytes a second, chunks, name."""

BARE = """
import sys, serial
port = serial.serial_for_url(sys.argv[1], baudrate=115200)
data, on_request = open(sys.argv[2], "rb").read(), sys.argv[3] == "request"
port.write(b"!")
for at in range(0, len(data), 1024):
    if on_request or not at:
        port.read(1)
    port.write(data[at : at + 1024])
port.read(1)
"""


class Terminal:
    """A line, its far end in our hands; ``pace``: bytes a second in each direction, None for no limit."""

    def __init__(self, pace: float | None) -> None:
        self._pace = pace
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.name = os.ttyname(self._slave)

    def read(self) -> bytes:
        """What is there, once something is."""
        if not select.select([self._master], [], [], 30)[0]:
            raise RuntimeError("nothing comes over the line")
        # In small portions when it is slow, so that waiting for them is not lumped.
        data = os.read(self._master, 65536 if self._pace is None else 64)
        self._wait(len(data))
        return data

    def write(self, data: bytes) -> None:
        """Send all of it."""
        self._wait(len(data))
        os.write(self._master, data)

    def _wait(self, count: int) -> None:
        if self._pace is not None:
            time.sleep(count / self._pace)

    def close(self) -> None:
        """End the line."""
        os.close(self._slave)
        os.close(self._master)


def through_gateway(fleet: Fleet, chunks: list[bytes], pace: float | None) -> float:
    """Seconds until all chunks are there."""
    terminal = Terminal(pace)
    decoder = link.Decoder()
    (fleet.folder / "agent.log").unlink(missing_ok=True)
    try:
        with Agent(fleet, arguments=["--line", terminal.name]) as agent:
            until(lambda: "connected to the broker" in agent.text(), "the agent is there")
            until(lambda: f"{terminal.name}: open" in agent.text(), "the line is open")
            terminal.write(link.encode(link.Hello(True, secrets.token_bytes(16), "bench").to_body()))
            while not any(isinstance(link.parse(body), link.Welcome) for body in decoder.feed(terminal.read())):
                pass
            start = time.perf_counter()
            for chunk in chunks:
                name, got = merkle.leaf(chunk), b""
                while len(got) < len(chunk):
                    end = min(len(chunk), len(got) + link.GET_BYTES)
                    terminal.write(link.encode(link.Get(name, len(got), end - len(got)).to_body()))
                    while len(got) < end:
                        for body in decoder.feed(terminal.read()):
                            message = link.parse(body)
                            assert isinstance(message, link.Data)
                            got += message.data
                assert got == chunk
            return time.perf_counter() - start
    finally:
        terminal.close()


def bare(folder: Path, chunks: list[bytes], pace: float | None, how: str) -> float:
    """Seconds until a pyserial program has sent the same bytes: ``stream`` or ``request``."""
    data = b"".join(chunks)
    (folder / "data").write_bytes(data)
    terminal = Terminal(pace)
    process = subprocess.Popen([sys.executable, "-c", BARE, terminal.name, str(folder / "data"), how])
    try:
        assert terminal.read() == b"!"
        start = time.perf_counter()
        got = 0
        terminal.write(b"?")
        while got < len(data):
            before = got
            got += len(terminal.read())
            if how == "request" and got // 1024 > before // 1024 and got < len(data):
                terminal.write(b"?")
        seconds = time.perf_counter() - start
        terminal.write(b"?")
        process.wait(30)
        return seconds
    finally:
        process.kill()
        process.wait()
        terminal.close()


def measure(folder: Path) -> None:
    """Print a row for each line."""
    fleet = Fleet(folder)
    fleet.start()
    try:
        fleet.enrol()
        print(f"chunks of {CHUNK_BYTES} bytes to a board, KB/s, median of {ROUNDS} rounds")
        print(f"{'line':<20}{'gateway':>10}{'bare, on request':>18}{'ratio':>7}{'bare, stream':>14}{'ratio':>8}")
        for pace, count, name in LINES:

            def rate(work: Callable[[list[bytes]], float], count: int = count) -> float:
                rounds = []
                for _ in range(ROUNDS):
                    chunks = [secrets.token_bytes(CHUNK_BYTES) for _ in range(count)]
                    for chunk in chunks:
                        fleet.publish_object(merkle.leaf(chunk), chunk)
                    rounds.append(count * CHUNK_BYTES / work(chunks) / 1000)
                return statistics.median(rounds)

            ours = rate(lambda chunks, pace=pace: through_gateway(fleet, chunks, pace))
            asked = rate(lambda chunks, pace=pace: bare(folder, chunks, pace, "request"))
            stream = rate(lambda chunks, pace=pace: bare(folder, chunks, pace, "stream"))
            print(f"{name:<20}{ours:>10.1f}{asked:>18.1f}{ours / asked:>7.2f}{stream:>14.1f}{ours / stream:>8.3f}")
    finally:
        fleet.stop()


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder))


if __name__ == "__main__":
    main()
