"""The link between a microcontroller and its gateway, over any byte pipe: frames, and the messages in them.

A frame on the line is ``COBS(body || CRC-32 of body) 00``. The line may lose, change and add bytes: what does not
decode is dropped and counted, and whoever needs an answer asks again. The child believes nothing that it gets here; the
CRC finds damage, signatures and hashes find forgeries.
"""

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from dunlin_contract import ids
from dunlin_contract.errors import ContractError
from dunlin_contract.limits import LIMITS
from dunlin_contract.rules import Rule, refuse, require

VERSION = 1
BODY_BYTES = 256
PIECE_BYTES = 240
"""Bytes of an object or a message that one frame carries at most."""
GET_BYTES = 1024
UP_BYTES = 4096
WINDOW_BYTES = 1024
"""How far beyond the last ``Got`` a child may send."""
PREFIX_BYTES = 8

_DELIMITER = b"\x00"
_CRC_BYTES = 4
_CODED_BYTES = BODY_BYTES + _CRC_BYTES + 2
"""Of the longest frame, without the delimiter: COBS adds a byte for each 254 begun."""


class UpKind(IntEnum):
    """What a message of the child is; each goes to the topic of the same name."""

    REPORTED = 1
    EVENTS = 2
    ENROL = 3


class OfferKind(IntEnum):
    """What an offered message is. The gateway offers the latest of each kind."""

    DESIRED = 1
    ACK = 2
    ENROL = 3
    CLAIM = 4


# ---- frames


def _stuffed(data: bytes) -> bytes:
    """Consistent Overhead Byte Stuffing (Cheshire, Baker 1999): no zero is left."""
    out = bytearray()
    parts = data.split(b"\x00")
    for place, part in enumerate(parts):
        rest = part
        while len(rest) >= 254:
            out += b"\xff" + rest[:254]
            rest = rest[254:]
            if not rest and place == len(parts) - 1:
                return bytes(out)
        out += bytes([len(rest) + 1]) + rest
    return bytes(out)


def _unstuffed(data: bytes) -> bytes:
    out = bytearray()
    left, zero = 0, False
    for byte in data:
        if left:
            out.append(byte)
            left -= 1
        else:
            if zero:
                out.append(0)
            left, zero = byte - 1, byte < 255
    require(Rule.FRAME, left == 0 and 0 not in data, "a frame is damaged")
    return bytes(out)


def encode(body: bytes) -> bytes:
    """The frame of ``body``, with its delimiter. A sender that was silent puts one more 00 in front."""
    return _stuffed(body + zlib.crc32(body).to_bytes(_CRC_BYTES, "big")) + _DELIMITER


def decode(frame: bytes) -> bytes:
    """Body of a frame without its delimiter.

    Raises:
        MalformedError: ``frame``: damaged, or too short or too long for a frame.
    """
    data = _unstuffed(frame)
    require(Rule.FRAME, _CRC_BYTES < len(data) <= BODY_BYTES + _CRC_BYTES, "not as long as a frame can be")
    body, crc = data[:-_CRC_BYTES], data[-_CRC_BYTES:]
    require(Rule.FRAME, zlib.crc32(body).to_bytes(_CRC_BYTES, "big") == crc, "a frame's check sum does not hold")
    return body


class Decoder:
    """Frames out of a stream of bytes. Holds at most one frame, whatever comes."""

    def __init__(self) -> None:
        self._held = bytearray()
        self.errors = 0
        """How many frames did not decode."""

    def feed(self, data: bytes) -> list[bytes]:
        """Bodies of the frames that ``data`` completes."""
        bodies: list[bytes] = []
        *ends, rest = data.split(_DELIMITER)
        for piece in ends:
            self._hold(piece)
            if self._held:
                try:
                    bodies.append(decode(bytes(self._held)))
                except ContractError:
                    self.errors += 1
            self._held.clear()
        self._hold(rest)
        return bodies

    def _hold(self, piece: bytes) -> None:
        """One byte more than the longest frame is kept, so that a frame that is too long is known for one."""
        self._held += piece[: _CODED_BYTES + 1 - len(self._held)]


