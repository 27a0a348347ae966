"""Accepting what the server says: verified by the unlocker, decided by the contract, journaled, then followed."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Protocol

from dunlin_contract import cbor
from dunlin_contract.directive import Directive, DirectiveMemory, decide, directive_digest
from dunlin_contract.errors import ContractError
from dunlin_contract.event import Ack
from dunlin_contract.limits import LIMITS
from dunlin_contract.root import Root
from dunlin_contract.schema import Record, at, format_version, octets, uint
from dunlin_contract.settings import Settings
from fleet_agent import files
from fleet_agent.clock import SignedTime
from fleet_agent.errors import StorageError
from fleet_agent.journal import Journal
from fleet_agent.paths import Paths
from fleet_agent.supervisor import leases
from fleet_agent.supervisor.fetching import Fetching
from fleet_agent.supervisor.log import log
from fleet_agent.supervisor.loop import Loop
from fleet_agent.supervisor.unlocking import Answer, Unlocker

_RETRY_S = 10.0
NEW_EPOCH = "new-epoch"
"""Journal's name for: the directive in force begins an epoch, and has not been followed yet."""


class Remembered(Record):
    """What the journal keeps of the last accepted directive, besides its payload, and of the root in force.

    ``epoch`` is the root's; ``seq`` counts within ``seq_epoch``, that of the directive.
    """

    CAP_BYTES: ClassVar[int] = 1024

    format: int = format_version(default=1)
    time_floor: int = at(1, uint(LIMITS.time_s))
    root_version: int = at(2, uint(LIMITS.counter, 1), default=1)
    epoch: int = at(3, uint(LIMITS.counter), default=0)
    seq_epoch: int = at(4, uint(LIMITS.counter), default=0)
    seq: int = at(5, uint(LIMITS.sequence), default=0)
    digest: bytes = at(6, octets(32, 0), default=b"")


class Follower(Protocol):
    """Who acts on accepted directives."""

    def follow(self, directive: Directive) -> None:
        """A directive was accepted and is in the journal."""

    def tell(self, kind: str, code: str, text: str) -> None:
        """Something that the server must hear of: a refusal, a new root."""

    def acknowledged(self, ack: Ack) -> None:
        """The server has these events."""

    def settings_changed(self) -> None:
        """``settings`` has new values."""


@dataclass(slots=True)
class Parts:
    """What acceptance works with."""

    loop: Loop
    paths: Paths
    journal: Journal
    time: SignedTime
    unlocker: Unlocker
    fetching: Fetching
    device: str
    boot_nonce: bytes


