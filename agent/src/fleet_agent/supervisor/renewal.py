"""Renewing the device certificate: in good time, or as soon as the broker turns an expired one away.

The proof is possession of the identity key, so an expired certificate renews too; what is served goes on meanwhile.
"""

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from fleet_agent import files, ipc
from fleet_agent.clock import SignedTime
from fleet_agent.errors import StorageError
from fleet_agent.identity import Enrolment
from fleet_agent.paths import Paths
from fleet_agent.supervisor.child import Child
from fleet_agent.supervisor.log import log
from fleet_agent.supervisor.loop import Loop
from fleet_agent.supervisor.unlocking import Answer, Unlocker, blob

_LOOK_S = 3600.0
_FIRST_PAUSE_S = 10.0
_LONGEST_PAUSE_S = 3600.0


@dataclass(slots=True)
class Parts:
    """What a renewal works with. ``renewed`` is called when the new certificate is in place."""

    loop: Loop
    paths: Paths
    time: SignedTime
    unlocker: Unlocker
    renewed: Callable[[], None]


class Renewal:
    """At most one renewal at a time."""

    def __init__(self, parts: Parts, enrolment: Enrolment) -> None:
        self._parts = parts
        self.enrolment = enrolment
        self._busy = False
        self._pause = _FIRST_PAUSE_S
        self._child: Child | None = None

    def start(self) -> None:
        """Look now and every hour whether less than a third of the certificate's life is left."""
        enrolment = self.enrolment
        life = enrolment.certificate_ends - enrolment.certified
        # The wall clock may well be wrong; a renewal too many harms nobody.
        if self._parts.time.best() > enrolment.certificate_ends - life // 3:
            self.now()
        self._parts.loop.after(_LOOK_S, self.start)

    def now(self) -> None:
        """Renew, unless that is being done."""
        if not self._busy:
            self._busy = True
            self._ask()

    def _ask(self) -> None:
        body: dict[str, object] = {"do": "renew-request", "device": self.enrolment.device}
        self._parts.unlocker.ask(body, self._carry)

    def _carry(self, answer: Answer) -> None:
        if not answer.ok:
            self._later(answer.text)
            return
        body: dict[str, object] = {
            "url": self.enrolment.url,
            "ca": self._parts.paths.ca.read_text("ascii"),
            "at_least": self._parts.time.now,
        }
        self._child = Child(self._parts.loop, "fleet_agent.renew", self._carried, self._broke)
        request = blob(answer.blob())
        self._child.send(body, [request])
        os.close(request)

    def _broke(self, why: str) -> None:
        self._child = None
        self._later(f"it was {why}")

    def _carried(self, message: ipc.Message) -> None:
        ipc.close_all(message.fds)
        if self._child is not None:
            self._child.close()
            self._child = None
        reply = message.body.get("reply")
        if not isinstance(reply, bytes):
            self._later(str(message.body.get("text", "")))
            return
        ask: dict[str, object] = {"do": "certificate", "device": self.enrolment.device}
        self._parts.unlocker.ask(ask, self._install, data=reply)

    def _install(self, answer: Answer) -> None:
        if not answer.ok:
            self._later(answer.text)
            return
        begins, ends = answer.body.get("begins"), answer.body.get("ends")
        assert isinstance(begins, int)
        assert isinstance(ends, int)
        try:
            files.write_whole(self._parts.paths.certificate, answer.blob())
            self.enrolment = replace(self.enrolment, certified=begins, certificate_ends=ends)
            files.write_whole(self._parts.paths.enrolment, self.enrolment.to_bytes())
        except StorageError as error:
            self._later(str(error))
            return
        self._busy = False
        self._pause = _FIRST_PAUSE_S
        log("the device certificate was renewed")
        self._parts.renewed()

    def _later(self, why: str) -> None:
        log(f"the device certificate was not renewed, trying again: {why}")
        self._parts.loop.after(self._pause * (1 + random.random()), self._ask)
        self._pause = min(_LONGEST_PAUSE_S, self._pause * 2)
