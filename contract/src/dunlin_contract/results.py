"""Inference results and captures that the fleet keeps: a second numbered stream, with its gaps said."""

from typing import ClassVar

from dunlin_contract import ids
from dunlin_contract.golden import TensorData
from dunlin_contract.limits import LIMITS
from dunlin_contract.rules import Rule, require
from dunlin_contract.schema import Record, array, at, format_version, octets, one_of, record, text, uint

_tensors = array(record(TensorData), LIMITS.tensors)


class Result(Record):
    """Number ``n`` of a random ``stream``, kept on the device until acknowledged or pushed out by its caps.

    A ``gap`` says that numbers ``first`` to ``n`` were pushed out; ``source`` names what gave the input, ``reason`` why
    it was captured.
    """

    CAP_BYTES: ClassVar[int] = LIMITS.result_bytes

    format: int = format_version(default=1)
    stream: bytes = at(1, octets(16))
    n: int = at(2, uint(LIMITS.sequence, 1))
    time_s: int = at(3, uint(LIMITS.time_s))
    uptime_s: int = at(4, uint(LIMITS.sequence))
    kind: str = at(5, one_of("result", "capture", "gap"))
    model: str | None = at(6, text(LIMITS.name_bytes, ids.is_model), default=None)
    release: bytes | None = at(7, octets(32), default=None)
    source: str = at(8, text(64), default="")
    reason: str = at(9, text(64), default="")
    inputs: tuple[TensorData, ...] = at(10, _tensors, default=())
    outputs: tuple[TensorData, ...] = at(11, _tensors, default=())
    first: int | None = at(12, uint(LIMITS.sequence, 1), default=None)

    def check(self) -> None:
        if self.kind == "gap":
            said = self.first is not None and self.first <= self.n
            texts = self.model or self.source or self.reason
            bare = not (texts or self.release or self.inputs or self.outputs)
            require(Rule.RESULT_KIND, said and bare, "a gap says its first number and nothing else")
        else:
            whole = self.model is not None and self.release is not None and bool(self.outputs) and self.first is None
            require(Rule.RESULT_KIND, whole, "a result names its model and release, and has outputs")
            require(
                Rule.RESULT_KIND, bool(self.inputs) == (self.kind == "capture"), "captures, and they alone, have inputs"
            )
