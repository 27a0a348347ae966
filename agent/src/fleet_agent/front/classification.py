"""The classification extension: an output's largest elements as texts ``value:index[:label]``.

(triton-inference-server/server, docs/protocol/extension_classification.md; its texts are made in src/classification.cc)
"""

import heapq
import struct
from collections.abc import Sequence
from math import isnan, prod

from fleet_agent.frames import Tensor

_LENGTH = struct.Struct("<I")


def classes(tensor: Tensor, count: int, labels: Sequence[str], *, rows: bool) -> tuple[tuple[int, ...], list[str]]:
    """Shape and texts of the ``count`` largest elements, of each row when ``rows``, largest first."""
    total = prod(tensor.shape)
    values = struct.unpack(f"<{total}{tensor.dtype.format}", tensor.data)
    batch = tensor.shape[0] if rows and tensor.shape else 1
    size = total // batch if batch else 0
    count = min(count, size)
    texts = []
    for start in range(0, total, size or 1):
        row = values[start : start + size]
        best = heapq.nlargest(count, range(size), key=[_rank(value) for value in row].__getitem__)
        texts += [_text(row[at], at, labels) for at in best]
    return ((batch, count) if rows else (count,)), texts


def packed(texts: Sequence[str]) -> bytes:
    """Texts as the protocol's BYTES elements: u32 length, then the bytes."""
    return b"".join(_LENGTH.pack(len(raw)) + raw for raw in (text.encode() for text in texts))


def _rank(value: float) -> tuple[bool, float]:
    """A NaN is larger than nothing: it comes last."""
    return not isnan(value), value


def _text(value: float | bool, at: int, labels: Sequence[str]) -> str:
    shown = f"{value:.6f}" if isinstance(value, float) else f"{int(value)}"
    return f"{shown}:{at}:{labels[at]}" if at < len(labels) else f"{shown}:{at}"
