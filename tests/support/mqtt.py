"""A blocking MQTT 5 client over paho for tests: every call waits for the broker's answer and returns it."""

import queue
import ssl
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.support.certificates import Identity

WAIT_S = 20.0


class Client:
    """One connection. `inbox` receives `(topic, payload, retained)` in order of arrival."""

    def __init__(self, port: int, ca: Path, identity: Identity | None, client_id: str = "test") -> None:
        self.inbox: queue.Queue[tuple[str, bytes, bool]] = queue.Queue()
        self.connack: queue.Queue[ReasonCode] = queue.Queue()
        self.lost = threading.Event()
        self.disconnect_reason: ReasonCode | None = None
        self._answers: queue.Queue[tuple[int, ReasonCode]] = queue.Queue()
        self._port = port
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=paho.MQTTv5)
        context = ssl.create_default_context(cafile=ca)
        if identity is not None:
            context.load_cert_chain(identity.certificate, identity.key)
        self._client.tls_set_context(context)
        # Otherwise paho writes from the caller's thread as well, and two writers break one TLS connection.
        self._client.on_socket_register_write = lambda *_: None
        self._client.on_connect = lambda _c, _u, _f, code, _p: self.connack.put(code)
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = lambda _c, _u, m: self.inbox.put((m.topic, bytes(m.payload), m.retain))
        self._client.on_publish = lambda _c, _u, mid, code, _p: self._answers.put((mid, code))
        self._client.on_subscribe = lambda _c, _u, mid, codes, _p: self._answers.put((mid, codes[0]))

    def _on_disconnect(self, _c: Any, _u: Any, _f: Any, code: ReasonCode, _p: Any) -> None:
        self.disconnect_reason = code
        self.lost.set()

    def will(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._client.will_set(topic, payload, qos=1, retain=retain)

    def connect(self, *, session_expiry_s: int = 0) -> ReasonCode:
        """The broker's verdict; raises OSError (ssl.SSLError among them) where it hangs up without one."""
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = session_expiry_s
        self._client.connect(
            "127.0.0.1", self._port, keepalive=30, clean_start=not session_expiry_s, properties=properties
        )
        deadline = time.monotonic() + WAIT_S
        while self.connack.empty():
            result = self._client.loop(0.2)
            if result not in (paho.MQTT_ERR_SUCCESS, paho.MQTT_ERR_AGAIN) and self.connack.empty():
                raise ConnectionError(paho.error_string(result))
            if time.monotonic() > deadline:
                raise TimeoutError("no CONNACK")
        code = self.connack.get()
        if not code.is_failure:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
        return code

    def _run(self) -> None:
        while not self._ending.is_set() and self._client.loop(0.2) == paho.MQTT_ERR_SUCCESS:
            pass

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> ReasonCode:
        """Publish at QoS 1; the reason code of the PUBACK."""
        return self._answer(self._client.publish(topic, payload, qos=1, retain=retain).mid)

    def subscribe(self, topic: str) -> ReasonCode:
        """Subscribe at QoS 1; the reason code of the SUBACK."""
        _, mid = self._client.subscribe(topic, options=SubscribeOptions(qos=1))
        assert mid is not None
        return self._answer(mid)

    def _answer(self, wanted: int) -> ReasonCode:
        while True:
            mid, code = self._answers.get(timeout=WAIT_S)
            if mid == wanted:
                return code

    def received(self) -> list[tuple[str, bytes, bool]]:
        """All that has arrived so far."""
        got = []
        while not self.inbox.empty():
            got.append(self.inbox.get())
        return got

    def vanish(self) -> None:
        """Cut the connection without a DISCONNECT, as a device does that loses power: its will is due."""
        self._end()

    def close(self) -> None:
        self._client.disconnect()
        self._end()

    def _end(self) -> None:
        self._ending.set()
        if self._thread is not None:
            self._thread.join()
        self._client._reset_sockets()  # paho leaves its sockets to the garbage collector, which complains

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _t: type[BaseException] | None, _e: BaseException | None, _tb: TracebackType | None) -> None:
        self.close()
