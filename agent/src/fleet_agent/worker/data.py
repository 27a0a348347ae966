"""The data loop: request frames in, response frames out, in order."""

import os
import socket
import threading
import time
from contextlib import suppress

from fleet_agent import frames
from fleet_agent.frames import FRAME_BYTES, LENGTH, FrameError
from fleet_agent.worker.batches import Answering, Arrived

_BUFFER_BYTES = 262_144
"""What may wait to run together; longer frames come one at a time, and gain nothing from company."""
_EXIT_BROKEN = 70


class FrameReader:
    """Cuts a stream into frame bodies; bodies are valid until :meth:`next` is called again."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._start = self._end = 0

    def next(self) -> memoryview | None:
        """The next body, or None at the end of the stream.

        Raises:
            FrameError: longer than FRAME_BYTES, or cut short.
        """
        if self._start == self._end:
            self._start = self._end = 0
        if not self._have(4):
            return None
        length = self._length()
        if not self._have(4 + length):
            raise FrameError("the stream ends inside a frame")
        return self._cut(length)

    def waiting(self) -> memoryview | None:
        """The next body if it is there already, and as a whole.

        Raises:
            FrameError: longer than FRAME_BYTES.
        """
        if not self._whole() and self._end < len(self._buffer):
            with suppress(BlockingIOError):
                self._end += self._sock.recv_into(self._buffer[self._end :], 0, socket.MSG_DONTWAIT)
        return self._cut(self._length()) if self._whole() else None

    def _whole(self) -> bool:
        have = self._end - self._start
        return have >= 4 and have >= 4 + self._length()

    def _length(self) -> int:
        (length,) = LENGTH.unpack_from(self._buffer, self._start)
        if length > FRAME_BYTES:
            raise FrameError(f"a frame of {length} bytes")
        return int(length)

    def _cut(self, length: int) -> memoryview:
        body = self._buffer[self._start + 4 : self._start + 4 + length]
        self._start += 4 + length
        return body

    def _have(self, wanted: int) -> bool:
        if self._start + wanted > len(self._buffer):
            kept = self._buffer[self._start : self._end]
            self._buffer = memoryview(bytearray(max(wanted, _BUFFER_BYTES)))
            self._buffer[: len(kept)] = kept
            self._start, self._end = 0, len(kept)
        while self._end - self._start < wanted:
            count = self._sock.recv_into(self._buffer[self._end :])
            if not count:
                return False
            self._end += count
        return True


def start(answering: Answering, fd: int) -> None:
    """Serve the stream socket ``fd`` in a thread, until its other end closes."""
    sock = socket.socket(fileno=fd)
    threading.Thread(target=_serve, args=(answering, sock), name="data", daemon=True).start()


def _serve(answering: Answering, sock: socket.socket) -> None:
    # The front may be gone or confused: the supervisor gives this worker a new socket, or ends it.
    with suppress(FrameError, ConnectionError), sock:
        reader = FrameReader(sock)
        while (body := reader.next()) is not None:
            arrived = [_arrived(body)]
            while len(arrived) < answering.most and (more := reader.waiting()) is not None:
                arrived.append(_arrived(more))
            for answer in answering.answers(arrived):
                sock.sendall(answer)


def _arrived(body: memoryview) -> Arrived:
    return Arrived(frames.parse_request(body), time.perf_counter_ns())


def exit_when_broken() -> None:
    """End the process when a thread fails: a worker that no longer answers must not look alive."""
    threading.excepthook = lambda _: os._exit(_EXIT_BROKEN)
