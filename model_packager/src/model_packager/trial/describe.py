"""Operators of a model file, with the versions it needs, and the oldest runtime that has them. Child process only."""

from pathlib import Path
from typing import Any

from dunlin_contract.fit import Op
from dunlin_contract.manifest import MICRO_RUNTIME
from model_packager.trial.runtimes import RefusedError

Version = tuple[int, int, int]

OLDEST_TFLM: Version = (0, 0, 0)
"""TFLM has no releases and ignores the versions of operators: which of them a device's firmware has is what counts."""
OLDEST_LITERT: Version = (2, 0, 0)
"""The oldest ai-edge-litert that agents install; it has every operator of TensorFlow 2.18."""
_NEWEST_TENSORFLOW_IN_IT = (2, 18, 0)
OLDEST_ONNXRUNTIME: Version = (1, 20, 0)
"""The oldest ONNX Runtime that agents install; it implements opset 21 and ONNX IR version 10."""
_NEWEST_OPSET_IN_IT, _NEWEST_IR_IN_IT = 21, 10


def describe(runtime: str, path: Path) -> tuple[tuple[Op, ...], Version | None]:
    """Operators, sorted, and the oldest runtime known to have them; None: only the one it was tried with is known.

    Raises:
        RefusedError: the file is of another format, or not whole.
    """
    if runtime == "onnxruntime":
        return _onnx(path)
    ops, oldest = _tflite(path)
    return ops, OLDEST_TFLM if runtime == MICRO_RUNTIME else oldest


def check_format(runtime: str, head: bytes, path: Path) -> None:
    """Whether the first bytes are of the format that the runtime reads; a runtime's own message is less clear.

    Raises:
        RefusedError: naming what to change.
    """
    is_tflite = head[4:8] == b"TFL3"
    if runtime != "onnxruntime" and not is_tflite:
        raise RefusedError(f"{path} is not a TFLite file: name a .tflite file, or another kind in the recipe")
    if runtime == "onnxruntime" and is_tflite:
        raise RefusedError(f"{path} is a TFLite file: name an .onnx file, or a tflite kind in the recipe")


def _tflite(path: Path) -> tuple[tuple[Op, ...], Version | None]:
    from ai_edge_litert import schema_py_generated as schema

    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    model = schema.Model.GetRootAs(path.read_bytes(), 0)
    ops = set()
    for at in range(model.OperatorCodesLength()):
        code = model.OperatorCodes(at)
        builtin = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())  # the old field ends at 127
        custom = code.CustomCode()
        name = custom.decode("utf-8", "replace") if custom else names.get(builtin, f"BUILTIN_{builtin}")
        ops.add((name[:64], int(code.Version())))
    return _sorted(ops), _litert_version(model)


def _litert_version(model: Any) -> Version | None:
    for at in range(model.MetadataLength()):
        entry = model.Metadata(at)
        if entry.Name() == b"min_runtime_version":  # written by the converter, from a table of operator versions
            text = bytes(model.Buffers(entry.Buffer()).DataAsNumpy()).rstrip(b"\0").decode("ascii", "replace")
            numbers = tuple(int(part) if part.isdigit() else 10**6 for part in text.split("."))
            return OLDEST_LITERT if numbers <= _NEWEST_TENSORFLOW_IN_IT else None
    return None


def _onnx(path: Path) -> tuple[tuple[Op, ...], Version | None]:
    import onnx

    model = onnx.load(path, load_external_data=False)
    external = onnx.TensorProto.EXTERNAL
    if any(tensor.data_location == external for tensor in model.graph.initializer):
        raise RefusedError(
            f"{path} keeps its weights in other files: save it as one file (save_as_external_data=False)"
        )
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    ops = set()
    for node in _nodes(model.graph):
        opset = opsets.get(node.domain, 0)
        try:
            version = onnx.defs.get_schema(node.op_type, opset, node.domain).since_version
        except onnx.defs.SchemaError:
            version = opset  # an operator of a runtime's own domain
        ops.add((f"{node.domain}:{node.op_type}"[:64] if node.domain else node.op_type[:64], int(version)))
    known = opsets.get("", 0) <= _NEWEST_OPSET_IN_IT and model.ir_version <= _NEWEST_IR_IN_IT
    return _sorted(ops), OLDEST_ONNXRUNTIME if known else None


def _nodes(graph: Any) -> Any:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]:
                yield from _nodes(inner)


def _sorted(ops: set[tuple[str, int]]) -> tuple[Op, ...]:
    return tuple(Op(opcode=opcode, version=version) for opcode, version in sorted(ops))
