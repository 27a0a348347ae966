"""Progress of long work on standard error: a moving line on a terminal, one line a step elsewhere."""

import sys
import time
from typing import TextIO

_REDRAW_S = 0.1
_BAR = 24


class Progress:
    """Says what is being done. Standard output stays free for results."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._moving = self._stream.isatty()
        self._drawn = 0.0
        self._open = False

    def step(self, text: str) -> None:
        """A new step begins."""
        self._end_line()
        print(text, file=self._stream, flush=True)

    def advance(self, text: str, done: int, total: int) -> None:
        """``done`` of ``total`` units; drawn on a terminal only, ten times a second at most."""
        now = time.monotonic()
        if not self._moving or (done < total and now - self._drawn < _REDRAW_S):
            return
        self._drawn = now
        share = done / total if total else 1.0
        bar = "#" * round(share * _BAR)
        print(f"\r  {text} [{bar:<{_BAR}}] {share:4.0%}", end="", file=self._stream, flush=True)
        self._open = True
        if done >= total:
            self._end_line()

    def _end_line(self) -> None:
        if self._open:
            print(file=self._stream)
            self._open = False


def size(count: int) -> str:
    """Bytes for people."""
    amount = float(count)
    for unit in ("bytes", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "bytes" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def duration(microseconds: int) -> str:
    """Microseconds for people."""
    if microseconds < 1000:
        return f"{microseconds} µs"
    return f"{microseconds / 1000:.1f} ms" if microseconds < 1_000_000 else f"{microseconds / 1_000_000:.1f} s"
