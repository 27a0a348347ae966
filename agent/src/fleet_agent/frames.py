"""Bytes on the data socket between front and worker: ``u32 length | body``, little-endian, one answer a request.

Request body:  u32 id | u8 tensor count | tensors
Response body: u32 id | u8 status | u32 run time in us | tensors (served), or u16 length + UTF-8 text (not served)
Tensor:        u8 name length | name | u8 dtype code | u8 dimensions | u32 each | u32 data length | data

Tensors stand in the order of the model's io. No numpy here: the front copies bytes and never computes with them.
"""

import struct
from collections.abc import Sequence
from enum import IntEnum
from math import prod
from typing import NamedTuple, TypeAlias

from dunlin_contract.golden import ITEM_BYTES
from dunlin_contract.limits import LIMITS
from dunlin_contract.manifest import DTYPES as NAMES
from dunlin_contract.manifest import Tensor as Spec

FRAME_BYTES = 64 * 1024 * 1024
TEXT_BYTES = 512

LENGTH = struct.Struct("<I")
_REQUEST = struct.Struct("<IB")
_RESPONSE = struct.Struct("<IBI")
_SHORT = struct.Struct("<H")
_PAIR = struct.Struct("<BB")
_DIMS = tuple(struct.Struct(f"<{count}I") for count in range(LIMITS.dimensions + 1))

Buffer: TypeAlias = bytes | bytearray | memoryview


class FrameError(Exception):
    """The bytes are not a frame; the connection cannot go on."""


class Status(IntEnum):
    """How a request ended."""

    SERVED = 0
    REFUSED = 1  # the request's fault
    FAILED = 2  # the model's fault
    NONFINITE = 3  # served, and finite inputs gave an output that is NaN or infinite


class Dtype(NamedTuple):
    """Element type: its code in a frame, its names in the manifest and in the Open Inference Protocol, size, format."""

    code: int
    name: str
    datatype: str
    bytes: int
    format: str


# The protocol's name and the struct format of each of the manifest's dtypes.
_FORMS = {
    "bool": ("BOOL", "?"),
    "int8": ("INT8", "b"),
    "uint8": ("UINT8", "B"),
    "int16": ("INT16", "h"),
    "uint16": ("UINT16", "H"),
    "int32": ("INT32", "i"),
    "uint32": ("UINT32", "I"),
    "int64": ("INT64", "q"),
    "uint64": ("UINT64", "Q"),
    "float16": ("FP16", "e"),
    "float32": ("FP32", "f"),
    "float64": ("FP64", "d"),
}
DTYPES = tuple(Dtype(code, name, _FORMS[name][0], ITEM_BYTES[name], _FORMS[name][1]) for code, name in enumerate(NAMES))
BY_NAME = {dtype.name: dtype for dtype in DTYPES}
BY_DATATYPE = {dtype.datatype: dtype for dtype in DTYPES}


class Tensor(NamedTuple):
    """One tensor in transit: row-major, little-endian."""

    name: str
    dtype: Dtype
    shape: tuple[int, ...]
    data: Buffer


class Request(NamedTuple):
    """A decoded request body."""

    id: int
    tensors: list[Tensor]


class Response(NamedTuple):
    """A decoded response body; ``text`` is set instead of ``tensors`` when it was not served."""

    id: int
    status: Status
    run_us: int
    tensors: list[Tensor]
    text: str


class RequestError(Exception):
    """The tensors are not what the model takes; the text is for whoever sent them."""


def check_inputs(specs: Sequence[Spec], tensors: Sequence[Tensor]) -> None:
    """Names, order, dtypes, shapes (free sizes too) and lengths are those of the model's inputs.

    The front asks, to answer quickly; the worker asks again before a runtime touches the bytes.

    Raises:
        RequestError: naming the first tensor that is wrong, and what is expected.
    """
    if len(tensors) != len(specs):
        raise RequestError(f"{len(tensors)} inputs were sent; the model takes {len(specs)}")
    for spec, (name, dtype, shape, data) in zip(specs, tensors, strict=True):
        if name != spec.name:
            raise RequestError(f"input {name[:64]!r} is not what the model takes here; {spec.name!r} is expected")
        if dtype.name != spec.dtype:
            expected = BY_NAME[spec.dtype].datatype
            raise RequestError(f"input {name!r}: datatype {dtype.datatype}; {expected} is expected")
        if shape != spec.shape and not _fits(shape, spec.shape):
            raise RequestError(f"input {name!r}: shape {list(shape)}; {list(spec.shape)} is expected")
        length = prod(shape) * dtype.bytes
        if len(data) != length:
            raise RequestError(f"input {name!r}: {len(data)} bytes of data; shape {list(shape)} needs {length}")


