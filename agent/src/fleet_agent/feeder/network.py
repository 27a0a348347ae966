"""Sources that are elsewhere: what is at a URL, and messages on a topic of a broker."""

import http.client
import queue
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from fleet_agent.config.sources import Source
from fleet_agent.feeder.calling import MOST_BYTES
from fleet_agent.feeder.errors import SourceError
from fleet_agent.feeder.inputs import Input

_TIMEOUT_S = 10.0
_INBOX = 16
_LOOK_S = 1.0
_PORTS = {"mqtt": 1883, "mqtts": 8883}


class Pull:
    """What a GET of the URL answers, once a period. No redirects: what is asked is what the owner wrote down."""

    durable = False

    def __init__(self, source: Source) -> None:
        self._url = urlsplit(source.url)

    def inputs(self) -> Iterator[Input | None]:
        """Bodies, as fast as they are asked for. Raises SourceError: it is not there."""
        while True:
            data = self._get()
            yield Input(self._url.path.rpartition("/")[2] or "answer", lambda data=data: data)  # type: ignore[misc]

    def _get(self) -> bytes:
        secure = self._url.scheme == "https"
        try:
            # The port may be no number.
            kind: Any = http.client.HTTPSConnection if secure else http.client.HTTPConnection
            connection = kind(self._url.hostname or "", self._url.port, timeout=_TIMEOUT_S)
            try:
                target = self._url.path + (f"?{self._url.query}" if self._url.query else "")
                connection.request("GET", target or "/", headers={"Accept-Encoding": "identity"})
                response = connection.getresponse()
                data: bytes = response.read(MOST_BYTES + 1)
                status = response.status
            finally:
                connection.close()
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise SourceError(f"{self._shown} does not answer ({_reason(error)})") from None
        if status != 200:
            raise SourceError(f"{self._shown} answers {status}")
        if len(data) > MOST_BYTES:
            raise SourceError(f"{self._shown} answers with more than {MOST_BYTES} bytes")
        return data

    @property
    def _shown(self) -> str:
        """Without what may be a password."""
        return f"{self._url.scheme}://{self._url.hostname}{self._url.path}"


class Broker:
    """A client of a broker: connects, and connects again, in paho's own thread."""

    def __init__(self, url: str, connected: Callable[[paho.Client], object] = lambda _: None) -> None:
        parts = urlsplit(url)
        self._where = (parts.hostname or "", parts.port or _PORTS[parts.scheme])
        self.why = "not connected yet"
        self.client = client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        if parts.scheme == "mqtts":
            client.tls_set_context(ssl.create_default_context())
        client.reconnect_delay_set(1, 60)
        client.max_queued_messages_set(_INBOX)
        self._subscribe = connected
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.connect_async(self._where[0], self._where[1], 30)
        client.loop_start()

    @property
    def shown(self) -> str:
        """Where it is."""
        return f"broker {self._where[0]} port {self._where[1]}"

    def _on_connect(self, client: paho.Client, _: Any, __: Any, code: Any, ___: Any) -> None:
        self.why = f"it refuses: {code}" if code.is_failure else ""
        if not code.is_failure:
            self._subscribe(client)

    def _on_connect_fail(self, _: paho.Client, __: Any) -> None:
        self.why = "nobody answers there"

    def _on_disconnect(self, _: paho.Client, __: Any, ___: Any, code: Any, ____: Any) -> None:
        self.why = f"the connection ended: {code}"


class Topic:
    """Messages on a topic. The newest few wait; older ones give way."""

    durable = False

    def __init__(self, source: Source) -> None:
        self._source = source
        self._inbox: queue.Queue[tuple[str, bytes]] = queue.Queue(_INBOX)
        self._broker: Broker | None = None

    def inputs(self) -> Iterator[Input | None]:
        """Messages; None for each second without one. Raises SourceError: there is no connection."""
        if self._broker is None:
            self._broker = Broker(self._source.url, lambda client: client.subscribe(self._source.topic, 1))
            self._broker.client.on_message = self._on_message
            deadline = time.monotonic() + _TIMEOUT_S
            while self._broker.why and time.monotonic() < deadline:
                time.sleep(_LOOK_S / 10)
        while True:
            try:
                topic, data = self._inbox.get(timeout=_LOOK_S)
            except queue.Empty:
                if self._broker.why:
                    raise SourceError(f"{self._broker.shown}: {self._broker.why}") from None
                yield None
                continue
            yield Input(topic, lambda data=data: data)  # type: ignore[misc]

    def _on_message(self, _: paho.Client, __: Any, message: paho.MQTTMessage) -> None:
        if len(message.payload) > MOST_BYTES:
            return
        while True:
            with suppress(queue.Full):
                self._inbox.put_nowait((message.topic, bytes(message.payload)))
                return
            with suppress(queue.Empty):
                self._inbox.get_nowait()


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or getattr(error, "reason", None) or type(error).__name__)
