"""A worker's end of a data socket that answers what a test says, in a thread."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from fleet_agent import frames
from fleet_agent.frames import Request
from fleet_agent.worker.data import FrameReader


class FakeWorker:
    """``answer`` gets each request and returns a whole frame; ``data`` is the front's end, as a real worker's."""

    def __init__(self, answer: Callable[[Request], bytes]) -> None:
        self.data, self._mine = socket.socketpair()
        self.requests: list[Request] = []
        self._answer = answer
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with suppress(OSError, frames.FrameError), self._mine:
            reader = FrameReader(self._mine)
            while (body := reader.next()) is not None:
                request = frames.parse_request(body)
                if isinstance(request.content, frames.Image):
                    image = request.content
                    request = Request(request.id, image._replace(data=bytes(image.data)))
                self.requests.append(request)
                self._mine.sendall(self._answer(request))
