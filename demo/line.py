"""Listening in on a serial line: what the microcontroller says to its gateway, whole messages out of the pieces."""

from dunlin_contract import link
from dunlin_contract.enrolment import EnrolRequest
from dunlin_contract.envelopes import open_enrol, open_event, open_reported
from dunlin_contract.errors import ContractError
from dunlin_contract.link import Up, UpKind


class Tap:
    """Messages of one microcontroller, each as often as it is a new one. Feed it what goes towards the gateway."""

    def __init__(self) -> None:
        self.messages: dict[UpKind, list[bytes]] = {kind: [] for kind in UpKind}
        self._decoder = link.Decoder()
        self._id = -1
        self._held = b""

    def hear(self, data: bytes) -> None:
        """Some bytes of the line, wherever they begin and end."""
        for body in self._decoder.feed(data):
            try:
                message = link.parse(body)
            except ContractError:
                continue  # noise
            if isinstance(message, Up):
                self._piece(message)

    def enrolment(self) -> EnrolRequest:
        """What it enrolled with. Raises ContractError where that is not signed by the key that it names."""
        return open_enrol(self.messages[UpKind.ENROL][-1])

    def signed(self, spki: bytes) -> tuple[list[int], int]:
        """Numbers of its reports, and how many events it told.

        Raises:
            ContractError: one is not signed by the key.
        """
        numbers = [open_reported(envelope, spki).number for envelope in self.messages[UpKind.REPORTED]]
        return numbers, len([open_event(envelope, spki) for envelope in self.messages[UpKind.EVENTS]])

    def _piece(self, up: Up) -> None:
        if up.id != self._id or up.offset == 0:
            self._id, self._held = up.id, b""
        if up.offset != len(self._held):
            return  # it comes again
        self._held += up.data
        if len(self._held) == up.total and self._held not in self.messages[up.kind]:
            self.messages[up.kind].append(self._held)
