"""What devices are owed, to the broker: the outbox in order, each row deleted on the broker's PUBACK.

A broker can come back with an older memory than ours (killed between two of its saves, or its disk replaced). So each
time the outbox has run empty, a retained *mark* is published; the database knows which mark came last, and knows none
while anything was published since. A broker that does not show the right mark on connect may have lost retained
messages, and then everything that should be retained is owed again.
"""

import logging
import secrets
import threading
import time
from dataclasses import dataclass

import paho.mqtt.client as mqtt
from paho.mqtt.reasoncodes import ReasonCode
from sqlmodel import Session

from dunlin_contract import topics
from fleet_server.context import Context
from fleet_server.db.models import BROKER_MARK, MetaRow, OutboxRow
from fleet_server.errors import BusyError
from fleet_server.services import directives, objects, outbox

log = logging.getLogger(__name__)

MARK_TOPIC = f"{topics.PREFIX}{topics.SERVER_CLIENT}/mark"
WINDOW = 32  # messages in flight; at most 1 MiB each
MARK_WAIT_S = 3.0  # a retained message comes right after the SUBACK
MARK_EVERY_S = 5.0
POLL_S = 1.0  # another process may have written to the outbox
REFUSED_S = 30.0  # pause after the broker refused a message


@dataclass(frozen=True, slots=True)
class _Sent:
    """A message in flight: an outbox row (of an object, if `sha`), a mark, or neither (an ack to a device)."""

    row: int | None = None
    sha: str | None = None
    mark: str | None = None


class Publisher:
    """One thread. `on_*` are called by the bridge from paho's thread."""

    def __init__(self, ctx: Context, client: mqtt.Client) -> None:
        self._ctx = ctx
        self._client = client
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._stopping = False
        self._connected = False
        self._in_flight: dict[int, _Sent] = {}
        self._acked: list[_Sent] = []
        self._early: dict[int, bool] = {}  # PUBACKs that overtook the note of what they are for
        self._above = 0  # outbox rows up to this id are in flight
        self._shown_mark: str | None = None
        self._mark_until: float | None = None  # waiting for the broker's mark until then (monotonic)
        self._paused_until = 0.0
        self._marked_at = 0.0
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    def start(self) -> None:
        """Begin; nothing is sent before the bridge is connected."""
        self._ctx.notifier.listen(outbox.TOPIC, self._wake.set)
        self._thread.start()

    def stop(self) -> None:
        """End; what is not acknowledged stays in the outbox."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def on_connect(self) -> None:
        """A connection begins. paho repeats what is in flight; nothing new is sent until the mark was looked at."""
        with self._lock:
            self._shown_mark = None
            self._mark_until = time.monotonic() + MARK_WAIT_S
            self._connected = True
        self._wake.set()

    def on_disconnect(self) -> None:
        """The connection ended."""
        with self._lock:
            self._connected = False

    def on_mark(self, payload: bytes) -> None:
        """The mark that the broker remembers."""
        with self._lock:
            self._shown_mark = payload[:64].decode("ascii", "replace")
        self._wake.set()

    def send(self, topic: str, body: bytes) -> None:
        """Publish an ack, not retained and not kept: a device that misses one repeats its events. Any thread."""
        self._publish(topic, body, _Sent(), False)

    def on_puback(self, mid: int, code: ReasonCode) -> None:
        """The broker took a message, or refused it."""
        with self._lock:
            sent = self._in_flight.pop(mid, None)
            if sent is None:
                self._early[mid] = code.is_failure
            else:
                self._settle(sent, code.is_failure)
        self._wake.set()

    def _settle(self, sent: _Sent, failed: bool) -> None:
        if failed:
            log.error("the broker refuses what the server publishes: check its access list")
            self._paused_until, self._above = time.monotonic() + REFUSED_S, 0
        elif sent != _Sent():
            self._acked.append(sent)

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait(POLL_S)
            self._wake.clear()
            try:
                self._settle_acked()
                if self._connected and self._check_mark() and time.monotonic() >= self._paused_until:
                    self._send()
            except BusyError as error:
                log.warning("%s", error)
            except Exception:
                log.exception("publishing failed: trying again")

    def _settle_acked(self) -> None:
        with self._lock:
            acked, self._acked = self._acked, []
        if not acked:
            return
        try:
            with self._ctx.db.write() as session:
                outbox.done(session, [sent.row for sent in acked if sent.row is not None])
                objects.published(session, [sent.sha for sent in acked if sent.sha is not None], self._ctx.clock())
                # A mark counts only if nothing was sent after it.
                _remember(session, acked[-1].mark or "")
        except BaseException:
            with self._lock:
                self._acked = acked + self._acked
            raise

    def _check_mark(self) -> bool:
        """Whether the broker's memory has been looked at; owes everything again where it is too old."""
        until = self._mark_until
        if until is None:
            return True
        with self._ctx.db.read() as session:
            known = session.get(MetaRow, BROKER_MARK)
        expected = known.value if known is not None else ""
        if self._shown_mark is None and expected and time.monotonic() < until:
            return False
        if not expected or self._shown_mark != expected:
            with self._ctx.db.write() as session:
                count = objects.republish_all(session, self._ctx.clock())
                directives.invalidate_all(session)
            log.info("the broker may have lost what it retained: %d objects and every directive go out again", count)
        with self._lock:
            if self._mark_until == until:  # no newer connection began meanwhile
                self._mark_until = None
        return self._mark_until is None

    def _send(self) -> None:
        room = WINDOW - len(self._in_flight)
        if room <= 0:
            return
        with self._ctx.db.read() as session:
            rows = outbox.pending(session, self._above, room)
            for row in rows:
                assert row.id is not None
                body = self._body(session, row)
                self._above = row.id
                self._publish(row.topic, body, _Sent(row.id, row.object if body else None), row.retain)
        idle = not rows and not self._in_flight
        if idle and not self._acked and time.monotonic() - self._marked_at > MARK_EVERY_S:
            self._send_mark()
        if len(rows) == room:
            self._wake.set()

    def _send_mark(self) -> None:
        with self._ctx.db.read() as session:
            known = session.get(MetaRow, BROKER_MARK)
        if known is not None and known.value:
            return
        mark = secrets.token_hex(16)
        self._marked_at = time.monotonic()
        self._publish(MARK_TOPIC, mark.encode(), _Sent(mark=mark), True)

    def _body(self, session: Session, row: OutboxRow) -> bytes:
        if row.object is None:
            return row.body or b""
        body = objects.read(session, self._ctx.config, row.object)
        if body is None:
            log.error("object %s is owed but not stored: restore DIR/bundles from a backup", row.object)
        return body or b""

    def _publish(self, topic: str, body: bytes, sent: _Sent, retain: bool) -> None:
        info = self._client.publish(topic, body, qos=1, retain=retain)
        with self._lock:
            early = self._early.pop(info.mid, None)
            if early is None:
                self._in_flight[info.mid] = sent
            else:
                self._settle(sent, early)


def _remember(session: Session, mark: str) -> None:
    row = session.get(MetaRow, BROKER_MARK) or MetaRow(key=BROKER_MARK)
    row.value = mark
    session.add(row)
