"""The agent's one MQTT 5 connection over mutual TLS, in threads of its own.

Certificates are checked against signed time, not the wall clock: a board that wakes in 1970 still reaches its broker,
and a clock set back does not revive an expired one.
"""

import random
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from dunlin_contract import topics
from dunlin_contract.limits import LIMITS
from fleet_agent.clock import SignedTime
from fleet_agent.paths import Paths
from fleet_agent.supervisor.log import log
from fleet_agent.supervisor.loop import Loop
from fleet_agent.tls import CertificateTooOldError, check_peer, client_context

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 120.0
KEEPALIVE_S = 30
AGAIN_S = 30.0
"""What the broker refused to subscribe is asked for again after this long: its access list may have been put right."""
_DENIED = 135
_FAILED = 128
"""Reason codes from here on are failures (MQTT 5, 2.4)."""
_GOODBYE_S = 2.0
_IN_FLIGHT = 32


Done = Callable[[bool], None]
"""Takes whether the broker has the message, in the loop's thread."""


class Handler(Protocol):
    """Whom the connection tells, in the loop's thread."""

    def online(self) -> None:
        """Connected; nothing is subscribed yet."""

    def offline(self, why: str) -> None:
        """Not connected (any more)."""

    def message(self, topic: str, payload: bytes) -> None:
        """Something came."""

    def denied(self, what: str, topic: str) -> None:
        """The broker does not let this device do ``what`` ("publish on", "listen to") there."""

    def certificate_expired(self) -> None:
        """The broker says that this device's own certificate has expired."""


