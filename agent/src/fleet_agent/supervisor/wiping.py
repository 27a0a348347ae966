"""Wipe: an order two people signed makes models unreadable here, for good, and a signed receipt says so.

The intent is journaled first; every step may be done twice, so a device killed at any of them starts over with what the
intent already noted and ends in the same place. The receipt waits for its acknowledgement as an event does.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

from dunlin_contract import ids
from dunlin_contract.directive import Directive
from dunlin_contract.errors import ContractError
from dunlin_contract.event import Event
from dunlin_contract.limits import LIMITS
from dunlin_contract.schema import Record, array, at, boolean, format_version, octets, record, text, uint
from dunlin_contract.wipe import Erased, Receipt, WipeOrder, check_order
from fleet_agent import files
from fleet_agent.clock import Clock, SignedTime
from fleet_agent.errors import StorageError
from fleet_agent.journal import Journal, Write
from fleet_agent.paths import Paths
from fleet_agent.slots import Slot
from fleet_agent.supervisor.log import log
from fleet_agent.supervisor.loop import Loop
from fleet_agent.supervisor.unlocking import Answer, Unlocker
from fleet_agent.supervisor.updates import Updates
from fleet_agent.update.state import SLOTS

_RETRY_S = 15.0
METHOD = "storage keys overwritten and deleted, KEM key rotated, content keys, ciphertext and manifests deleted"


class Target(Record):
    """A model to erase: its releases, and its storage key's id (empty: it had none)."""

    model: str = at(0, text(LIMITS.name_bytes, ids.is_model))
    releases: tuple[bytes, ...] = at(1, array(octets(32), 4))
    storage_key: bytes = at(2, octets(16, 0), default=b"")


class Intent(Record):
    """A wipe underway, as the journal keeps it. ``kem`` is empty until the KEM key was rotated."""

    CAP_BYTES: ClassVar[int] = LIMITS.receipt_bytes * 2

    format: int = format_version(default=1)
    order: bytes = at(1, octets(32))
    targets: tuple[Target, ...] = at(2, array(record(Target), LIMITS.models))
    unreadable: bool = at(3, boolean, default=True)
    kem: bytes = at(4, octets(91, 0), default=b"")
    files: int = at(5, uint(LIMITS.sequence), default=0)
    size: int = at(6, uint(LIMITS.sequence), default=0)


@dataclass(slots=True)
class Parts:
    """What a wipe works with. ``done`` is called when its receipt is in the journal.

    ``forget`` destroys results and captures of a model. It raises StorageError.
    """

    loop: Loop
    paths: Paths
    journal: Journal
    clock: Clock
    time: SignedTime
    unlocker: Unlocker
    updates: Updates
    device: str
    done: Callable[[], None]
    refused: Callable[[str, str, str], None]
    forget: Callable[[str], None]


