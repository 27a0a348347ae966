"""Messages for one child, offered until it takes them: the latest of each kind. Pure; the caller gives the time."""

import hashlib
from dataclasses import dataclass, field

from dunlin_contract import link

REPEAT_S = 3.0
MESSAGE_BYTES = 0xFFFF
"""What an offer can state. A child takes less, and says so itself."""


@dataclass(slots=True)
class _Offered:
    data: bytes = field(repr=False)
    name: bytes
    taken: bool = False
    due: float = 0.0


class Offers:
    """The latest message of each kind."""

    def __init__(self) -> None:
        self._offered: dict[link.OfferKind, _Offered] = {}

    def put(self, kind: link.OfferKind, data: bytes) -> None:
        """There is a message; an empty one takes the offer back. The same bytes again are offered again."""
        if data:
            self._offered[kind] = _Offered(data, hashlib.sha256(data).digest())
        else:
            self._offered.pop(kind, None)

    def renew(self) -> None:
        """Offer everything again, taken or not: the child started anew."""
        for offered in self._offered.values():
            offered.taken, offered.due = False, 0.0

    def took(self, name: bytes) -> link.OfferKind | None:
        """The child has it; returns what kind it is, None when nothing of that name is offered."""
        for kind, offered in self._offered.items():
            if offered.name == name:
                offered.taken = True
                return kind
        return None

    def find(self, name: bytes) -> bytes | None:
        """Bytes of an offered message, taken or not."""
        return next((offered.data for offered in self._offered.values() if offered.name == name), None)

    def due(self, now: float, *, enrolled: bool) -> list[link.Offer]:
        """What to offer now; each again after REPEAT_S.

        A child that is not ``enrolled`` has no use for a directive yet, which may come before the answer that enrols
        it; one that is has none for a claim.
        """
        offers = []
        for kind, offered in self._open(enrolled=enrolled).items():
            if offered.due <= now:
                offered.due = now + REPEAT_S
                offers.append(link.Offer(kind, len(offered.data), offered.name))
        return offers

    def next_at(self, *, enrolled: bool) -> float | None:
        """When :meth:`due` has something again."""
        return min((offered.due for offered in self._open(enrolled=enrolled).values()), default=None)

    def kinds(self, *, enrolled: bool) -> list[str]:
        """What is offered and not taken yet."""
        return [kind.name.lower() for kind in self._open(enrolled=enrolled)]

    def _open(self, *, enrolled: bool) -> dict[link.OfferKind, _Offered]:
        return {
            kind: offered
            for kind, offered in self._offered.items()
            if not offered.taken and (kind == link.OfferKind.ENROL or (kind == link.OfferKind.CLAIM) != enrolled)
        }