class Link:
    """Connects, and connects again after growing pauses, until stopped. Its methods are for the loop's thread."""

    def __init__(self, loop: Loop, paths: Paths, address: topics.Address, time: SignedTime, handler: Handler) -> None:
        self._loop = loop
        self._paths = paths
        self._address = address
        self._time = time
        self._handler = handler
        self._client: paho.Client | None = None
        self._sent: dict[int, tuple[str, Done | None]] = {}
        self._asked: dict[int, Sequence[str]] = {}
        self._refused: set[str] = set()
        self._stopping = threading.Event()
        self._again = threading.Event()
        self._over = threading.Event()
        self._ended = ""
        self._connected = False
        self._thread: threading.Thread | None = None

    def start(self, host: str, port: int) -> None:
        """Begin connecting."""
        self._thread = threading.Thread(target=self._run, args=(host, port), name="mqtt", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Say goodbye and end the thread."""
        self._stopping.set()
        self._again.set()
        client = self._client
        if client is not None:
            if self._connected:
                sent = client.publish(self._address.up("status"), topics.OFFLINE, 1, retain=True)
                with suppress(ValueError, RuntimeError):  # the connection went at just this moment
                    sent.wait_for_publish(_GOODBYE_S)
            client.disconnect()
        if self._thread is not None:
            self._thread.join(5)

    def reconnect(self) -> None:
        """Connect anew, at once: there is a new certificate."""
        self._again.set()
        if self._client is not None:
            self._client.disconnect()

    def publish(self, kind: str, payload: bytes, qos: int) -> None:
        """Publish on one of this device's own topics; lost when there is no connection."""
        self.send(self._address.up(kind), payload, qos)

    def send(self, topic: str, payload: bytes, qos: int, *, retain: bool = False, done: Done | None = None) -> None:
        """Publish; lost when there is no connection. ``done`` is told what the broker answered, if it answers."""
        if self._client is not None and self._connected:
            sent = self._client.publish(topic, payload, qos, retain=retain)
            if qos:
                self._sent[sent.mid] = topic, done

    def subscribe(self, names: Sequence[str]) -> None:
        if self._client is not None and self._connected:
            _, mid = self._client.subscribe([(name, SubscribeOptions(qos=1)) for name in names])
            if mid is not None:
                self._asked[mid] = names

    def unsubscribe(self, names: Sequence[str]) -> None:
        self._refused.difference_update(names)
        if self._client is not None and self._connected:
            self._client.unsubscribe(list(names))

    def _run(self, host: str, port: int) -> None:
        pause = FIRST_PAUSE_S
        while not self._stopping.is_set():
            self._again.clear()
            self._client, reached = self._new_client(), threading.Event()
            self._client.on_connect = partial(self._on_connect, reached)
            why = self._connect(self._client, host, port)
            if reached.is_set():
                pause = FIRST_PAUSE_S
            if self._stopping.is_set():
                return
            self._loop.post(partial(self._on_offline, why))
            # Half to all of the pause, so that a fleet does not come back in step.
            self._again.wait(pause * (0.5 + random.random() / 2))
            pause = min(LONGEST_PAUSE_S, pause * 2)

    def _connect(self, client: paho.Client, host: str, port: int) -> str:
        """One connection from beginning to end; returns why it ended."""
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        # No endless data: the broker holds back, or drops, what we could not use anyway.
        properties.ReceiveMaximum = _IN_FLIGHT
        properties.MaximumPacketSize = LIMITS.object_bytes + 1024
        try:
            client.tls_set_context(client_context(self._paths))
        except (OSError, ValueError) as error:
            return f"this device's certificates or key cannot be read ({_reason(error)}): enrol it anew"
        try:
            client.connect(host, port, KEEPALIVE_S, properties=properties)
            # Only this starts paho's own thread, without which it would write from whoever publishes, at the same time.
            client.loop_start()
            self._over.wait()
            client.loop_stop()
        except CertificateTooOldError as error:
            return str(error)
        except (OSError, ValueError) as error:
            return f"{host} port {port} does not answer ({_reason(error)}): is it running?"
        return self._ended

    def _new_client(self) -> paho.Client:
        self._ended = "the connection ended"
        self._over.clear()
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._address.device,
            protocol=paho.MQTTv5,
            reconnect_on_failure=False,
        )
        client.will_set(self._address.up("status"), topics.OFFLINE, 1, retain=True)
        client.on_socket_open = self._on_socket
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_log = self._on_log
        return client

    # What follows runs in the connection's thread.

    def _on_socket(self, _: paho.Client, __: Any, sock: Any) -> None:
        # Objects are pulled by small packets, each of which would wait for the broker to acknowledge the one before.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if isinstance(sock, ssl.SSLSocket):
            try:
                check_peer(sock, self._time.now)
            except CertificateTooOldError:
                sock.close()
                raise

    def _on_connect(
        self, reached: threading.Event, client: paho.Client, _: Any, __: Any, code: ReasonCode, ___: Any
    ) -> None:
        if code.is_failure:
            self._ended = f"the broker refused the connection: {code}"
            self._over.set()
            return
        reached.set()
        client.on_log = None  # only a failing handshake is read from there
        client.publish(self._address.up("status"), topics.ONLINE, 1, retain=True)
        self._loop.post(self._on_online)

    def _on_disconnect(self, _: paho.Client, __: Any, ___: Any, code: ReasonCode, ____: Any) -> None:
        if not self._ended.startswith("the broker refused"):
            self._ended = f"the connection ended: {code}"
        self._over.set()

    def _on_message(self, _: paho.Client, __: Any, message: paho.MQTTMessage) -> None:
        self._loop.post(partial(self._handler.message, message.topic, bytes(message.payload)))

    def _on_publish(self, _: paho.Client, __: Any, mid: int, code: ReasonCode, ___: Any) -> None:
        self._loop.post(partial(self._on_answer, mid, code.value))

    def _on_subscribe(self, _: paho.Client, __: Any, mid: int, codes: list[ReasonCode], ___: Any) -> None:
        self._loop.post(partial(self._on_subscribed, mid, [code.value for code in codes]))

    def _on_log(self, _: paho.Client, __: Any, ___: int, text: str) -> None:
        # With TLS 1.3 the server judges our certificate after our handshake is done: it shows on the first read.
        if "CERTIFICATE_EXPIRED" in text.upper().replace(" ", "_"):
            self._loop.post(self._handler.certificate_expired)

    # And this in the loop's.

    def _on_online(self) -> None:
        self._connected = True
        self._sent.clear()
        self._asked.clear()
        self._refused.clear()
        self._handler.online()

    def _on_offline(self, why: str) -> None:
        self._connected = False
        log(f"not connected to the broker: {why}")
        self._handler.offline(why)

    def _on_answer(self, mid: int, code: int) -> None:
        topic, done = self._sent.pop(mid, ("", None))
        if topic and code == _DENIED:
            self._handler.denied("publish on", topic)
        if done is not None:
            done(code < _FAILED)

    def _on_subscribed(self, mid: int, codes: Sequence[int]) -> None:
        for name, code in zip(self._asked.pop(mid, ()), codes, strict=False):
            if code >= _FAILED:
                if not self._refused:
                    self._loop.after(AGAIN_S, self._ask_again)
                self._refused.add(name)
                self._handler.denied("listen to", name)

    def _ask_again(self) -> None:
        refused = sorted(self._refused)
        self._refused.clear()
        if refused:
            self.subscribe(refused)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
