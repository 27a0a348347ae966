"""Objects from bundle files in a folder that its owner named: a USB stick, carried to where no network is."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from fleet_agent.carriers.base import Locate, Place, Teller
from fleet_agent.carriers.folder import Found, Piece, Reader, Told
from fleet_agent.supervisor.loop import Loop

LOOK_S = 5.0
PATIENCE_S = 30.0
"""For one look or one reading; after that the others take over until the stick answers."""
_PIECES = 64
_BYTES = 8 << 20

Desired = Callable[[], Mapping[bytes, bytes]]
"""Gives the releases that the device is to have or to try, by the names of their manifests."""


class UsbCarrier:
    """A :class:`fleet_agent.carriers.base.Source`. It looks into the folder now and then, and whenever it may help."""

    kind = "usb"

    def __init__(
        self, loop: Loop, teller: Teller, locate: Locate, desired: Desired, make: Callable[[Told], Reader]
    ) -> None:
        self._loop = loop
        self._teller = teller
        self._locate = locate
        self._desired = desired
        self._reader = make(self)
        self._wanted: dict[bytes, None] = {}
        self._there = Found()
        self._busy_since: float | None = None
        self._stuck = False
        self._closed = False
        self.why = ""

    def start(self) -> None:
        """Begin looking."""
        self._tick()

    def look(self) -> None:
        """Look now: the device is to have something else than before."""
        if self._busy_since is None and not self._closed:
            self._look()

    def close(self) -> None:
        """End the thread."""
        self._closed = True
        self._reader.close()

    def want(self, names: Sequence[bytes]) -> None:
        self._wanted = dict.fromkeys(names)
        self._move()

    def corrupt(self, name: bytes) -> None:
        self._wanted[name] = None

    def offers(self, name: bytes, place: Place | None) -> bool:
        return not self._stuck and self._piece(name, place) is not None

    # The reader tells, in its own thread.

    def found(self, found: Found) -> None:
        self._loop.post(partial(self._looked, found))

    def piece(self, name: bytes, data: bytes) -> None:
        self._loop.post(partial(self._came, name, data))

    def ended(self, lost: Sequence[bytes], why: str) -> None:
        self._loop.post(partial(self._over, lost, why))

    # And this in the loop's.

    def _piece(self, name: bytes, place: Place | None) -> Piece | None:
        if place is None:
            return self._there.objects.get(name)
        bundle = self._there.bundles.get(place.release)
        if bundle is None:
            return None
        file, chunks = bundle
        return Piece(file, chunks + place.before + place.offset, place.length)

    def _tick(self) -> None:
        """Every few seconds: look again, or see that the last thing takes too long."""
        if self._closed:
            return
        if self._busy_since is None:
            self._look()
        elif not self._stuck and time.monotonic() - self._busy_since > PATIENCE_S:
            self._stuck, self.why = True, "the folder does not answer"
            self._teller.changed()
        self._loop.after(LOOK_S, self._tick)

    def _look(self) -> None:
        self._busy_since = time.monotonic()
        self._reader.look(self._desired())

    def _looked(self, found: Found) -> None:
        before, self._there = self._there, found
        self._idle(found.trouble)
        if (found.objects, found.bundles) != (before.objects, before.bundles):
            self._teller.changed(fresh=True)
        self._move()

    def _move(self) -> None:
        if self._busy_since is not None:
            return
        pieces: dict[bytes, Piece] = {}
        size = 0
        for name in self._wanted:
            piece = self._piece(name, self._locate(name))
            if piece is None:
                continue
            if pieces and (len(pieces) == _PIECES or size + piece.length > _BYTES):
                break
            pieces[name] = piece
            size += piece.length
        if pieces:
            self._busy_since = time.monotonic()
            self._reader.read(pieces)

    def _came(self, name: bytes, data: bytes) -> None:
        if name in self._wanted:
            del self._wanted[name]
            self._teller.arrived(name, data)

    def _over(self, lost: Sequence[bytes], why: str) -> None:
        self._idle(why)
        for name in lost:
            if self._wanted.pop(name, name) is None:
                self._teller.gave_up(name)
        if lost:
            # Pulled out, most likely: what is there now?
            self._look()
        else:
            self._move()

    def _idle(self, why: str) -> None:
        self._busy_since = None
        self.why = why
        if self._stuck:
            self._stuck = False
            self._teller.changed()
