"""Tiny models made on the spot, each with a behaviour that a test can see from outside."""

from pathlib import Path

import ai_edge_litert.schema_py_generated as tflite
import flatbuffers
import numpy as np
import onnx
from onnx import TensorProto, helper

from dunlin_contract.manifest import DTYPES, Io, Tensor

WIDTH = 4
WIDE = 40


def io(*tensors: tuple[str, str, tuple[int, ...]], outputs: int = 1) -> Io:
    """Io of (name, dtype, shape) triples, the last ``outputs`` of them outputs."""
    made = [Tensor(name=name, dtype=dtype, shape=shape) for name, dtype, shape in tensors]
    return Io(inputs=tuple(made[:-outputs]), outputs=tuple(made[-outputs:]))


ADD_IO = io(("x", "float32", (-1, WIDTH)), ("y", "float32", (-1, WIDTH)))
PAIR_IO = io(
    ("a", "int32", (2,)), ("b", "float64", (2, 2)), ("a2", "int32", (2,)), ("b2", "float64", (2, 2)), outputs=2
)
ECHO_IO = Io(
    inputs=tuple(Tensor(name=dtype, dtype=dtype, shape=(2, -1)) for dtype in DTYPES),
    outputs=tuple(Tensor(name=f"{dtype}-out", dtype=dtype, shape=(2, -1)) for dtype in DTYPES),
)
WIDE_IO = io(("x", "float32", (-1, WIDTH)), ("y", "float32", (-1, WIDE)))
LOOK_UP_IO = io(("n", "int64", (-1, 1)), ("y", "float32", (-1, 1)))
SPIN_IO = io(("n", "int64", ()), ("i", "int64", ()))
LITERT_IO = io(("x", "float32", (1, WIDTH)), ("y", "float32", (1, WIDTH)))


def _save(path: Path, nodes: list, inputs: list, outputs: list, constants: list = ()) -> Path:
    graph = helper.make_graph(nodes, "g", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return path


def add(path: Path, amount: float) -> Path:
    """ONNX: y = x + amount, any number of rows."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", WIDTH]) for name in "xy")
    constant = helper.make_tensor("k", TensorProto.FLOAT, [1], [amount])
    return _save(path, [helper.make_node("Add", ["x", "k"], ["y"])], [x], [y], [constant])


def log(path: Path) -> Path:
    """ONNX: y = ln x, which is NaN for negative x."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", WIDTH]) for name in "xy")
    return _save(path, [helper.make_node("Log", ["x"], ["y"])], [x], [y])


def look_up(path: Path) -> Path:
    """ONNX: y = 10 n for n of 0 to 9; any other fails."""
    n = helper.make_tensor_value_info("n", TensorProto.INT64, ["rows", 1])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 1])
    table = helper.make_tensor("table", TensorProto.FLOAT, [10], [10.0 * each for each in range(10)])
    return _save(path, [helper.make_node("Gather", ["table", "n"], ["y"])], [n], [y], [table])


