"""Compressed bodies. tritonclient sends ``deflate`` as zlib (RFC 1950), as HTTP has it; one decoder knows both."""

import zlib
from typing import Final

from fleet_agent.front.errors import HttpError

INLINE_BYTES: Final = 65_536
"""An answer that is compressed in the event loop itself; a larger one goes to a thread, so that nobody waits for it."""

_LEVEL = 1  # answers are packed on the device for a client nearby: time matters more than bytes
_WINDOW = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
_EITHER = 32 + zlib.MAX_WBITS


def known(encoding: bytes | None) -> str | None:
    """The request's Content-Encoding: None, "gzip" or "deflate".

    Raises:
        HttpError: 415, another.
    """
    if encoding is None:
        return None
    name = encoding.decode("latin-1").strip().lower()
    if name == "identity":
        return None
    if name not in _WINDOW:
        text = f"Content-Encoding {name[:32]!r} is not taken; send gzip, deflate or the body as it is"
        raise HttpError(415, text, headers=b"accept-encoding: gzip, deflate\r\n")
    return name


def wanted(accepted: bytes | None) -> str | None:
    """The encoding that a client explicitly asked its answer in.

    Only a header of one token is a wish. tritonclient's asyncio client sends ``gzip, deflate, br`` with everything, and
    reads compressed JSON from nothing but an infer call.
    """
    if accepted is None:
        return None
    name = accepted.decode("latin-1").strip().lower()
    return name if name in _WINDOW else None


def inflate(body: bytes, most: int) -> bytes:
    """The whole body, of at most ``most`` bytes.

    Raises:
        HttpError: 413, more would come out; 400, not compressed, cut short, or followed by other bytes.
    """
    stream = zlib.decompressobj(_EITHER)
    try:
        data = stream.decompress(body, most + 1)
    except zlib.error as error:
        raise HttpError(400, f"the body is not what its Content-Encoding says ({error})") from None
    if len(data) > most:
        raise HttpError(413, f"over {most} bytes of body are not taken, and this has more when it is decompressed")
    if not stream.eof:
        raise HttpError(400, "the compressed body is cut short")
    if stream.unused_data:
        raise HttpError(400, "bytes follow the compressed body")
    return data


def deflate(body: bytes, encoding: str) -> bytes:
    """``body`` as "gzip" or "deflate"."""
    stream = zlib.compressobj(_LEVEL, wbits=_WINDOW[encoding])
    return stream.compress(body) + stream.flush()
