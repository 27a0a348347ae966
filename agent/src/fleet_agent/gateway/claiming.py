"""One ``fleet-agent child enroll``: offers a claim token to the child on a line and tells the operator how it goes.

Only watches: the child asks the server itself, and the answer is for the child. The token stays in memory, for as long
as the operator's command runs.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from dunlin_contract import link
from dunlin_contract.enrolment import EnrolReply
from dunlin_contract.errors import ContractError
from fleet_agent.errors import line as one_line
from fleet_agent.gateway.line import Line

ANSWER_S = 12.0
"""A child that was welcomed says HELLO every ten seconds."""
TAKE_S = 30.0
KEYS_S = 120.0
"""From the claim to the request: a small processor makes two key pairs and a signature."""
FINISH_S = 60.0


class Say(Protocol):
    """The operator's command."""

    def say(self, message: dict[str, object]) -> None:
        """Tell it."""

    def end(self) -> None:
        """That was all."""


class _Stage(Enum):
    ANSWERING = ANSWER_S
    TAKING = TAKE_S
    REQUESTING = KEYS_S
    WAITING = float("inf")
    FINISHING = FINISH_S


@dataclass(slots=True)
class Claiming:
    """``name``: the line's. The caller asks :meth:`look` after everything that happens there, and when time went by."""

    name: str
    baud: int
    claim: link.Claim
    operator: Say = field(repr=False)
    began: float
    errors_before: int
    stage: _Stage = _Stage.ANSWERING
    over: bool = False
    pending: bool = False

    def look(self, line: Line, errors: int, now: float) -> bool:
        """See how far it is; True when the claim is to be offered now. ``errors``: frames that did not decode."""
        if self.over:
            return False
        hello = line.hello
        if line.refused:
            self._fail(line.refused)
        elif hello is not None and hello.enrolled:
            if self.stage is _Stage.ANSWERING or hello.device != self.claim.device:
                self._fail(f"the child on {self.name} is enrolled already as {hello.device}: wipe it first")
            else:
                self._end({"done": f"enrolled as {hello.device}"})
        elif now - self.began >= self.stage.value:
            self._fail(self._silence(errors))
        elif self.stage is _Stage.ANSWERING and hello is not None:
            self._go(_Stage.TAKING, "the child answers", now)
            return True
        elif self.stage is _Stage.TAKING and hello is not None and hello.device == self.claim.device:
            self.taken(now)
        return False

    def next_at(self) -> float | None:
        """When to look again though nothing happened."""
        return None if self.over or self.stage is _Stage.WAITING else self.began + self.stage.value

    def taken(self, now: float) -> None:
        """The child took the claim."""
        if self.stage is _Stage.TAKING:
            self._go(_Stage.REQUESTING, "the child has the claim token and makes its keys", now)

    def handed(self, now: float) -> None:
        """The broker has the child's request."""
        if self.stage in {_Stage.TAKING, _Stage.REQUESTING}:
            self._go(_Stage.WAITING, "the child's request is on its way to the server", now)

    def replied(self, payload: bytes, now: float) -> None:
        """The server's answer went by."""
        try:
            reply = EnrolReply.from_bytes(payload)
        except ContractError:
            return  # the child's to refuse
        if reply.status == "refused":
            self._fail(f"the server refused: {reply.reason}")
        elif reply.status == "pending":
            if not self.pending:
                device = self.claim.device
                self._say(f"waiting for approval: an operator must accept {device} on the server's devices page")
            self.pending = True
        else:
            self._go(_Stage.FINISHING, "the server has accepted the child", now)

    def _silence(self, errors: int) -> str:
        if self.stage is _Stage.ANSWERING and errors > self.errors_before:
            return f"{self.name} carries bytes but no messages: check the baud rate ({self.baud} now)"
        return {
            _Stage.ANSWERING: f"nobody answers on {self.name}: is the board on, with its firmware, at {self.baud} Bd?",
            _Stage.TAKING: f"the child on {self.name} does not take the claim token: reset it and try again",
            _Stage.REQUESTING: f"the child on {self.name} sent no request: reset it and try again with the same token",
        }.get(self.stage, f"the child on {self.name} was accepted but does not say that it is enrolled: reset it")

    def _go(self, stage: _Stage, text: str, now: float) -> None:
        self.stage, self.began = stage, now
        self._say(text)

    def _say(self, text: str) -> None:
        self.operator.say({"say": text})

    def _fail(self, text: str) -> None:
        self._end({"error": one_line(text)})

    def _end(self, message: dict[str, object]) -> None:
        if not self.over:
            self.over = True
            self.operator.say(message)
            self.operator.end()
