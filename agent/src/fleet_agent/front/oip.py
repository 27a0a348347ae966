"""Requests of the Open Inference Protocol v2, from bytes; no sockets here.

Tensors travel in JSON, after the JSON in the binary tensor extension, whose header says how long the JSON is, or in
shared memory (github.com/kserve/open-inference-protocol, and Triton's extension_binary_data, _parameters,
_classification and _shared_memory).
"""

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from math import isfinite, prod
from typing import Any, NamedTuple, NoReturn

import orjson

from dunlin_contract.limits import LIMITS as CONTRACT
from dunlin_contract.manifest import Io
from fleet_agent.frames import BY_DATATYPE, BY_NAME, Buffer, Dtype, RequestError, Tensor, check_inputs
from fleet_agent.front.errors import HttpError
from fleet_agent.front.shared_memory import Memory, Target

_MOST_ELEMENTS = 2**31 - 1
_BOOLEANS = frozenset((False, True))
_WORD = re.compile(r"NaN|Infinity|-?[1-9][0-9]*(?:\.[0-9]+)?(?:[eE]\+?[0-9]+)?")
_WORD_CHARS = 400  # more digits than any float has
_REGION = "shared_memory_region"


class Wanted(NamedTuple):
    """How an output is wanted: in binary or JSON, as its largest ``classes``, or in shared memory."""

    binary: bool
    classes: int = 0
    target: Target | None = None


@dataclass(frozen=True, slots=True)
class InferRequest:
    """A parsed request: tensors by name, and the outputs it wants (None: all of them, in JSON or binary)."""

    id: str
    tensors: dict[str, Tensor]
    outputs: dict[str, Wanted] | None
    binary: bool
    timeout_s: float | None = None

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


def parse_infer(body: Buffer, json_length: int | None, memory: Memory) -> InferRequest:
    """Parse the body of an infer request; ``json_length`` is the binary extension's header, None without it.

    ``memory``: where tensors in shared memory are.

    Raises:
        HttpError: 400, with what is wrong and where; 403, shared memory that is not the sender's.
    """
    view = memoryview(body)
    head = view if json_length is None else view[:json_length]
    if json_length is not None and json_length > len(view):
        _bad(f"Inference-Header-Content-Length is {json_length}, the body has {len(view)} bytes")
    request = json_object(head)
    parts = _Parts(view[len(head) :], memory)
    tensors: dict[str, Tensor] = {}
    inputs = field(request, "inputs", list, "the request")
    if not 1 <= len(inputs) <= CONTRACT.tensors:
        _bad(f"inputs: 1 to {CONTRACT.tensors} are allowed, {len(inputs)} were sent")
    for entry in inputs:
        tensor = _input(entry, parts)
        if tensor.name in tensors:
            _bad(f"input {tensor.name!r} is there twice")
        tensors[tensor.name] = tensor
    if parts.rest:
        _bad(f"{parts.rest} bytes of binary data belong to no input")
    parameters = _parameters(request, "the request")
    if parameters.get("sequence_id") not in (None, 0, ""):
        _bad("sequences are not kept here: each request must stand on its own, without sequence_id")
    binary = _flag(parameters, "binary_data_output", default=False)
    outputs = _outputs(request, binary, memory)
    identity = field(request, "id", str, "the request", "")
    return InferRequest(identity, tensors, outputs, binary, _timeout_s(parameters))


