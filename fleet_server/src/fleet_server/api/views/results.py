"""Results and captures. Tensors are numbers here: nothing that a device sent is drawn as a picture."""

import base64
import math
import struct

from dunlin_contract.golden import ITEM_BYTES, TensorData
from dunlin_contract.results import Result
from fleet_server.api.views.shape import Json
from fleet_server.db.models import ResultRow

SHOWN = 8  # elements of a tensor in a list
_CODES = {
    "bool": "?",
    "int8": "b",
    "uint8": "B",
    "int16": "h",
    "uint16": "H",
    "float16": "e",
    "int32": "i",
    "uint32": "I",
    "float32": "f",
    "int64": "q",
    "uint64": "Q",
    "float64": "d",
}


def result_line(row: ResultRow) -> Json:
    """A result in a list, its tensors by their first elements; ``time`` is by the device's clock, ``received`` by ours.

    Of a gap: numbers ``first`` to ``n`` were pushed out on the device.
    """
    record = Result.from_bytes(row.record)
    return _line(row) | {
        "inputs": [_shown(tensor) for tensor in record.inputs],
        "outputs": [_shown(tensor) for tensor in record.outputs],
    }


def result(row: ResultRow) -> Json:
    """One result with all of its tensors' bytes: little-endian, C order, in base64."""
    record = Result.from_bytes(row.record)
    return _line(row) | {
        "inputs": [_whole(tensor) for tensor in record.inputs],
        "outputs": [_whole(tensor) for tensor in record.outputs],
    }


def _line(row: ResultRow) -> Json:
    return {
        "id": row.id,
        "device": row.device,
        "stream": row.stream,
        "n": row.n,
        "first": row.first,
        "kind": row.kind,
        "time": row.time,
        "received": row.received,
        "model": row.model,
        "release": row.release,
        "source": row.source,
        "reason": row.reason,
        "size": row.size,
    }


def _shown(tensor: TensorData) -> Json:
    count = math.prod(tensor.shape)
    first = tensor.data[: SHOWN * ITEM_BYTES[tensor.dtype]]
    code = _CODES[tensor.dtype]
    numbers = struct.unpack(f"<{len(first) // ITEM_BYTES[tensor.dtype]}{code}", first)
    return {
        "name": tensor.name,
        "dtype": tensor.dtype,
        "shape": tensor.shape,
        # JSON has no NaN and no infinity.
        "first": [one if math.isfinite(one) else str(one) for one in numbers],
        "more": max(0, count - SHOWN),
    }


def _whole(tensor: TensorData) -> Json:
    data = base64.b64encode(tensor.data).decode()
    return {"name": tensor.name, "dtype": tensor.dtype, "shape": tensor.shape, "data": data}
