"""The server's connection to the broker: one paho client, one thread that stores, one that publishes.

Coming in: the broker's QoS 1 messages are acknowledged to it only after our commit, and its session outlives ours, so
that what devices say while this server is down waits for it. Going out: see `publisher`.
"""

import contextlib
import logging
import queue
import ssl
import threading
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from dunlin_contract import topics
from dunlin_contract.errors import ContractError
from dunlin_contract.topics import Address
from fleet_server.context import Context
from fleet_server.errors import BusyError
from fleet_server.ingest import handlers, messages
from fleet_server.ingest.publisher import MARK_TOPIC, Publisher
from fleet_server.services import enrolment, streams

log = logging.getLogger(__name__)

SESSION_S = 14 * 86400  # the broker keeps what comes for us this long
RECEIVE_MAX = 1000  # QoS 1 messages the broker sends ahead of our commits
QUEUE = 10_000  # room for RECEIVE_MAX is kept free: QoS 0 telemetry beyond the rest is dropped
BATCH = 500
RETRY_S = 0.5


@dataclass(frozen=True, slots=True)
class _Incoming:
    """One message as it came; `connection` numbers the connection that may acknowledge it."""

    topic: str
    payload: bytes
    retained: bool
    repeated: bool
    mid: int
    qos: int
    connection: int