def raw_request(body: Buffer, io: Io) -> InferRequest:
    """A request that is nothing but the bytes of the model's only input (extension_binary_data, "Raw Binary Request").

    Raises:
        HttpError: 400, the model or the bytes leave open what is meant.
    """
    if len(io.inputs) != 1:
        _bad(f"Inference-Header-Content-Length is 0: bytes alone are for models with one input, not {len(io.inputs)}")
    (spec,) = io.inputs
    dtype = BY_NAME[spec.dtype]
    known = prod(size for size in spec.shape if size >= 0) * dtype.bytes
    free = sum(size < 0 for size in spec.shape)
    if free > 1 or not known or len(body) % known or (not free and len(body) != known):
        _bad(f"{len(body)} bytes are no input {spec.name!r} of shape {list(spec.shape)} and type {dtype.datatype}")
    shape = tuple(len(body) // known if size < 0 else size for size in spec.shape)
    return InferRequest("", {spec.name: Tensor(spec.name, dtype, shape, memoryview(body))}, None, binary=True)


class _Parts:
    """Where the bytes of inputs are: behind the JSON, in the order of the inputs, or in shared memory."""

    def __init__(self, binary: memoryview, memory: Memory) -> None:
        self._binary = binary
        self._at = 0
        self.memory = memory

    @property
    def rest(self) -> int:
        return len(self._binary) - self._at

    def take(self, size: int, where: str) -> memoryview:
        if size > self.rest:
            _bad(f"{where}: binary_data_size is {size}, {self.rest} bytes are left")
        self._at += size
        return self._binary[self._at - size : self._at]


def _bad(text: str) -> NoReturn:
    raise HttpError(400, text)


def json_object(head: Buffer) -> dict[str, Any]:
    """The JSON object that a body is. Raises HttpError: 400."""
    try:
        request = orjson.loads(head)
    except orjson.JSONDecodeError as error:
        _bad(_why(error))
    if not isinstance(request, dict):
        _bad("the request is not a JSON object")
    return request


def _why(error: orjson.JSONDecodeError) -> str:
    """What a client that writes numbers in another way than JSON can make use of."""
    word = _WORD.match(error.doc[error.pos : error.pos + _WORD_CHARS])
    if word is None or isfinite(float(word[0])):
        return f"the request is not JSON ({str(error)[:80]})"
    if word[0][-1].isdigit():
        return f"{word[0][:24]} is out of the range of FP64"
    return f"{word[0]} is not JSON (RFC 8259): send such numbers as binary data"


def field(table: Mapping[str, Any], key: str, kind: type, where: str, default: Any = None) -> Any:
    """A field of the given JSON type. Raises HttpError: 400."""
    value = table.get(key, default)
    if type(value) is not kind:
        _bad(f"{where} has no {key}" if value is None else f"{where}: {key} must be a JSON {_JSON_NAMES[kind]}")
    return value


_JSON_NAMES: dict[type, str] = {str: "string", list: "array", dict: "object"}


def _parameters(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    parameters: dict[str, Any] = field(table, "parameters", dict, where, {})
    return parameters


def _flag(parameters: Mapping[str, Any], key: str, *, default: bool) -> bool:
    value = parameters.get(key, default)
    if type(value) is not bool:
        _bad(f"parameter {key} must be true or false")
    return bool(value)


def _input(entry: Any, parts: _Parts) -> Tensor:
    if not isinstance(entry, dict):
        _bad("inputs: each must be a JSON object")
    name = field(entry, "name", str, "an input")
    where = f"input {name[:64]!r}"
    datatype = field(entry, "datatype", str, where)
    dtype = BY_DATATYPE.get(datatype)
    if dtype is None:
        _bad(f"{where}: datatype {datatype[:16]!r} is not one of {', '.join(BY_DATATYPE)}")
    shape = _shape(field(entry, "shape", list, where), where)
    parameters = _parameters(entry, where)
    in_region, in_binary = parameters.get(_REGION) is not None, parameters.get("binary_data_size") is not None
    if in_region + in_binary + ("data" in entry) > 1:
        both = [key for key in ("data", _REGION, "binary_data_size") if key in entry or parameters.get(key) is not None]
        _bad(f"{where} has both {both[0]} and {both[1]}")
    if in_binary:
        return Tensor(name, dtype, shape, parts.take(_size(parameters, "binary_data_size", where), where))
    if in_region:
        region, offset, size = _place(parameters, where)
        if size != prod(shape) * dtype.bytes:
            _bad(f"{where}: {size} bytes of shared memory; shape {list(shape)} needs {prod(shape) * dtype.bytes}")
        return Tensor(name, dtype, shape, parts.memory.read(region, offset, size))
    return Tensor(name, dtype, shape, _pack(field(entry, "data", list, where), dtype, shape, where))


def _place(parameters: Mapping[str, Any], where: str) -> tuple[str, int, int]:
    """Region, offset and size of a tensor in shared memory."""
    region = field(parameters, _REGION, str, where)
    offset = _size(parameters, "shared_memory_offset", where, 0)
    return region, offset, _size(parameters, "shared_memory_byte_size", where)


def _size(parameters: Mapping[str, Any], key: str, where: str, default: int | None = None) -> int:
    size = parameters.get(key, default)
    if type(size) is not int or size < 0:
        _bad(f"{where}: {key} must be a number of bytes")
    return size


def _timeout_s(parameters: Mapping[str, Any]) -> float | None:
    """The parameter ``timeout``, in microseconds; 0 is none."""
    timeout = parameters.get("timeout", 0)
    if type(timeout) is not int or timeout < 0:
        _bad("parameter timeout must be a number of microseconds")
    return timeout / 1e6 if timeout else None


def _shape(sizes: list[Any], where: str) -> tuple[int, ...]:
    if len(sizes) > CONTRACT.dimensions:
        _bad(f"{where}: at most {CONTRACT.dimensions} dimensions are allowed")
    for size in sizes:
        if type(size) is not int or not 0 <= size <= _MOST_ELEMENTS:
            _bad(f"{where}: shape must be a list of sizes")
    if prod(sizes) > _MOST_ELEMENTS:
        _bad(f"{where}: shape must be a list of sizes, of {_MOST_ELEMENTS} elements at most")
    return tuple(sizes)


def _pack(data: list[Any], dtype: Dtype, shape: tuple[int, ...], where: str) -> bytes:
    """A JSON list, flat or nested as ``shape``, row-major, as bytes."""
    if data and type(data[0]) is list:
        rows = 1
        for size in shape[:-1]:
            rows *= size
            if len(data) != rows or not {list}.issuperset(map(type, data)):
                _bad(f"{where}: data is not nested as its shape {list(shape)}")
            if len(set(map(len, data))) > 1:
                _bad(f"{where}: rows of data differ in length")
            data = list(chain.from_iterable(data))
    count = prod(shape)
    if len(data) != count:
        _bad(f"{where}: {len(data)} numbers of data; shape {list(shape)} needs {count}")
    try:
        if dtype.name == "bool" and not _BOOLEANS.issuperset(data):
            _bad(f"{where}: data must be true or false")
        # Images come so; this takes two thirds of the time.
        return bytes(data) if dtype.name == "uint8" else struct.pack(f"<{count}{dtype.format}", *data)
    except (struct.error, OverflowError, TypeError, ValueError) as error:
        _bad(f"{where}: data does not fit {dtype.datatype} ({str(error)[:80]})")


def _outputs(request: Mapping[str, Any], all_binary: bool, memory: Memory) -> dict[str, Wanted] | None:
    """How each wanted output is wanted; None when the request lets the model give all."""
    entries = field(request, "outputs", list, "the request", [])
    if len(entries) > CONTRACT.tensors:
        _bad(f"outputs: at most {CONTRACT.tensors} are allowed")
    wanted: dict[str, Wanted] = {}
    for entry in entries:
        if not isinstance(entry, dict):
            _bad("outputs: each must be a JSON object")
        name = field(entry, "name", str, "an output")
        where = f"output {name[:64]!r}"
        if name in wanted:
            _bad(f"{where} is there twice")
        wanted[name] = _wanted(_parameters(entry, where), where, all_binary, memory)
    return wanted or None


def _wanted(parameters: Mapping[str, Any], where: str, all_binary: bool, memory: Memory) -> Wanted:
    classes = parameters.get("classification", 0)
    if type(classes) is not int or classes < 0:
        _bad(f"{where}: classification must be a number of classes")
    target = None
    if parameters.get(_REGION) is not None:
        if classes:
            _bad(f"{where}: classes are not put into shared memory; ask for them in the answer")
        target = memory.target(*_place(parameters, where))
    return Wanted(_flag(parameters, "binary_data", default=all_binary), classes, target)