class Directives:
    """The directive in force, the settings and the root it names, and the rules for the next one."""

    def __init__(self, parts: Parts, first: Remembered, directive: Directive | None, follower: Follower) -> None:
        self._parts = parts
        self._follower = follower
        self.memory = first
        self.directive = directive
        self.settings = _settings(parts.paths)
        self._last_envelope = b""
        self._refused_envelope = b""

    def message(self, envelope: bytes) -> None:
        """Something on the desired topic; an empty message says nothing."""
        if not envelope or envelope == self._last_envelope:
            return
        self._last_envelope = envelope
        self._verify(envelope)

    def ack(self, envelope: bytes) -> None:
        """Something on the acknowledgements' topic."""
        if envelope:
            ask: dict[str, object] = {"do": "verify", "what": "ack"}
            self._parts.unlocker.ask(ask, self._acked, data=envelope[: LIMITS.ack_bytes + 1])

    def resume(self) -> None:
        """Fetch again what the directive in force names and is not here yet."""
        if self.directive is not None:
            self._fetch_objects(self.directive)

    def _verify(self, envelope: bytes) -> None:
        ask: dict[str, object] = {"do": "verify", "what": "directive"}
        data = envelope[: LIMITS.directive_bytes + 1]
        self._parts.unlocker.ask(ask, lambda answer: self._verified(envelope, answer), data=data)

    def _verified(self, envelope: bytes, answer: Answer) -> None:
        if answer.refused:
            self._refuse(envelope, answer.code, answer.text)
            return
        if not answer.ok:
            self._later(envelope, answer.text)
            return
        payload = answer.blob()
        memory, parts = self.memory, self._parts
        try:
            directive = Directive.from_bytes(payload)
            digest = directive_digest(payload)
            # A root rotation that raised the epoch begins the numbering anew, which undoes a fast-forward.
            same_epoch = memory.seq_epoch == memory.epoch
            seq, followed = (memory.seq, memory.digest) if same_epoch else (0, b"")
            floor = parts.time.floor
            known = DirectiveMemory(parts.device, memory.epoch, seq, followed, parts.boot_nonce, floor)
            if not decide(known, directive, digest, parts.time.uptime_s):
                return
        except ContractError as error:
            self._refuse(envelope, error.rule, error.detail)
            return
        self._accept(envelope, directive, payload, digest)

    def _later(self, envelope: bytes, why: str) -> None:
        """Trouble of this device, not of the directive: look at it again, unless another has come by then."""
        log(f"{why}; trying again")
        again = lambda: self._verify(envelope) if envelope == self._last_envelope else None  # noqa: E731
        self._parts.loop.after(_RETRY_S, again)

    def _accept(self, envelope: bytes, directive: Directive, payload: bytes, digest: bytes) -> None:
        parts, before = self._parts, self.memory
        parts.time.raise_to(directive.issued)
        after = replace(
            before, time_floor=parts.time.floor, seq_epoch=directive.epoch, seq=directive.seq, digest=digest
        )
        try:
            with parts.journal.transaction() as write:
                write.fact("directive", payload)
                write.fact("remembered", after.to_bytes())
                # What it means besides must survive as it does, should the power go before it is followed.
                write.fact(leases.FACT, None)
                if directive.epoch != before.seq_epoch:
                    write.fact(NEW_EPOCH, b"")
        except StorageError as error:
            self._later(envelope, str(error))
            return
        self.memory, self.directive = after, directive
        log(f"following directive {directive.epoch}/{directive.seq}")
        self._fetch_objects(directive)
        self._follower.follow(directive)

    def _refuse(self, envelope: bytes, code: str, text: str) -> None:
        # A retained directive comes again with every connection; one alarm is enough.
        digest = hashlib.sha256(envelope).digest()
        if digest == self._refused_envelope:
            return
        self._refused_envelope = digest
        log(f"a directive was refused: {text} [{code}]")
        self._follower.tell("directive-refused", code, text)
        self._want_root(_named_root(envelope))

    def _acked(self, answer: Answer) -> None:
        if not answer.ok:
            log(f"an acknowledgement was refused: {answer.text} [{answer.code}]")
            return
        try:
            ack = Ack.from_bytes(answer.blob())
        except ContractError:
            return
        if ack.device == self._parts.device:
            self._follower.acknowledged(ack)

    # Settings and root.

    def _fetch_objects(self, directive: Directive) -> None:
        settings = directive.settings
        if settings is None:
            self._parts.fetching.forget("settings")
            if self.settings != Settings():
                self._parts.paths.settings.unlink(missing_ok=True)
                self.settings = Settings()
                self._follower.settings_changed()
        elif settings != _digest_of(self._parts.paths.settings):
            self._parts.fetching.want("settings", [settings], self._settings_arrived)
        self._want_root(directive.root)

    def _want_root(self, name: bytes | None) -> None:
        """Fetch the next root. It is believed because of its own signatures, whoever named it."""
        if name is not None and name != _digest_of(self._parts.paths.root):
            self._parts.fetching.want("root", [name], self._root_arrived)

    def _settings_arrived(self, _: bytes, data: bytes) -> None:
        self._parts.fetching.forget("settings")
        try:
            settings = Settings.from_bytes(data)
        except ContractError as error:
            self._follower.tell("note", error.rule, f"settings were refused: {error.detail}")
            return
        files.write_whole(self._parts.paths.settings, data)
        self.settings = settings
        self._follower.settings_changed()

    def _root_arrived(self, _: bytes, data: bytes) -> None:
        self._parts.fetching.forget("root")
        self._parts.unlocker.ask({"do": "next-root"}, lambda answer: self._root_verified(data, answer), data=data)

    def _root_verified(self, envelope: bytes, answer: Answer) -> None:
        if not answer.ok:
            self._follower.tell("note", answer.code, f"a root was refused: {answer.text}")
            return
        root = Root.from_bytes(answer.blob())
        # Should the power go now, the next start reads the root's version out of the file.
        files.write_whole(self._parts.paths.root, envelope)
        self.root_is(root)
        self._follower.tell("root-changed", "", f"root {root.version}, epoch {root.epoch}")
        last, self._last_envelope = self._last_envelope, b""
        self.message(last)

    def root_is(self, root: Root) -> None:
        """Take note of the root in force."""
        after = replace(self.memory, root_version=root.version, epoch=root.epoch)
        if after == self.memory:
            return
        self.memory = after
        try:
            with self._parts.journal.transaction() as write:
                write.fact("remembered", after.to_bytes())
        except StorageError as error:
            log(str(error))  # the file has it, and the next start looks there


def _named_root(envelope: bytes) -> bytes | None:
    """The root that a *refused* directive names.

    A stolen director key can use up the numbers of an epoch; then the root that ends this can be heard of only here.
    """
    try:
        return Directive.from_bytes(cbor.decode(envelope, LIMITS.directive_bytes).value[2]).root
    except (ContractError, AttributeError, LookupError, TypeError):
        return None


def _settings(paths: Paths) -> Settings:
    data = files.read_if_there(paths.settings)
    try:
        return Settings.from_bytes(data) if data else Settings()
    except ContractError:  # damaged on the disk: no longer what the directive names, so it is fetched again
        return Settings()


def _digest_of(path: Path) -> bytes | None:
    data = files.read_if_there(path)
    return hashlib.sha256(data).digest() if data is not None else None
