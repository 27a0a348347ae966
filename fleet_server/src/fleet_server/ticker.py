"""What happens because time passes: rollouts move on, directives are reissued, objects nobody wants are cleared."""

import logging
import threading
from collections.abc import Callable

from sqlmodel import Session

from fleet_server.context import Context
from fleet_server.errors import BusyError
from fleet_server.services import alarms, directives, objects

log = logging.getLogger(__name__)

LOCK = "ticker"  # of all server processes on one database, one ticks at a time
REFRESHED = 500  # directives a tick, so that a change of settings does not hold the database for long

Work = Callable[[Session, Context, float], object]


def upkeep(session: Session, ctx: Context, now: float) -> None:
    """Directives that run out or are stale, objects that no desired state names, devices that have fallen silent."""
    directives.refresh(session, ctx, now, REFRESHED)
    objects.clear_unwanted(session, now, directives.settings_sha(session))
    alarms.watch(session, ctx, now)


class Ticker:
    """Runs each piece of work every `config.tick_s` seconds, in a transaction and under the lock of its own."""

    def __init__(self, ctx: Context, work: list[Work]) -> None:
        self._ctx = ctx
        self._work = work
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ticker", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the work in hand."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(30)

    def _run(self) -> None:
        while not self._stopping.wait(self._ctx.config.tick_s):
            for work in self._work:
                self.once(work)

    def once(self, work: Work) -> bool:
        """Do one piece of work now. Returns whether it was done: not when another process is at it, or it failed."""
        try:
            with self._ctx.db.write() as session:
                if not self._ctx.db.try_lock(session, LOCK):
                    return False
                work(session, self._ctx, self._ctx.clock())
        except BusyError as error:
            log.warning("%s", error)
            return False
        except Exception:
            log.exception("a tick failed: trying again")
            return False
        return True