def _fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """A free size (-1) takes any size but 0, which no kernel is tested with."""
    pairs = zip(shape, wanted, strict=False)
    return len(shape) == len(wanted) and all(size == want or (want < 0 < size) for size, want in pairs)


def pack_tensors(tensors: Sequence[Tensor]) -> bytes:
    """Tensor count and tensors: a request body after its id, which stays the same when the request is sent again."""
    parts: list[Buffer] = [len(tensors).to_bytes(1, "little")]
    for name, dtype, shape, data in tensors:
        raw = name.encode()
        parts += (
            _SHORT.pack(len(raw)),
            raw,
            _PAIR.pack(dtype.code, len(shape)),
            _DIMS[len(shape)].pack(*shape),
            LENGTH.pack(len(data)),
            data,
        )
    return b"".join(parts)


def pack_request(number: int, packed: bytes) -> bytes:
    """A whole request frame around :func:`pack_tensors`."""
    return b"".join((LENGTH.pack(len(packed) + 4), LENGTH.pack(number), packed))


def pack_served(number: int, status: Status, run_us: int, tensors: Sequence[Tensor]) -> bytes:
    """A whole response frame with outputs; ``status`` is SERVED or NONFINITE."""
    packed = pack_tensors(tensors)
    head = _RESPONSE.pack(number, status, min(run_us, 0xFFFFFFFF))
    return b"".join((LENGTH.pack(len(head) + len(packed)), head, packed))


def pack_unserved(number: int, status: Status, run_us: int, text: str) -> bytes:
    """A whole response frame with a reason; ``status`` is REFUSED or FAILED."""
    raw = text.encode()[:TEXT_BYTES]
    body = _RESPONSE.pack(number, status, min(run_us, 0xFFFFFFFF)) + _SHORT.pack(len(raw)) + raw
    return LENGTH.pack(len(body)) + body


def parse_request(body: memoryview) -> Request:
    """Decode a request body without copying its tensors.

    Raises:
        FrameError: not a request body.
    """
    try:
        (number,) = LENGTH.unpack_from(body)
        return Request(number, _parse_tensors(body, 4))
    except (struct.error, UnicodeDecodeError, IndexError) as error:
        raise FrameError(f"not a request frame ({error})") from None


def parse_response(body: memoryview) -> Response:
    """Decode a response body without copying its tensors.

    Raises:
        FrameError: not a response body.
    """
    try:
        number, code, run_us = _RESPONSE.unpack_from(body)
        status = Status(code)
        if status in (Status.SERVED, Status.NONFINITE):
            return Response(number, status, run_us, _parse_tensors(body, _RESPONSE.size), "")
        (length,) = _SHORT.unpack_from(body, _RESPONSE.size)
        text = str(body[_RESPONSE.size + 2 :][:length], "utf-8", "replace")
        return Response(number, status, run_us, [], text)
    except (struct.error, ValueError, IndexError) as error:
        raise FrameError(f"not a response frame ({error})") from None


def _parse_tensors(body: memoryview, at: int) -> list[Tensor]:
    tensors = []
    count = body[at]
    at += 1
    for _ in range(count):
        (length,) = _SHORT.unpack_from(body, at)
        end = at + 2 + length
        name = str(body[at + 2 : end], "utf-8")
        code, dimensions = _PAIR.unpack_from(body, end)
        if code >= len(DTYPES) or dimensions > LIMITS.dimensions:
            raise FrameError("a tensor with an unknown dtype or too many dimensions")
        at = end + 2
        shape = _DIMS[dimensions].unpack_from(body, at)
        at += 4 * dimensions
        (length,) = LENGTH.unpack_from(body, at)
        at += 4
        data = body[at : at + length]
        if len(data) != length:
            raise FrameError("a tensor is cut short")
        at += length
        tensors.append(Tensor(name, DTYPES[code], shape, data))
    if at != len(body):
        raise FrameError("bytes after the last tensor")
    return tensors
