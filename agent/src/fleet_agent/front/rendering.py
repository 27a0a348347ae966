"""Tensors and predictions as JSON shows them."""

import struct
from collections.abc import Sequence
from math import isfinite, prod
from typing import Any

from fleet_agent.frames import Prediction, Tensor


def described(tensor: Tensor) -> dict[str, Any]:
    """Name, datatype and shape."""
    return {"name": tensor.name, "datatype": tensor.dtype.datatype, "shape": tensor.shape}


def values(tensor: Tensor) -> list[Any]:
    """A tensor's elements, row-major; JSON has no NaN and no infinity: null stands for them."""
    numbers = list(struct.unpack(f"<{prod(tensor.shape)}{tensor.dtype.format}", tensor.data))
    if tensor.dtype.format in "efd" and not all(map(isfinite, numbers)):
        return [number if isfinite(number) else None for number in numbers]
    return numbers


def predictions(given: Sequence[Prediction]) -> list[dict[str, Any]]:
    """Best first. Scores are 32-bit floats, so seven digits tell all of them; one that is no number is null."""
    return [
        {"label": label, "index": index, "score": float(f"{score:.7g}") if isfinite(score) else None}
        for index, score, label in given
    ]
