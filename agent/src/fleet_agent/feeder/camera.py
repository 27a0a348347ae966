"""Pictures of a camera: V4L2 or RTSP, through PyAV. What is in the way of the newest picture is dropped.

A driver may hang for ever in a read that no time-out ends: the supervisor then kills this process (see its watchdog).
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

from fleet_agent.config.sources import Source
from fleet_agent.feeder.errors import SourceError
from fleet_agent.feeder.inputs import Input

_OPEN_S, _READ_S = 10.0, 10.0
_QUALITY = 3
"""Of the JPEGs, in FFmpeg's scale: 2 is best, 31 worst."""


class Camera:
    """One camera. ``opened`` and ``format`` are what PyAV is told; tests give others."""

    durable = False

    def __init__(self, source: Source, now: Callable[[], float] = time.monotonic) -> None:
        self._name = source.device or source.url
        self._period_s = 1 / source.per_s
        self._now = now
        if source.device:
            self.format: str | None = "v4l2"
            self.options = {"framerate": "15"}
        else:
            self.format = None
            self.options = {"rtsp_transport": "tcp"}

    def inputs(self) -> Iterator[Input | None]:
        """JPEGs, no more than the source may ask for; None for each picture that came too early.

        Raises:
            SourceError: the camera is not there, or went away.
        """
        try:
            import av
        except ImportError:
            raise SourceError("cameras need PyAV: pip install 'dunlin-agent[camera]'") from None
        try:
            with av.open(self._name, format=self.format, options=self.options, timeout=(_OPEN_S, _READ_S)) as opened:
                if not opened.streams.video:
                    raise SourceError(f"camera {self._shown} gives no pictures")
                yield from self._pictures(av, opened)
        except (av.error.FFmpegError, OSError) as error:
            raise SourceError(f"camera {self._shown} gives no pictures ({_reason(error)})") from None
        raise SourceError(f"camera {self._shown} gives no more pictures")

    def _pictures(self, av: Any, opened: Any) -> Iterator[Input | None]:
        due = self._now()
        encoder = None
        for frame in opened.decode(video=0):
            now = self._now()
            if now < due:
                yield None
                continue
            due = max(due + self._period_s, now)
            if encoder is None or (encoder.width, encoder.height) != (frame.width, frame.height):
                encoder = _encoder(av, frame.width, frame.height)
            picture = frame.reformat(format="yuvj420p")
            picture.pts = None
            data = b"".join(bytes(packet) for packet in encoder.encode(picture))
            if data:
                yield Input("picture", lambda data=data: data)  # type: ignore[misc]

    @property
    def _shown(self) -> str:
        """Without a password that the URL may hold."""
        scheme, separator, rest = self._name.partition("://")
        return f"{scheme}{separator}{rest.rpartition('@')[2]}" if separator else self._name


def _encoder(av: Any, width: int, height: int) -> Any:
    from fractions import Fraction

    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
    encoder.time_base = Fraction(1, 15)
    encoder.options = {"qmin": str(_QUALITY), "qmax": str(_QUALITY)}
    return encoder


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or type(error).__name__)
