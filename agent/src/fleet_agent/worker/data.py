"""The data loop: request frames in, response frames out, one at a time and in order."""

import os
import socket
import threading
from contextlib import suppress

from fleet_agent import frames
from fleet_agent.frames import FRAME_BYTES, LENGTH, FrameError, RequestError, Status
from fleet_agent.runtimes.errors import ModelRunError
from fleet_agent.worker.model import Model

_BUFFER_BYTES = 65_536
_EXIT_BROKEN = 70


class FrameReader:
    """Cuts a stream into frame bodies; a body is valid until the next one is asked for."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._start = self._end = 0

    def next(self) -> memoryview | None:
        """The next body, or None at the end of the stream.

        Raises:
            FrameError: longer than FRAME_BYTES, or cut short.
        """
        if not self._have(4):
            return None
        (length,) = LENGTH.unpack_from(self._buffer, self._start)
        if length > FRAME_BYTES:
            raise FrameError(f"a frame of {length} bytes")
        if not self._have(4 + length):
            raise FrameError("the stream ends inside a frame")
        body = self._buffer[self._start + 4 : self._start + 4 + length]
        self._start += 4 + length
        return body

    def _have(self, wanted: int) -> bool:
        if self._start == self._end:
            self._start = self._end = 0
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


def answer(model: Model, body: memoryview) -> bytes:
    """The response frame to one request body.

    Raises:
        FrameError: not a request body.
    """
    request = frames.parse_request(body)
    try:
        result = model.infer(request.tensors)
    except RequestError as error:
        return frames.pack_unserved(request.id, Status.REFUSED, 0, str(error))
    except ModelRunError as error:
        return frames.pack_unserved(request.id, Status.FAILED, 0, str(error))
    return frames.pack_served(request.id, result.status, result.run_us, result.tensors)


def start(model: Model, fd: int) -> None:
    """Serve the stream socket ``fd`` in a thread, until its other end closes."""
    sock = socket.socket(fileno=fd)
    threading.Thread(target=_serve, args=(model, sock), name="data", daemon=True).start()


def _serve(model: Model, sock: socket.socket) -> None:
    # The front may be gone or confused: the supervisor gives this worker a new socket, or ends it.
    with suppress(FrameError, ConnectionError), sock:
        reader = FrameReader(sock)
        while (body := reader.next()) is not None:
            sock.sendall(answer(model, body))


def exit_when_broken() -> None:
    """End the process when a thread fails: a worker that no longer answers must not look alive."""
    threading.excepthook = lambda _: os._exit(_EXIT_BROKEN)
