"""Golden samples: inputs and the outputs that a device's own runtime must reproduce before a model serves."""

import math
from typing import ClassVar

from dunlin_contract.limits import LIMITS
from dunlin_contract.manifest import DTYPES
from dunlin_contract.rules import Rule, require
from dunlin_contract.schema import Record, array, at, format_version, octets, one_of, record, text, uint

ITEM_BYTES = {
    "bool": 1,
    "int8": 1,
    "uint8": 1,
    "int16": 2,
    "uint16": 2,
    "float16": 2,
    "int32": 4,
    "uint32": 4,
    "float32": 4,
    "int64": 8,
    "uint64": 8,
    "float64": 8,
}


class TensorData(Record):
    """One tensor's bytes, little-endian, C order."""

    name: str = at(0, text(LIMITS.text_bytes, least=1))
    dtype: str = at(1, one_of(*DTYPES))
    shape: tuple[int, ...] = at(2, array(uint(2**31 - 1), LIMITS.dimensions))
    data: bytes = at(3, octets(LIMITS.golden_bytes, 0))

    def check(self) -> None:
        length = math.prod(self.shape) * ITEM_BYTES[self.dtype]
        require(Rule.PAYLOAD_LENGTH, len(self.data) == length, f"{self.name}: {length} bytes of data are expected")


class Sample(Record):
    """All inputs of one inference, and the outputs expected of it, in the model's order."""

    inputs: tuple[TensorData, ...] = at(0, array(record(TensorData), LIMITS.tensors, 1))
    outputs: tuple[TensorData, ...] = at(1, array(record(TensorData), LIMITS.tensors, 1))


class Golden(Record):
    """A bundle's golden payload."""

    CAP_BYTES: ClassVar[int] = LIMITS.golden_bytes

    format: int = format_version(default=1)
    samples: tuple[Sample, ...] = at(1, array(record(Sample), LIMITS.golden_samples, 1))