class Wiping:
    """One wipe at a time."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._after: Callable[[], None] = lambda: None

    def resume(self, then: Callable[[], None]) -> None:
        """At start: finish what was begun, then go on."""
        data = self._parts.journal.fact("wipe")
        self._after = then
        if data is None:
            then()
        else:
            self._begin(Intent.from_bytes(data))

    def follow(self, directive: Directive, then: Callable[[], None]) -> None:
        """Carry out the directive's order, if it has one that is genuine and new; then go on with the directive.

        Not to be called before the ``then`` of an earlier call was.
        """
        self._after = then
        envelope = directive.wipe
        if envelope is None:
            then()
            return
        ask: dict[str, object] = {"do": "verify", "what": "wipe"}
        self._parts.unlocker.ask(ask, lambda answer: self._verified(directive, answer), data=envelope)

    def _verified(self, directive: Directive, answer: Answer) -> None:
        if answer.refused:
            self._refuse(answer.code, answer.text)
            return
        if not answer.ok:
            self._later(answer.text, lambda: self.follow(directive, self._after))
            return
        try:
            payload = answer.blob()
            order = WipeOrder.from_bytes(payload)
            check_order(order, self._parts.device, frozenset(directive.desired))
        except ContractError as error:
            self._refuse(error.rule, error.detail)
            return
        digest = hashlib.sha256(payload).digest()
        receipt = self._parts.journal.receipt(digest)
        if receipt is not None:
            # Done before: the server gets the receipt of that time again.
            if self._kept(lambda: self._repeat(receipt), lambda: self.follow(directive, self._after)):
                self._parts.done()
                self._after()
            return
        self._inventory(digest, list(order.models) or self._everything(), [])

    def _refuse(self, code: str, text: str) -> None:
        self._parts.refused("wipe-refused", code, text)
        self._after()

    def _everything(self) -> list[str]:
        paths = self._parts.paths
        folders = {entry.name for entry in paths.models.iterdir()} if paths.models.is_dir() else set()
        keys = {key.stem for key in paths.keystore.glob("*.storage")}
        return sorted(folders | keys | set(self._parts.updates.states))

    def _inventory(self, order: bytes, models: list[str], targets: list[Target]) -> None:
        """Note what there is, model by model, before anything is destroyed."""
        if len(targets) < len(models):
            model = models[len(targets)]

            def noted(answer: Answer) -> None:
                key = answer.body.get("id")
                if not isinstance(key, bytes):
                    self._parts.loop.after(_RETRY_S, lambda: self._inventory(order, models, targets))
                    return
                target = Target(model=model, releases=self._releases(model), storage_key=key)
                self._inventory(order, models, [*targets, target])

            self._parts.unlocker.ask({"do": "storage-key", "model": model}, noted)
            return
        intent = Intent(order=order, targets=tuple(targets))
        if self._kept(lambda: self._note(intent), lambda: self._inventory(order, models, targets)):
            self._begin(intent)

    def _releases(self, model: str) -> tuple[bytes, ...]:
        slots = [Slot(self._parts.paths, self._parts.journal, model, slot) for slot in SLOTS]
        return tuple(sorted({slot.release for slot in slots if slot.release is not None}))

    def _begin(self, intent: Intent) -> None:
        log(f"wiping {', '.join(target.model for target in intent.targets) or 'nothing'}")
        for target in intent.targets:
            # Ends the processes that hold plaintext: their memory is gone with them.
            self._parts.updates.drop(target.model)
        self._destroy(intent, 0)

    def _destroy(self, intent: Intent, place: int) -> None:
        if place == len(intent.targets):
            self._rotate(intent)
            return
        model = intent.targets[place].model

        def destroyed(answer: Answer) -> None:
            if answer.ok:
                unreadable = intent.unreadable and answer.body.get("canary") is False
                self._destroy(replace(intent, unreadable=unreadable), place + 1)
            else:
                self._again(intent, answer)

        self._parts.unlocker.ask({"do": "destroy", "model": model}, destroyed)

    def _rotate(self, intent: Intent) -> None:
        if intent.kem:
            self._delete(intent)
            return

        def rotated(answer: Answer) -> None:
            kem = answer.body.get("kem")
            if answer.ok and isinstance(kem, bytes):
                noted = replace(intent, kem=kem)
                if self._kept(lambda: self._note(noted), self._from_journal):
                    self._delete(noted)
            else:
                self._again(intent, answer)

        self._parts.unlocker.ask({"do": "rotate-kem"}, rotated)

    def _delete(self, intent: Intent) -> None:
        if not self._kept(lambda: self._erase(intent), self._from_journal):
            return
        for target in intent.targets:
            self._parts.unlocker.ask({"do": "forget", "model": target.model}, lambda _: None)
        noted = self._parts.journal.fact("wipe")
        assert noted is not None
        self._sign(Intent.from_bytes(noted))

    def _erase(self, intent: Intent) -> None:
        for target in intent.targets:
            self._parts.forget(target.model)
            for slot in SLOTS:
                gone = Slot(self._parts.paths, self._parts.journal, target.model, slot).erase()
                intent = replace(intent, files=intent.files + gone[0], size=intent.size + gone[1])
                self._note(intent)
            files.remove_tree(self._parts.paths.model(target.model))

    def _sign(self, intent: Intent) -> None:
        erased = tuple(
            Erased(model=target.model, releases=target.releases, storage_key=target.storage_key)
            for target in intent.targets
            if target.storage_key
        )
        receipt = Receipt(
            device=self._parts.device,
            order_digest=intent.order,
            erased=erased,
            method=METHOD,
            assurance="clear",
            canary_unreadable=intent.unreadable,
            files=intent.files,
            bytes_erased=intent.size,
            time_s=self._parts.time.best(),
            kem=intent.kem,
        )

        def signed(answer: Answer) -> None:
            if answer.ok:
                self._finish(intent, answer.blob())
            else:
                self._again(intent, answer)

        self._parts.unlocker.ask({"do": "sign-receipt"}, signed, data=receipt.to_bytes())

    def _finish(self, intent: Intent, receipt: bytes) -> None:
        def finish() -> None:
            with self._parts.journal.transaction() as write:
                for target in intent.targets:
                    write.model(target.model, None)
                write.receipt(intent.order, receipt)
                write.fact("wipe", None)
                self._keep(write, receipt)

        if self._kept(finish, self._from_journal):
            self._compact(intent)

    def _compact(self, intent: Intent) -> None:
        if not self._kept(self._parts.journal.compact, lambda: self._compact(intent)):
            return
        log(f"wiped: {intent.files} files, {intent.size} bytes")
        self._parts.done()
        self._after()

    def _repeat(self, receipt: bytes) -> None:
        with self._parts.journal.transaction() as write:
            self._keep(write, receipt)

    def _keep(self, write: Write, receipt: bytes) -> None:
        write.event(
            Event(
                stream=b"\0" * 16,
                n=1,
                kind="wiped",
                time_s=self._parts.time.best(),
                uptime_s=int(self._parts.clock.since_boot()),
                receipt=receipt,
            )
        )

    def _note(self, intent: Intent) -> None:
        with self._parts.journal.transaction() as write:
            write.fact("wipe", intent.to_bytes())

    def _from_journal(self) -> None:
        """Go on from what the intent notes, as after a power cut."""
        self.resume(self._after)

    def _kept(self, step: Callable[[], None], again: Callable[[], None]) -> bool:
        """Do a step that writes. Whether it could be done; if not, ``again`` is called later."""
        try:
            step()
        except (StorageError, OSError) as error:
            self._later(str(error), again)
            return False
        return True

    def _again(self, intent: Intent, answer: Answer) -> None:
        self._later(f"{answer.text} [{answer.code}]", lambda: self._destroy(intent, 0))

    def _later(self, why: str, again: Callable[[], None]) -> None:
        """Trouble of this device must not end a wipe: it is tried until it is done."""
        log(f"wiping goes on in {_RETRY_S:.0f} s: {why}")
        self._parts.loop.after(_RETRY_S, again)
