"""Rules for :class:`hil.liar.Liar`: what a bad line or a bad gateway does."""

import random
import threading
from collections.abc import Collection, Iterable

from dunlin_contract import link
from hil.liar import Noise, Rule


class Corrupt:
    """Turns one bit over in the first ``times`` pieces of each of these objects."""

    def __init__(self, names: Collection[bytes], times: int = 1) -> None:
        self._left = {name[: link.PREFIX_BYTES]: times for name in names}
        self.done = 0

    def __call__(self, message: link.Message) -> Iterable[link.Message]:
        if isinstance(message, link.Data) and message.data and self._left.get(message.prefix, 0) > 0:
            self._left[message.prefix] -= 1
            self.done += 1
            flipped = bytes([message.data[0] ^ 1]) + message.data[1:]
            return (link.Data(message.prefix, message.offset, flipped),)
        return (message,)


class Withhold:
    """Says NONE to the first ``times`` pieces of anything."""

    def __init__(self, times: int) -> None:
        self._left = times
        self.done = 0

    def __call__(self, message: link.Message) -> Iterable[link.Message]:
        if isinstance(message, link.Data) and self.done < self._left:
            self.done += 1
            return (link.Nothing(message.prefix),)
        return (message,)


class Reorder:
    """Holds one message back until the next has gone, and says every third twice."""

    def __init__(self) -> None:
        self._held: link.Message | None = None
        self.done = 0

    def __call__(self, message: link.Message) -> Iterable[link.Message]:
        self.done += 1
        if self.done % 3 == 0:
            return (message, message)
        if self._held is None:
            self._held = message
            return ()
        held, self._held = self._held, None
        return (message, held)


class Stop:
    """Carries so many pieces of these objects, and nothing of them any more."""

    def __init__(self, names: Collection[bytes], pieces: int) -> None:
        self._prefixes = {name[: link.PREFIX_BYTES] for name in names}
        self._left = pieces
        self.reached = threading.Event()

    def __call__(self, message: link.Message) -> Iterable[link.Message]:
        if not isinstance(message, link.Data) or message.prefix not in self._prefixes:
            return (message,)
        if self._left == 0:
            self.reached.set()
            return ()
        self._left -= 1
        return (message,)


def both(*rules: Rule) -> Rule:
    """One rule after the other."""

    def rule(message: link.Message) -> Iterable[link.Message]:
        messages = [message]
        for one in rules:
            messages = [out for each in messages for out in one(each)]
        return messages

    return rule


def noise(seed: int, lost: float, changed: float, cut: float, added: float) -> Noise:
    """Loses, changes, cuts short and adds; each a share of all frames."""
    chance = random.Random(seed)

    def spoil(frame: bytes) -> bytes:
        if chance.random() < lost:
            return b""
        data = bytearray(frame)
        if chance.random() < changed:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        if chance.random() < cut:
            del data[chance.randrange(len(data)) :]
        if chance.random() < added:
            data[:0] = chance.randbytes(chance.randrange(1, 40))
        return bytes(data)

    return spoil
