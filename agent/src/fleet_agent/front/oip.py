"""Open Inference Protocol v2 in bytes: requests parsed, answers written; no sockets here.

Tensors travel in JSON, or after the JSON in the binary tensor extension, whose header says how long the JSON is
(github.com/kserve/open-inference-protocol, and Triton's extension_binary_data).
"""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import isfinite, prod
from typing import Any, NoReturn

from dunlin_contract.limits import LIMITS as CONTRACT
from dunlin_contract.manifest import Io
from dunlin_contract.manifest import Tensor as Spec
from fleet_agent import __version__
from fleet_agent.frames import BY_DATATYPE, BY_NAME, Buffer, Dtype, RequestError, Tensor, check_inputs
from fleet_agent.front.errors import HttpError
from fleet_agent.front.exchange import JSON, dump

_MOST_ELEMENTS = 2**31 - 1
_BOOLEANS = (False, True)


@dataclass(frozen=True, slots=True)
class InferRequest:
    """A parsed request: tensors by name, and the outputs it wants (None: all of them, in JSON or binary)."""

    id: str
    tensors: dict[str, Tensor]
    outputs: dict[str, bool] | None
    binary: bool

    def arranged(self, io: Io) -> list[Tensor]:
        """The tensors in the order in which this model takes them.

        Raises:
            HttpError: 400, naming what the model expects.
        """
        names = [spec.name for spec in io.inputs]
        for name in self.tensors:
            if name not in names:
                _bad(f"the model has no input {name[:64]!r}; it takes {', '.join(map(repr, names))}")
        for name in names:
            if name not in self.tensors:
                _bad(f"input {name!r} is missing")
        for name in self.outputs or ():
            if all(name != spec.name for spec in io.outputs):
                known = ", ".join(repr(spec.name) for spec in io.outputs)
                _bad(f"the model has no output {name[:64]!r}; it gives {known}")
        tensors = [self.tensors[name] for name in names]
        try:
            check_inputs(io.inputs, tensors)
        except RequestError as error:
            _bad(str(error))
        return tensors


def parse_infer(body: Buffer, json_length: int | None) -> InferRequest:
    """Parse the body of an infer request; ``json_length`` is the binary extension's header, None without it.

    Raises:
        HttpError: 400, with what is wrong and where.
    """
    view = memoryview(body)
    head = view if json_length is None else view[:json_length]
    if json_length is not None and json_length > len(view):
        _bad(f"Inference-Header-Content-Length is {json_length}, the body has {len(view)} bytes")
    request = _json(head)
    binary = view[len(head) :]
    at = 0
    tensors: dict[str, Tensor] = {}
    inputs = _field(request, "inputs", list, "the request")
    if not 1 <= len(inputs) <= CONTRACT.tensors:
        _bad(f"inputs: 1 to {CONTRACT.tensors} are allowed, {len(inputs)} were sent")
    for entry in inputs:
        tensor, at = _input(entry, binary, at)
        if tensor.name in tensors:
            _bad(f"input {tensor.name!r} is there twice")
        tensors[tensor.name] = tensor
    if at != len(binary):
        _bad(f"{len(binary) - at} bytes of binary data belong to no input")
    all_binary = _flag(_parameters(request, "the request"), "binary_data_output", default=False)
    outputs = _outputs(request, all_binary)
    return InferRequest(_field(request, "id", str, "the request", ""), tensors, outputs, all_binary)


def infer_answer(
    name: str, version: str, request: InferRequest, tensors: Sequence[Tensor]
) -> tuple[bytes, bytes, bytes]:
    """Body, content type and header lines of the answer; outputs stand in the order in which they were asked for."""
    wanted = request.outputs
    if wanted is not None:
        given = {tensor.name: tensor for tensor in tensors}
        tensors = [given[output] for output in wanted]
    outputs = []
    tail: list[Buffer] = []
    for tensor in tensors:
        output: dict[str, Any] = {"name": tensor.name, "datatype": tensor.dtype.datatype, "shape": tensor.shape}
        if request.binary if wanted is None else wanted[tensor.name]:
            output["parameters"] = {"binary_data_size": len(tensor.data)}
            tail.append(tensor.data)
        else:
            output["data"] = _values(tensor)
        outputs.append(output)
    answer: dict[str, Any] = {"model_name": name, "model_version": version, "outputs": outputs}
    if request.id:
        answer["id"] = request.id
    head = dump(answer)
    if not tail:
        return head, JSON, b""
    length = b"inference-header-content-length: %d\r\n" % len(head)
    return b"".join((head, *tail)), b"application/octet-stream", length


def server_metadata() -> dict[str, Any]:
    """Answer of ``GET /v2``."""
    return {"name": "dunlin", "version": __version__, "extensions": ["binary_tensor_data", "model_repository"]}


def model_metadata(name: str, version: str, runtime: str, io: Io) -> dict[str, Any]:
    """Answer of ``GET /v2/models/{name}``; a free size is -1."""
    inputs, outputs = ([_described(spec) for spec in side] for side in (io.inputs, io.outputs))
    return {"name": name, "versions": [version], "platform": runtime, "inputs": inputs, "outputs": outputs}


