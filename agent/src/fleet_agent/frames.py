"""Bytes on the data socket between front and worker: ``u32 length | body``, little-endian, one answer a request.

Request body:  u32 id | u8 kind | tensors (kind 0), or u8 image type | u16 top-k (0: the manifest's) | bytes (kind 1)
Response body: u32 id | u8 status | u8 leads | u16 members | u32 rows | u64 queue, input, run, output in ns | what was
               served, or u16 length + UTF-8 text (not served)
Served:        u16 count | predictions | tensors
Prediction:    u32 index | f32 score | u16 label length | label
Tensors:       u8 count | each: u16 name length | name | u8 dtype | u8 dimensions | u32 each | u32 data length | data

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
OUTPUT_BYTES = FRAME_BYTES - 1024 * 1024
"""What the outputs of one request may take; the rest of a frame is for what is said of them."""
TEXT_BYTES = 512
IMAGE_TYPES = ("image/jpeg", "image/png")
MOST_TOP_K = 1000

LENGTH = struct.Struct("<I")
_REQUEST = struct.Struct("<IB")
_IMAGE = struct.Struct("<BH")
_RESPONSE = struct.Struct("<IB?HIQQQQ")
_PREDICTION = struct.Struct("<IfH")
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
    LACKING = 4  # the device lacks what such a request needs


SERVED = (Status.SERVED, Status.NONFINITE)
"""How a request ends that has outputs."""


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


class Image(NamedTuple):
    """An encoded image in transit; ``top_k`` 0 leaves the number of predictions to the manifest."""

    kind: str
    top_k: int
    data: Buffer


class Request(NamedTuple):
    """A decoded request body: tensors, or an image."""

    id: int
    content: "list[Tensor] | Image"


class Prediction(NamedTuple):
    """One of the best classes: its place in the first output; ``label`` is empty where the release names none."""

    place: int
    score: float
    label: str


class Timing(NamedTuple):
    """What a request cost in the worker, in ns: waiting there, unpacking, the runtime alone, packing.

    ``members`` requests ran together, of ``rows`` rows in all; each has the whole run's times. ``leads``: the first of
    them, so that runs can be counted.
    """

    queue_ns: int = 0
    input_ns: int = 0
    run_ns: int = 0
    output_ns: int = 0
    rows: int = 1
    members: int = 1
    leads: bool = True


NO_TIME = Timing()


class Response(NamedTuple):
    """A decoded response body; ``text`` is set instead of ``tensors`` when it was not served."""

    id: int
    status: Status
    timing: Timing
    tensors: list[Tensor]
    predictions: tuple[Prediction, ...]
    text: str

    @property
    def run_us(self) -> int:
        """Its share of the runtime's time, in microseconds: a budget is for one request."""
        return self.timing.run_ns // (1000 * self.timing.members)


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
    """A request with tensors, after its id: it stays the same when it is sent again."""
    return b"".join((b"\0", *_tensor_parts(tensors)))


def pack_image(image: Image) -> bytes:
    """A request with an image, after its id; ``kind`` is one of IMAGE_TYPES."""
    return b"".join((b"\1", _IMAGE.pack(IMAGE_TYPES.index(image.kind), image.top_k), image.data))


def _tensor_parts(tensors: Sequence[Tensor]) -> list[Buffer]:
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
    return parts


def pack_request(number: int, packed: bytes) -> bytes:
    """A whole request frame around :func:`pack_tensors` or :func:`pack_image`."""
    return b"".join((LENGTH.pack(len(packed) + 4), LENGTH.pack(number), packed))


def pack_served(
    number: int,
    status: Status,
    timing: Timing,
    tensors: Sequence[Tensor],
    predictions: Sequence[Prediction] = (),
) -> bytes:
    """A whole response frame with outputs; ``status`` is SERVED or NONFINITE."""
    parts: list[Buffer] = [_response_head(number, status, timing), _SHORT.pack(len(predictions))]
    for place, score, label in predictions:
        raw = label.encode()
        parts += (_PREDICTION.pack(place, score, len(raw)), raw)
    parts += _tensor_parts(tensors)
    return b"".join((LENGTH.pack(sum(map(len, parts))), *parts))


def pack_unserved(number: int, status: Status, timing: Timing, text: str) -> bytes:
    """A whole response frame with a reason; ``status`` is REFUSED, FAILED or LACKING."""
    raw = text.encode()[:TEXT_BYTES]
    body = _response_head(number, status, timing) + _SHORT.pack(len(raw)) + raw
    return LENGTH.pack(len(body)) + body


def _response_head(number: int, status: Status, timing: Timing) -> bytes:
    queue_ns, input_ns, run_ns, output_ns, rows, members, leads = timing
    return _RESPONSE.pack(number, status, leads, members, rows, queue_ns, input_ns, run_ns, output_ns)


def parse_request(body: memoryview) -> Request:
    """Decode a request body without copying its tensors or its image.

    Raises:
        FrameError: not a request body.
    """
    try:
        number, kind = _REQUEST.unpack_from(body)
        at = _REQUEST.size
        if kind == 0:
            return Request(number, _parse_tensors(body, at))
        if kind != 1:
            raise FrameError(f"a request of kind {kind}")
        image_type, top_k = _IMAGE.unpack_from(body, at)
        return Request(number, Image(IMAGE_TYPES[image_type], top_k, body[at + _IMAGE.size :]))
    except (struct.error, UnicodeDecodeError, IndexError) as error:
        raise FrameError(f"not a request frame ({error})") from None


def parse_response(body: memoryview) -> Response:
    """Decode a response body without copying its tensors.

    Raises:
        FrameError: not a response body.
    """
    try:
        number, code, leads, members, rows, queue, into, run, out = _RESPONSE.unpack_from(body)
        if not members:
            raise FrameError("an answer of a run without requests")
        status, timing = Status(code), Timing(queue, into, run, out, rows, members, leads)
        at = _RESPONSE.size
        if status in SERVED:
            predictions, at = _parse_predictions(body, at)
            return Response(number, status, timing, _parse_tensors(body, at), predictions, "")
        (length,) = _SHORT.unpack_from(body, at)
        text = str(body[at + 2 :][:length], "utf-8", "replace")
        return Response(number, status, timing, [], (), text)
    except (struct.error, ValueError, IndexError) as error:
        raise FrameError(f"not a response frame ({error})") from None


def _parse_predictions(body: memoryview, at: int) -> tuple[tuple[Prediction, ...], int]:
    """The predictions, and where the tensors begin."""
    (count,) = _SHORT.unpack_from(body, at)
    at += 2
    predictions = []
    for _ in range(count):
        place, score, length = _PREDICTION.unpack_from(body, at)
        at += _PREDICTION.size + length
        predictions.append(Prediction(place, score, str(body[at - length : at], "utf-8")))
    return tuple(predictions), at


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
