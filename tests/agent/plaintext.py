"""Looking for a model's tensors where no byte of them may be, whatever they were written as."""

import base64
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WINDOW_BYTES = 24
_STRIDE = 1536
_LIMIT = 1 << 30
WIDTH = 4
_HIDDEN = 4096


def model(amount: float, seed: int) -> bytes:
    """ONNX: y = x + amount + x @ A @ B with random A and B, 64 KiB each: tensors that nothing else looks like."""
    random = np.random.default_rng(seed)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", WIDTH]) for name in "xy")
    constants = [
        numpy_helper.from_array(random.standard_normal((WIDTH, _HIDDEN)).astype("float32"), "a"),
        numpy_helper.from_array(random.standard_normal((_HIDDEN, WIDTH)).astype("float32"), "b"),
        numpy_helper.from_array(np.array([amount], "float32"), "k"),
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["h"]),
        helper.make_node("MatMul", ["h", "b"], ["r"]),
        helper.make_node("Add", ["x", "r"], ["s"]),
        helper.make_node("Add", ["s", "k"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "g", [x], [y], constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(made.SerializeToString())


def tensors(data: bytes) -> list[bytes]:
    """Contents of a model's large tensors."""
    graph = onnx.load_model_from_string(data).graph
    arrays = [numpy_helper.to_array(tensor) for tensor in graph.initializer]
    return [array.tobytes() for array in arrays if array.nbytes > WINDOW_BYTES * 4]


class Needles:
    """Pieces of tensors, and what they look like in hex, base64, and Python's and C's escapes."""

    def __init__(self, contents: Iterable[bytes]) -> None:
        found = set()
        for content in contents:
            for at in range(0, len(content) - WINDOW_BYTES, _STRIDE):
                found |= set(_written(content[at : at + WINDOW_BYTES]))
        assert found
        self._needles = sorted(found)

    def within(self, data: bytes) -> bool:
        """Whether one of them is there."""
        return any(needle in data for needle in self._needles)

    def search(self, *places: Path) -> list[Path]:
        """Files at and below ``places`` that hold one; what cannot be read is no file or has gone."""
        return [path for place in places for path in _files(place) if self.within(_read(path))]


def _written(piece: bytes) -> Iterator[bytes]:
    yield piece
    yield piece.hex().encode()
    yield piece.hex().upper().encode()
    yield repr(piece)[2:-1].encode()
    yield "".join(f"\\x{byte:02x}" for byte in piece).encode()
    for skip in range(3):
        # Base64 looks different at each offset modulo 3; whole groups in the middle do not depend on what is around.
        inner = piece[skip:]
        yield base64.b64encode(inner[: len(inner) // 3 * 3])


def _files(place: Path) -> Iterator[Path]:
    if place.is_dir():
        for path in place.rglob("*"):
            if path.is_file() and not path.is_symlink():
                yield path
    elif place.exists():
        yield place


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LIMIT)
    except OSError:
        return b""