# ---- messages


@dataclass(frozen=True, slots=True)
class Hello:
    """Child: I am here. At boot and until a Welcome comes; then every few seconds. ``device`` empty: not enrolled."""

    enrolled: bool
    boot_nonce: bytes
    device: str

    def to_body(self) -> bytes:
        """The message's bytes."""
        return struct.pack(">BBB16s", 0x01, VERSION, self.enrolled, self.boot_nonce) + _short(self.device)

    @classmethod
    def _read(cls, reader: "_Reader") -> Self:
        _version(reader)
        flags = reader.number(1, 0, 1)
        return cls(bool(flags), reader.take(16), reader.device(empty=True))


@dataclass(frozen=True, slots=True)
class Get:
    """Child: send these bytes of an object or an offered message."""

    name: bytes
    offset: int
    length: int

    def to_body(self) -> bytes:
        """The message's bytes."""
        return struct.pack(">B32sIH", 0x02, self.name, self.offset, self.length)

    @classmethod
    def _read(cls, reader: "_Reader") -> Self:
        return cls(reader.take(32), reader.number(4), reader.number(2, 1, GET_BYTES))


@dataclass(frozen=True, slots=True)
class Up:
    """Child: a piece of message number ``id``, which is ``total`` bytes long."""

    kind: UpKind
    id: int
    offset: int
    total: int
    data: bytes

    def to_body(self) -> bytes:
        """The message's bytes."""
        return struct.pack(">BBHHH", 0x03, self.kind, self.id, self.offset, self.total) + self.data

    @classmethod
    def _read(cls, reader: "_Reader") -> Self:
        kind = UpKind(reader.number(1, 1, len(UpKind)))
        up = cls(kind, reader.number(2), reader.number(2), reader.number(2, 1, UP_BYTES), reader.piece())
        require(Rule.FRAME, up.offset + len(up.data) <= up.total, "a piece reaches beyond its message")
        return up


@dataclass(frozen=True, slots=True)
class Took:
    """Child: I have this offered message, whatever I think of it. Offer it no more."""

    name: bytes

    def to_body(self) -> bytes:
        """The message's bytes."""
        return b"\x04" + self.name

    @classmethod
    def _read(cls, reader: "_Reader") -> Self:
        return cls(reader.take(32))


@dataclass(frozen=True, slots=True)
class Welcome:
    """Gateway: the answer to Hello."""

    gateway: str

    def to_body(self) -> bytes:
        """The message's bytes."""
        return bytes([0x81, VERSION]) + _short(self.gateway)

    @classmethod
    def _read(cls, reader: "_Reader") -> Self:
        _version(reader)
        return cls(reader.device())


@dataclass(frozen=True, slots=True)
class Offer:
    """Gateway: there is a message for you, ``length`` bytes with SHA-256 ``name``. Repeated until Took."""

    kind: OfferKind
    length: int
    name: bytes

    def to_body(self) -> bytes:
        """The message's bytes."""
        return struct.pack(">BBH32s", 0x82, self.kind, self.length, self.name)

    @classmethod
    def _read(cls, reader: "_Reader") -> Self:
        return cls(OfferKind(reader.number(1, 1, len(OfferKind))), reader.number(2, 1), reader.take(32))


@dataclass(frozen=True, slots=True)
class Data:
    """Gateway: bytes at ``offset`` of what begins with ``prefix`` in its name; none where that ends."""

    prefix: bytes
    offset: int
    data: bytes

    def to_body(self) -> bytes:
        """The message's bytes."""
        return struct.pack(">B8sI", 0x83, self.prefix, self.offset) + self.data

    @classmethod
    def _read(cls, reader: "_Reader") -> Self:
        return cls(reader.take(PREFIX_BYTES), reader.number(4), reader.piece(0))


