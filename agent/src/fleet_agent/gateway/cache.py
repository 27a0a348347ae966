"""Objects that went through lately. They are public (ciphertext, or signed), so every line may have them."""

from collections import OrderedDict


class Cache:
    """At most ``most_bytes`` of objects, in memory; the longest unused goes first.

    Not on the disk: after a restart the broker still has what a child lacks, and flash is spared.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._objects: OrderedDict[bytes, bytes] = OrderedDict()
        self.held_bytes = 0

    def get(self, name: bytes) -> bytes | None:
        """The object, or None."""
        data = self._objects.get(name)
        if data is not None:
            self._objects.move_to_end(name)
        return data

    def put(self, name: bytes, data: bytes) -> None:
        """Keep an object whose name was checked."""
        self.held_bytes += len(data) - len(self._objects.pop(name, b""))
        self._objects[name] = data
        while self.held_bytes > self._most_bytes:
            _, dropped = self._objects.popitem(last=False)
            self.held_bytes -= len(dropped)
