"""Small ONNX models that tests write: good ones and bad ones."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

OPSET = helper.make_opsetid("", 17)


def save(path: Path, nodes: list[onnx.NodeProto], **options: object) -> Path:
    """A graph from ``x`` to ``y``, float32 [1, 4] unless ``x`` or ``y`` say otherwise."""
    x = options.get("x") or helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])
    y = options.get("y") or helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])
    graph = helper.make_graph(nodes, "test", [x], [y], initializer=options.get("initializer") or [])  # type: ignore[list-item,arg-type]
    onnx.save(helper.make_model(graph, opset_imports=[OPSET], ir_version=8), path)
    return path


def identity(path: Path, **options: object) -> Path:
    return save(path, [helper.make_node("Identity", ["x"], ["y"])], **options)


def unknown_op(path: Path) -> Path:
    return save(path, [helper.make_node("Frobnicate", ["x"], ["y"])])


def not_finite(path: Path) -> Path:
    return save(path, [helper.make_node("Log", ["x"], ["y"])])


def text_input(path: Path) -> Path:
    x = helper.make_tensor_value_info("x", TensorProto.STRING, [1, 4])
    y = helper.make_tensor_value_info("y", TensorProto.STRING, [1, 4])
    return identity(path, x=x, y=y)


def endless(path: Path) -> Path:
    """A Loop that nobody lives to see the end of."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Add", ["state", "state"], ["next"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, [1, 4]),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, [1, 4]),
        ],
    )
    trips = helper.make_tensor("trips", TensorProto.INT64, [], [2**62])
    go = helper.make_tensor("yes", TensorProto.BOOL, [], [True])
    return save(path, [helper.make_node("Loop", ["trips", "yes", "x"], ["y"], body=body)], initializer=[trips, go])


def external_weights(path: Path) -> Path:
    weights = helper.make_tensor("w", TensorProto.FLOAT, [1024], np.ones(1024, np.float32).tobytes(), raw=True)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1024])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1024])
    graph = helper.make_graph([helper.make_node("Mul", ["x", "w"], ["y"])], "test", [x], [y], initializer=[weights])
    model = helper.make_model(graph, opset_imports=[OPSET], ir_version=8)
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    return path