@dataclass(frozen=True, slots=True)
class Nothing:
    """Gateway: not here yet, it is being fetched. Ask again."""

    prefix: bytes

    def to_body(self) -> bytes:
        """The message's bytes."""
        return b"\x84" + self.prefix

    @classmethod
    def _read(cls, reader: "_Reader") -> Self:
        return cls(reader.take(PREFIX_BYTES))


@dataclass(frozen=True, slots=True)
class Got:
    """Gateway: of message ``id`` everything before ``next`` is here; its total: it was handed to the broker."""

    id: int
    next: int

    def to_body(self) -> bytes:
        """The message's bytes."""
        return struct.pack(">BHH", 0x85, self.id, self.next)

    @classmethod
    def _read(cls, reader: "_Reader") -> Self:
        return cls(reader.number(2), reader.number(2, 0, UP_BYTES))


Message = Hello | Get | Up | Took | Welcome | Offer | Data | Nothing | Got
_TYPES: dict[int, type[Message]] = {
    0x01: Hello,
    0x02: Get,
    0x03: Up,
    0x04: Took,
    0x81: Welcome,
    0x82: Offer,
    0x83: Data,
    0x84: Nothing,
    0x85: Got,
}


def parse(body: bytes) -> Message:
    """The message in a frame's body.

    Raises:
        MalformedError: ``frame``: not a message of the link.
        SchemaError: ``version``: of another version of the link.
    """
    kind = _TYPES.get(body[0]) if body else None
    if kind is None:
        refuse(Rule.FRAME, "not a message of the link")
    reader = _Reader(body[1:])
    message = kind._read(reader)
    require(Rule.FRAME, not reader.rest, "bytes follow a message")
    return message


@dataclass(frozen=True, slots=True)
class Claim:
    """What a gateway offers to a child that is not enrolled: the name it shall have, and a claim token."""

    device: str
    token: str

    def __repr__(self) -> str:
        return f"Claim(device={self.device!r}, token=...)"

    def to_bytes(self) -> bytes:
        """The offered message."""
        return _short(self.device) + self.token.encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read an offered claim; the token itself is not looked at.

        Raises:
            MalformedError: ``frame``.
        """
        reader = _Reader(data)
        device, token = reader.device(), reader.rest
        fits = 0 < len(token) <= LIMITS.claim_token_chars and token.isascii()
        require(Rule.FRAME, fits, "a claim holds no claim token")
        return cls(device, token.decode())


def _short(name: str) -> bytes:
    return bytes([len(name)]) + name.encode()


def _version(reader: "_Reader") -> None:
    version = reader.number(1)
    require(Rule.VERSION, version == VERSION, f"link version {version} is not {VERSION}; update the older side")


class _Reader:
    """Fields from the front of ``rest``; each refuses what is not there, or out of its range."""

    def __init__(self, data: bytes) -> None:
        self.rest = data

    def take(self, length: int) -> bytes:
        require(Rule.FRAME, len(self.rest) >= length, "a message is cut short")
        taken, self.rest = self.rest[:length], self.rest[length:]
        return taken

    def number(self, width: int, least: int = 0, most: int = 2**32 - 1) -> int:
        value = int.from_bytes(self.take(width), "big")
        require(Rule.FRAME, least <= value <= most, f"{value} is out of place in a message")
        return value

    def piece(self, least: int = 1) -> bytes:
        taken, self.rest = self.rest, b""
        require(Rule.FRAME, least <= len(taken) <= PIECE_BYTES, f"a piece of {len(taken)} bytes")
        return taken

    def device(self, *, empty: bool = False) -> str:
        name = self.take(self.number(1)).decode("latin-1")
        require(Rule.FRAME, (empty and not name) or ids.is_device(name), "not a device id")
        return name
