"""Tensors and predictions as JSON shows them."""

import struct
import sys
from collections.abc import Iterable, Sequence
from math import isfinite, prod
from typing import Any

from fleet_agent.frames import Prediction, Tensor
from fleet_agent.front.errors import HttpError

MOST_ELEMENTS = 1 << 20
"""What one answer may show of its tensors as JSON: some 20 MB of text, which the one event loop makes for everybody."""


_LITTLE = "" if sys.byteorder == "little" else "<"
"""The machine's own formats where they are the same: floats take six tenths of the time."""


def described(tensor: Tensor) -> dict[str, Any]:
    """Name, datatype and shape."""
    return {"name": tensor.name, "datatype": tensor.dtype.datatype, "shape": tensor.shape}


def check_elements(tensors: Iterable[Tensor], model: str) -> None:
    """Refuse an answer that would show too much of ``tensors``, before any of it is made.

    Raises:
        HttpError: 400, they have more than MOST_ELEMENTS.
    """
    count = sum(prod(tensor.shape) for tensor in tensors)
    if count > MOST_ELEMENTS:
        text = f"the answer has {count} elements, and JSON shows {MOST_ELEMENTS} at most: ask for it in binary"
        raise HttpError(400, f"{text} (/v2/models/{model}/infer, parameter binary_data_output)")


def values(tensor: Tensor) -> tuple[Any, ...]:
    """A tensor's elements, row-major."""
    return struct.unpack(f"{_LITTLE}{prod(tensor.shape)}{tensor.dtype.format}", tensor.data)


def predictions(given: Sequence[Prediction]) -> list[dict[str, Any]]:
    """Best first. Scores are 32-bit floats, so seven digits tell all of them; one that is no number is null."""
    return [
        {"label": label, "index": index, "score": float(f"{score:.7g}") if isfinite(score) else None}
        for index, score, label in given
    ]