def _described(spec: Spec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": BY_NAME[spec.dtype].datatype, "shape": list(spec.shape)}


def _bad(text: str) -> NoReturn:
    raise HttpError(400, text)


def _no_constant(name: str) -> NoReturn:
    _bad(f"{name} is not JSON (RFC 8259): send such numbers as binary data")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def _json(head: memoryview) -> dict[str, Any]:
    try:
        request = _DECODER.decode(str(head, "utf-8"))
    except (ValueError, RecursionError) as error:
        _bad(f"the request is not JSON ({str(error)[:80]})")
    if not isinstance(request, dict):
        _bad("the request is not a JSON object")
    return request


def _field(table: Mapping[str, Any], key: str, kind: type, where: str, default: Any = None) -> Any:
    value = table.get(key, default)
    if type(value) is not kind:
        _bad(f"{where} has no {key}" if value is None else f"{where}: {key} must be a JSON {_JSON_NAMES[kind]}")
    return value


_JSON_NAMES: dict[type, str] = {str: "string", list: "array", dict: "object"}


def _parameters(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    parameters: dict[str, Any] = _field(table, "parameters", dict, where, {})
    return parameters


def _flag(parameters: Mapping[str, Any], key: str, *, default: bool) -> bool:
    value = parameters.get(key, default)
    if type(value) is not bool:
        _bad(f"parameter {key} must be true or false")
    return bool(value)


def _input(entry: Any, binary: memoryview, at: int) -> tuple[Tensor, int]:
    """One input, and how far into the binary part all inputs so far reach."""
    if not isinstance(entry, dict):
        _bad("inputs: each must be a JSON object")
    name = _field(entry, "name", str, "an input")
    where = f"input {name[:64]!r}"
    datatype = _field(entry, "datatype", str, where)
    dtype = BY_DATATYPE.get(datatype)
    if dtype is None:
        _bad(f"{where}: datatype {datatype[:16]!r} is not one of {', '.join(BY_DATATYPE)}")
    shape = _shape(_field(entry, "shape", list, where), where)
    parameters = _parameters(entry, where)
    if "shared_memory_region" in parameters:
        _bad(f"{where}: shared memory is not offered; send binary data")
    size = parameters.get("binary_data_size")
    if size is None:
        return Tensor(name, dtype, shape, _pack(_field(entry, "data", list, where), dtype, shape, where)), at
    if type(size) is not int or size < 0:
        _bad(f"{where}: binary_data_size must be a number of bytes")
    if "data" in entry:
        _bad(f"{where} has both data and binary_data_size")
    if size > len(binary) - at:
        _bad(f"{where}: binary_data_size is {size}, {len(binary) - at} bytes are left")
    return Tensor(name, dtype, shape, binary[at : at + size]), at + size


def _shape(sizes: list[Any], where: str) -> tuple[int, ...]:
    if len(sizes) > CONTRACT.dimensions:
        _bad(f"{where}: at most {CONTRACT.dimensions} dimensions are allowed")
    if not all(type(size) is int and 0 <= size <= _MOST_ELEMENTS for size in sizes) or prod(sizes) > _MOST_ELEMENTS:
        _bad(f"{where}: shape must be a list of sizes")
    return tuple(sizes)


def _pack(data: list[Any], dtype: Dtype, shape: tuple[int, ...], where: str) -> bytes:
    """A JSON list, flat or nested as ``shape``, row-major, as bytes."""
    if data and type(data[0]) is list:
        rows = 1
        for size in shape[:-1]:
            rows *= size
            if len(data) != rows or not all(type(row) is list for row in data):
                _bad(f"{where}: data is not nested as its shape {list(shape)}")
            row_size = len(data[0])
            if any(len(row) != row_size for row in data):
                _bad(f"{where}: rows of data differ in length")
            data = list(chain.from_iterable(data))
    count = prod(shape)
    if len(data) != count:
        _bad(f"{where}: {len(data)} numbers of data; shape {list(shape)} needs {count}")
    if dtype.name == "bool" and not all(value in _BOOLEANS for value in data):
        _bad(f"{where}: data must be true or false")
    try:
        return struct.pack(f"<{count}{dtype.format}", *data)
    except (struct.error, OverflowError, TypeError) as error:
        _bad(f"{where}: data does not fit {dtype.datatype} ({str(error)[:80]})")


def _outputs(request: Mapping[str, Any], all_binary: bool) -> dict[str, bool] | None:
    """Name of each wanted output, and whether in binary; None when the request lets the model give all."""
    entries = _field(request, "outputs", list, "the request", [])
    if len(entries) > CONTRACT.tensors:
        _bad(f"outputs: at most {CONTRACT.tensors} are allowed")
    wanted: dict[str, bool] = {}
    for entry in entries:
        if not isinstance(entry, dict):
            _bad("outputs: each must be a JSON object")
        name = _field(entry, "name", str, "an output")
        where = f"output {name[:64]!r}"
        parameters = _parameters(entry, where)
        for unknown in ("classification", "shared_memory_region"):
            if parameters.get(unknown):
                _bad(f"{where}: {unknown} is not offered")
        if name in wanted:
            _bad(f"{where} is there twice")
        wanted[name] = _flag(parameters, "binary_data", default=all_binary)
    return wanted or None


def _values(tensor: Tensor) -> list[Any]:
    """A tensor's elements for JSON, which has no NaN and no infinity: null stands for them."""
    values = list(struct.unpack(f"<{prod(tensor.shape)}{tensor.dtype.format}", tensor.data))
    if tensor.dtype.format in "efd" and not all(map(isfinite, values)):
        return [value if isfinite(value) else None for value in values]
    return values
