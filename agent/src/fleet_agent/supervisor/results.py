"""Results and captures on their way to the fleet: kept by a thread of their own, sent until they are acknowledged.

The disk is waited for in that thread, not in the loop. What waits there is written in one transaction.
"""

import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dunlin_contract.event import Ack
from fleet_agent.clock import Clock
from fleet_agent.errors import StorageError
from fleet_agent.results.policy import Caps
from fleet_agent.results.store import Draft, Refused, Standing, Store
from fleet_agent.supervisor.link import Link
from fleet_agent.supervisor.log import log, log_failure
from fleet_agent.supervisor.loop import Loop, Timer

Told = Callable[[int | Refused], None]
"""Takes the number under which a draft is kept, or why it is not, in the loop's thread."""
Tell = Callable[[str, str, str], None]

_AT_A_TIME = 32
_BYTES_AT_A_TIME = 1 << 20
_AGAIN_S = 60.0
_EXPIRE_S = 600.0
_WAITING = 256
_TOGETHER = 64
_FORGET_S = 10.0
"""How long a wipe holds up the loop, twice at most: what takes longer goes on in the thread; the wipe asks again."""
_CLOSE_S = 5.0


@dataclass(frozen=True, slots=True)
class _Put:
    draft: Draft
    told: Told


_Job = _Put | Callable[[Store], None]


