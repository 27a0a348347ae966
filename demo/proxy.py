"""A TCP proxy for bad links: slow, cut, silent or lying. One thread a direction; made for a handful of connections."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable

PIECE = 4096


class Proxy:
    """Listens on a free port of 127.0.0.1 and forwards to `target`. All knobs may be turned while it runs.

    rate: bytes per second and direction of all connections together; None: as fast as it goes.
    delay_s: added to every piece.
    silent: swallow everything, as a firewall does that drops packets; connections stay open.
    refuse: hang up on new connections.
    edit: called with (piece, towards the target?) and returns what is forwarded instead.
    """

    def __init__(self, target: tuple[str, int], *, rate: float | None = None, delay_s: float = 0.0) -> None:
        self.target = target
        self.rate = rate
        self.delay_s = delay_s
        self.silent = False
        self.refuse = False
        self.edit: Callable[[bytes, bool], bytes] | None = None
        self.forwarded = {True: 0, False: 0}
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._next_free = {True: 0.0, False: 0.0}
        self._closed = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, name=f"proxy {self.port}", daemon=True).start()

    def cut(self) -> None:
        """Break every connection now; new ones are accepted."""
        with self._lock:
            sockets, self._sockets = self._sockets, set()
        for one in sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.refuse:
                client.close()
                continue
            try:
                server = socket.create_connection(self.target, timeout=10)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            with self._lock:
                self._sockets |= {client, server}
            both = _Both(client, server)
            for source, sink, up in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pump, args=(source, sink, up, both), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, up: bool, both: "_Both") -> None:
        try:
            while piece := source.recv(PIECE):
                if self.silent:
                    continue
                self._pace(len(piece), up)
                if self.edit is not None:
                    piece = self.edit(piece, up)
                sink.sendall(piece)
                self.forwarded[up] += len(piece)
        except OSError:
            pass
        finally:
            if both.end():
                with self._lock:
                    self._sockets -= {source, sink}

    def _pace(self, size: int, up: bool) -> None:
        wait = self.delay_s
        if self.rate:
            with self._lock:
                now = time.monotonic()
                start = max(now, self._next_free[up])
                self._next_free[up] = start + size / self.rate
            wait += start + size / self.rate - now
        if wait > 0:
            time.sleep(wait)


class _Both:
    """The two sockets of one connection: shut when one direction ends, closed when both have."""

    def __init__(self, one: socket.socket, other: socket.socket) -> None:
        self._pair = (one, other)
        self._left = 2
        self._lock = threading.Lock()

    def end(self) -> bool:
        """Called once by each direction; True for the last."""
        with self._lock:
            self._left -= 1
            last = not self._left
        for one in self._pair:
            with contextlib.suppress(OSError):
                if last:
                    one.close()
                else:
                    one.shutdown(socket.SHUT_RDWR)
        return last
