"""Reading sockets without a new buffer for every read.

asyncio's plain protocols get each read in 256 KiB of its own, which the C library maps, shrinks and unmaps again: three
system calls and a page fault for a few hundred bytes, a quarter of what a small request costs.
"""

import asyncio

_SPACE = memoryview(bytearray(256 * 1024))


class Reading(asyncio.BufferedProtocol):
    """A protocol that uses up what was read before it returns: all of them share one buffer."""

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio asks for as much as there is
        return _SPACE

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(_SPACE[:nbytes])

    def data_received(self, data: memoryview) -> None:
        """Bytes came; they are overwritten once this returns."""
        raise NotImplementedError