class Bridge:
    """Runs from `start` to `stop`; reconnects for ever, and says how it stands in `ctx.link`."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._queue: queue.Queue[_Incoming | None] = queue.Queue(QUEUE)
        self._connection = 0
        self._stopping = threading.Event()
        self._client = self._make_client()
        self._publisher = Publisher(ctx, self._client)
        self._worker = threading.Thread(target=self._work, name="ingest", daemon=True)

    def start(self) -> None:
        """Begin; returns at once, whether or not there is a broker."""
        config = self._ctx.config
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = SESSION_S
        properties.ReceiveMaximum = RECEIVE_MAX
        self._client.connect_async(
            config.broker_host, config.broker_port, keepalive=30, clean_start=False, properties=properties
        )
        self._set_link(False, f"connecting to {config.broker_host}:{config.broker_port}", logging.INFO)
        self._worker.start()
        self._publisher.start()
        self._client.loop_start()

    def stop(self) -> None:
        """Finish the batch in hand and disconnect. What was not stored comes again."""
        self._stopping.set()
        self._publisher.stop()
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(None)
        if self._worker.is_alive():
            self._worker.join(10)
        self._client.disconnect()
        self._client.loop_stop()

    def _make_client(self) -> mqtt.Client:
        paths = self._ctx.keys.paths
        client = mqtt.Client(CallbackAPIVersion.VERSION2, topics.SERVER_CLIENT, protocol=mqtt.MQTTv5, manual_ack=True)
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(paths.ca_certificate))
        context.load_cert_chain(paths.certificate("client"), paths.key("client"))
        client.tls_set_context(context)
        client.reconnect_delay_set(min_delay=1, max_delay=10)
        client.max_inflight_messages_set(64)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = lambda _client, _data, mid, code, _props: self._publisher.on_puback(mid, code)
        return client

    def _on_connect(self, client: mqtt.Client, _data: Any, _flags: Any, code: ReasonCode, _props: Any) -> None:
        config = self._ctx.config
        if code.is_failure:
            self._set_link(False, f"the broker refuses this server ({code}): check its CA and access list")
            return
        self._connection += 1
        filters = [(name, SubscribeOptions(qos=1)) for name in topics.SERVER_FILTERS]
        client.subscribe([*filters, (MARK_TOPIC, SubscribeOptions(qos=1, noLocal=True))])
        self._publisher.on_connect()
        self._set_link(True, f"connected to {config.broker_host}:{config.broker_port}", logging.INFO)

    def _on_connect_fail(self, _client: mqtt.Client, _data: Any) -> None:
        config = self._ctx.config
        address = f"{config.broker_host}:{config.broker_port}"
        self._set_link(False, f"no broker at {address}: start it, or check broker_host and broker_port")

    def _on_disconnect(self, _client: mqtt.Client, _data: Any, _flags: Any, code: ReasonCode, _props: Any) -> None:
        self._publisher.on_disconnect()
        if self._stopping.is_set():
            return
        self._set_link(False, f"the connection to the broker ended ({code}): trying again")

    def _on_message(self, client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        if message.topic == MARK_TOPIC:
            self._publisher.on_mark(bytes(message.payload))
            client.ack(message.mid, message.qos)
            return
        one = _Incoming(
            message.topic,
            bytes(message.payload),
            bool(message.retain),
            bool(message.dup),
            message.mid,
            message.qos,
            self._connection,
        )
        if message.qos == 0 and self._queue.qsize() > QUEUE - RECEIVE_MAX:
            log.warning("the database cannot keep up: a message on %s is dropped", message.topic[:80])
            return
        try:
            self._queue.put_nowait(one)
        except queue.Full:
            # Copies from connection after connection, while the database is away: it comes again with the next one.
            log.warning("the database is away for long: a message on %s waits at the broker", message.topic[:80])

    def _set_link(self, connected: bool, detail: str, level: int = logging.WARNING) -> None:
        link = self._ctx.link
        if link.connected != connected or link.since == 0:
            link.since = self._ctx.clock()
        if link.detail != detail:
            log.log(level, "%s", detail)
        link.connected, link.detail = connected, detail
        self._ctx.notifier.publish("server")

    def _work(self) -> None:
        while not self._stopping.is_set():
            first = self._queue.get()
            batch = [first] if first is not None else []
            with contextlib.suppress(queue.Empty):
                while len(batch) < BATCH:
                    one = self._queue.get_nowait()
                    batch += [one] if one is not None else []
            try:
                self._store(batch)
            except Exception:
                # Whatever it was, the next batch must be heard; what was not acknowledged comes again.
                log.exception("a batch of %d messages failed", len(batch))

    def _store(self, batch: list[_Incoming]) -> None:
        parsed = [message for one in batch if (message := _parse(one)) is not None]
        replies = self._enrol([one for one in parsed if isinstance(one.record, messages.Enrolment)])
        acks = self._commit([one for one in parsed if not isinstance(one.record, messages.Enrolment)])
        if acks is None or replies is None:
            return
        for one in batch:
            if one.qos and one.connection == self._connection:
                self._client.ack(one.mid, one.qos)
        for address, reply in replies:
            self._publisher.send(address.down("enrol"), reply)
        for due, envelope in acks:
            self._publisher.send(due.address.down("ack"), envelope)

    def _enrol(self, asking: list[messages.Message]) -> list[tuple[Address, bytes]] | None:
        """Answer who wants to be let in, each once a batch; None if the server stops before it is done."""
        replies: dict[messages.Message, bytes] = {}
        for message in asking:
            while message not in replies:
                assert isinstance(message.record, messages.Enrolment)
                try:
                    reply = enrolment.enrol_through(self._ctx, message.address, message.record.envelope)
                    replies[message] = reply.to_bytes()
                except BusyError as error:
                    log.warning("%s", error)
                    if self._stopping.wait(RETRY_S):
                        return None
                except Exception:
                    log.exception("enrolment of %s cannot be answered", message.device)
                    break
        return [(message.address, reply) for message, reply in replies.items()]

    def _commit(self, parsed: list[messages.Message]) -> list[tuple[streams.AckDue, bytes]] | None:
        """Store the messages and sign what may be acknowledged; None if the server stops before it is done."""
        while True:
            try:
                due = self._handle(parsed)
                with self._ctx.db.read() as session:
                    signed = [(one, streams.ack_for(session, self._ctx, one)) for one in due]
                return [(one, envelope) for one, envelope in signed if envelope is not None]
            except BusyError as error:
                log.warning("%s", error)
                if self._stopping.wait(RETRY_S):
                    return None

    def _handle(self, parsed: list[messages.Message]) -> list[streams.AckDue]:
        if not parsed:
            return []
        try:
            with self._ctx.db.write() as session:
                return handlers.handle(session, self._ctx, parsed, self._ctx.clock())
        except BusyError:
            raise
        except Exception:
            if len(parsed) == 1:
                log.exception("a message of %s cannot be stored", parsed[0].device)
                return []
        # One of them cannot be stored: find it, and keep the others.
        return list(dict.fromkeys(due for message in parsed for due in self._handle([message])))


def _parse(one: _Incoming) -> messages.Message | None:
    if not one.payload:  # a cleared topic says nothing
        return None
    try:
        return messages.parse(one.topic, one.payload, one.retained, one.repeated)
    except ContractError as error:
        log.warning("%s refused: %s", one.topic[:80], error)
        return None