class Results:
    """Use it in the loop's thread. ``tell`` notes an event: kind, code, text."""

    def __init__(self, loop: Loop, link: Link, path: Path, caps: Caps, clock: Clock, tell: Tell) -> None:
        self._loop = loop
        self._link = link
        self._path = path
        self._caps = caps
        self._clock = clock
        self._tell = tell
        self._jobs: queue.Queue[_Job | None] = queue.Queue(_WAITING)
        self._store: Store | None = None
        self._connected = False
        self._sent = 0
        self._reading = False
        self._again: Timer | None = None
        self._trouble = ""
        self._refused = 0
        self.standing = Standing()
        self._thread = threading.Thread(target=self._work, name="results", daemon=True)

    def start(self) -> None:
        """Begin. A device that never kept a result has neither file nor thread."""
        self._expire()

    def close(self) -> None:
        """Finish what was asked for."""
        if self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join(_CLOSE_S)

    def put(self, draft: Draft, told: Told) -> None:
        """Keep a result or capture; ``told`` hears of it when it is on the disk, or that it is not."""
        if not self._thread.is_alive():
            self._thread.start()
        try:
            self._jobs.put_nowait(_Put(draft, told))
        except queue.Full:
            self._loop.post(partial(self._answered, told, Refused("busy", "the disk does not keep up")))

    def forget(self, model: str) -> None:
        """Destroy what is kept of a model; done when this returns. Raises StorageError: it is not done."""
        if not self._awake():
            return
        done: queue.SimpleQueue[StorageError | None] = queue.SimpleQueue()

        def forget(store: Store) -> None:
            try:
                store.forget(model)
            except StorageError as error:
                done.put(error)
            else:
                done.put(None)

        try:
            self._jobs.put(forget, timeout=_FORGET_S)
            error = done.get(timeout=_FORGET_S)
        except (queue.Full, queue.Empty):
            raise StorageError("disk", f"{self._path.name} does not answer") from None
        if error is not None:
            raise error

    def status(self) -> dict[str, object]:
        """For ``fleet-agent status``, as it stood when it last changed."""
        now = self.standing
        return {
            "waiting": now.waiting,
            "bytes": now.size,
            "pushed_out": now.gone,
            "refused": self._refused,
            "trouble": self._trouble,
        }

    # The connection tells.

    def online(self) -> None:
        """Connected: what is not acknowledged goes up, from the oldest on."""
        self._connected = True
        self._send_again()

    def offline(self) -> None:
        """Not connected."""
        self._connected = False
        if self._again is not None:
            self._again.cancel()
            self._again = None

    def acknowledged(self, ack: Ack) -> None:
        """The server has committed records up to ``ack.n``, if the stream is this one."""

        def forget(store: Store) -> None:
            if store.acknowledged(ack.stream, ack.n):
                self._loop.post(partial(self._stands, store.standing()))
                self._loop.post(self._forgotten)

        self._ask(forget)

    # In the loop's thread.

    def _awake(self) -> bool:
        """Whether there is anything kept, or was."""
        if not self._thread.is_alive() and self._path.exists():
            self._thread.start()
        return self._thread.is_alive()

    def _ask(self, job: Callable[[Store], None]) -> bool:
        if self._awake():
            with suppress(queue.Full):  # an acknowledgement, a look or an expiry: each comes again
                self._jobs.put_nowait(job)
                return True
        return False

    def _forgotten(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None
        self._send()

    def _send_again(self) -> None:
        self._again = None
        self._sent = 0
        self._reading = False
        self._send()

    def _send(self) -> None:
        if not self._connected or self._reading:
            return

        def look(store: Store) -> None:
            # From the oldest on, as events: a server restored from a backup passes a gap only when it sees our oldest.
            found = store.waiting(0, _AT_A_TIME, _BYTES_AT_A_TIME)
            self._loop.post(partial(self._found, found))

        self._reading = self._ask(look)
        if self._again is None:
            self._again = self._loop.after(_AGAIN_S, self._send_again)

    def _found(self, found: Sequence[tuple[int, bytes]]) -> None:
        self._reading = False
        if not self._connected:
            return
        for n, record in found:
            if n > self._sent:
                self._link.publish("results", record, 1)
                self._sent = n
        if not found and self._again is not None:
            self._again.cancel()
            self._again = None

    def _answered(self, told: Told, answer: int | Refused) -> None:
        if isinstance(answer, Refused):
            self._refused += 1
        told(answer)

    def _stands(self, standing: Standing) -> None:
        self.standing = standing

    def _kept(self, standing: Standing) -> None:
        self.standing = standing
        if self._trouble:
            self._trouble = ""
            log("results are kept again")
            self._tell("note", "results", "results are kept again")
        self._send()

    def _failed(self, error: StorageError) -> None:
        if str(error) != self._trouble:
            self._trouble = str(error)
            log(f"results are not kept: {error}")
            self._tell("note", error.code, f"results are not kept: {error}")

    def _expire(self) -> None:
        def expire(store: Store) -> None:
            store.expire()
            self._loop.post(partial(self._stands, store.standing()))

        self._ask(expire)
        self._loop.after(_EXPIRE_S, self._expire)

    # In the store's own thread.

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            jobs = [job]
            while len(jobs) < _TOGETHER and isinstance(jobs[-1], _Put):
                try:
                    another = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if another is None:
                    self._jobs.put(None)
                    break
                jobs.append(another)
            self._do(jobs)
        if self._store is not None:
            self._store.close()

    def _do(self, jobs: Sequence[_Job]) -> None:
        puts = [job for job in jobs if isinstance(job, _Put)]
        try:
            store = self._opened()
            if puts:
                answers = store.put([put.draft for put in puts])
                self._answer(puts, answers)
                puts = []
                self._loop.post(partial(self._kept, store.standing()))
            for job in jobs:
                if not isinstance(job, _Put):
                    job(store)
        except StorageError as error:
            if error.code == "damaged":
                self._start_anew()
            self._answer(puts, [Refused(error.code, str(error))] * len(puts))
            self._loop.post(partial(self._failed, error))
        except Exception as error:  # noqa: BLE001 - one bad record must not end the keeping
            log_failure(error)
            self._answer(puts, [Refused("malformed", "it cannot be kept")] * len(puts))

    def _opened(self) -> Store:
        if self._store is None:
            self._store = Store(self._path, self._caps, self._clock)
        return self._store

    def _start_anew(self) -> None:
        """A damaged file keeps no promise: begin a new stream. Nothing of the old one stays where no wipe looks."""
        with suppress(OSError, sqlite3.Error):  # then it is damaged the next time, too
            store, self._store = self._store, None
            if store is not None:
                store.close()
            for suffix in ("-wal", "-shm", ""):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    def _answer(self, puts: Sequence[_Put], answers: Sequence[int | Refused]) -> None:
        for put, answer in zip(puts, answers, strict=True):
            self._loop.post(partial(self._answered, put.told, answer))