def share_of_column(path: Path) -> Path:
    """ONNX: y = x / the sum of its column, so that rows change each other."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", WIDTH]) for name in "xy")
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [0])
    nodes = [helper.make_node("ReduceSum", ["x", "axes"], ["sum"]), helper.make_node("Div", ["x", "sum"], ["y"])]
    return _save(path, nodes, [x], [y], [axes])


def sum_of_rows(path: Path) -> Path:
    """ONNX: y = the sum of all rows, one row whatever came."""
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [size, WIDTH]) for name, size in (("x", "n"), ("y", "m"))
    )
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [0])
    return _save(path, [helper.make_node("ReduceSum", ["x", "axes"], ["y"])], [x], [y], [axes])


def wide(path: Path) -> Path:
    """ONNX: x side by side with itself, an output much larger than what came."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", WIDTH])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", WIDE])
    return _save(path, [helper.make_node("Concat", ["x"] * (WIDE // WIDTH), ["y"], axis=1)], [x], [y])


def look(path: Path, height: int, width: int, channels: int) -> Path:
    """ONNX: the pixels of an image as they came, in one row."""
    shape = [1, height, width, channels]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1, height * width * channels])
    return _save(path, [helper.make_node("Flatten", ["image"], ["pixels"])], [image], [pixels])


def pair(path: Path) -> Path:
    """ONNX with two inputs and two outputs: a2 = a + a, b2 = b * b."""
    values = {name: helper.make_tensor_value_info(name, TensorProto.INT32, [2]) for name in ("a", "a2")}
    values |= {name: helper.make_tensor_value_info(name, TensorProto.DOUBLE, [2, 2]) for name in ("b", "b2")}
    nodes = [helper.make_node("Add", ["a", "a"], ["a2"]), helper.make_node("Mul", ["b", "b"], ["b2"])]
    return _save(path, nodes, [values["a"], values["b"]], [values["a2"], values["b2"]])


def echo(path: Path) -> Path:
    """ONNX that gives back an input of every dtype."""
    kinds = {dtype: helper.np_dtype_to_tensor_dtype(np.dtype(dtype)) for dtype in DTYPES}
    inputs = [helper.make_tensor_value_info(dtype, kind, [2, "n"]) for dtype, kind in kinds.items()]
    outputs = [helper.make_tensor_value_info(f"{dtype}-out", kind, [2, "n"]) for dtype, kind in kinds.items()]
    nodes = [helper.make_node("Identity", [dtype], [f"{dtype}-out"]) for dtype in DTYPES]
    return _save(path, nodes, inputs, outputs)


def spin(path: Path) -> Path:
    """ONNX: count to n in a loop, about a microsecond a step: a model as slow as a test wants."""
    scalar = [helper.make_tensor_value_info(name, TensorProto.INT64, []) for name in ("n", "i")]
    inside = [
        helper.make_tensor_value_info("step", TensorProto.INT64, []),
        helper.make_tensor_value_info("go", TensorProto.BOOL, []),
        helper.make_tensor_value_info("before", TensorProto.INT64, []),
    ]
    after = [
        helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
        helper.make_tensor_value_info("after", TensorProto.INT64, []),
    ]
    steps = [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Add", ["before", "one"], ["after"])]
    body = helper.make_graph(steps, "body", inside, after, [helper.make_tensor("one", TensorProto.INT64, [], [1])])
    constants = [
        helper.make_tensor("true", TensorProto.BOOL, [], [True]),
        helper.make_tensor("zero", TensorProto.INT64, [], [0]),
    ]
    loop = helper.make_node("Loop", ["n", "true", "zero"], ["i"], body=body)
    return _save(path, [loop], scalar[:1], scalar[1:], constants)


def litert_add(path: Path, amount: float, rows: int = 1) -> Path:
    """TFLite: y = x + amount; ``rows`` -1 leaves their number free."""
    model = tflite.ModelT()
    model.version = 3
    model.buffers = [tflite.BufferT(), tflite.BufferT()]
    model.buffers[1].data = np.frombuffer(np.full(WIDTH, amount, "float32").tobytes(), np.uint8)
    graph = tflite.SubGraphT()
    graph.tensors = []
    for name, shape, buffer in (("x", [1, WIDTH], 0), ("k", [1, WIDTH], 1), ("y", [1, WIDTH], 0)):
        tensor = tflite.TensorT()
        tensor.name, tensor.shape, tensor.buffer, tensor.type = name, shape, buffer, tflite.TensorType.FLOAT32
        if rows < 0 and name != "k":
            tensor.shapeSignature = [-1, WIDTH]
        graph.tensors.append(tensor)
    code = tflite.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = tflite.BuiltinOperator.ADD
    code.version = 1
    operator = tflite.OperatorT()
    operator.inputs, operator.outputs, operator.opcodeIndex = [0, 1], [2], 0
    operator.builtinOptionsType, operator.builtinOptions = tflite.BuiltinOptions.AddOptions, tflite.AddOptionsT()
    graph.inputs, graph.outputs, graph.operators = [0], [2], [operator]
    model.operatorCodes, model.subgraphs = [code], [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path
