"""Small TFLite models that tests write: good ones and bad ones."""

from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

INT8, FLOAT32 = schema.TensorType.INT8, schema.TensorType.FLOAT32


def one_op(path: Path, name: str = "RELU", dtype: int = INT8, length: int = 4, buffers: bool = True) -> Path:
    """One operator from ``x`` to ``y``, both [1, length]; int8 ones of scale 1. Without buffers TFLM crashes."""
    code = getattr(schema.BuiltinOperator, name)
    model = schema.ModelT()
    model.version = 3
    model.description = b"test"
    model.buffers = [schema.BufferT()] if buffers else None
    operator = schema.OperatorCodeT()
    operator.builtinCode, operator.deprecatedBuiltinCode, operator.version = code, min(code, 127), 1
    model.operatorCodes = [operator]
    graph = schema.SubGraphT()
    graph.tensors = [_tensor(one, dtype, length) for one in (b"x", b"y")]
    graph.operators = [_operator(0, 1)]
    graph.inputs, graph.outputs = np.array([0], np.int32), np.array([1], np.int32)
    model.subgraphs = [graph]
    return _write(model, path)


def unknown_custom(path: Path, original: Path) -> Path:
    """A copy of a model whose operators are all custom ones that nobody has."""
    model = schema.ModelT.InitFromPackedBuf(original.read_bytes())
    for code in model.operatorCodes:
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
        code.customCode = b"frobnicate"
    return _write(model, path)


def renamed(path: Path, original: Path, length: int) -> Path:
    """A copy of a model, its inputs and outputs under names of that length."""
    model = schema.ModelT.InitFromPackedBuf(original.read_bytes())
    for signature in model.signatureDefs or []:
        for entry in [*signature.inputs, *signature.outputs]:
            entry.name = entry.name.ljust(length, b"_")
    return _write(model, path)


def _tensor(name: bytes, dtype: int, length: int) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.type, tensor.shape, tensor.buffer = name, dtype, np.array([1, length], np.int32), 0
    if dtype == INT8:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = np.array([1.0], np.float32), np.array([0], np.int64)
    return tensor


def _operator(source: int, target: int) -> Any:
    operator = schema.OperatorT()
    operator.opcodeIndex = 0
    operator.inputs, operator.outputs = np.array([source], np.int32), np.array([target], np.int32)
    return operator


def _write(model: Any, path: Path) -> Path:
    builder = flatbuffers.Builder(65536)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path
