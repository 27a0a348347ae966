"""The directive: all that one device should be, signed by the director; and the rules by which a device accepts it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from dunlin_contract import ids
from dunlin_contract.limits import LIMITS
from dunlin_contract.rules import Rule, refuse, require
from dunlin_contract.schema import (
    NO_ENTRIES,
    Record,
    array,
    at,
    format_version,
    octets,
    one_of,
    record,
    table,
    text,
    uint,
)

_digest = octets(32)


class Lease(Record):
    """What to do when the device has not heard from its server for ``seconds``."""

    seconds: int = at(0, uint(315_360_000, 60))
    action: str = at(1, one_of("warn", "stop"))


class Desired(Record):
    """The release one model should run.

    ``floor``: no release with a lower security counter may run. ``manifest`` and ``index`` name objects: the manifest's
    envelope, and pages of up to 4096 leaf hashes each.
    """

    release: bytes = at(0, _digest)
    floor: int = at(1, uint(LIMITS.counter))
    grant: bytes = at(2, octets(LIMITS.grant_bytes, 1))
    lease: Lease = at(3, record(Lease))
    manifest: bytes = at(4, _digest)
    index: tuple[bytes, ...] = at(5, array(_digest, LIMITS.index_pages, 1))


class Trial(Record):
    """A candidate beside the desired release of a model, which goes on serving.

    ``shadow``: the candidate sees a ``share`` (permille) of the requests too, its answers are compared and dropped.
    ``split``: it answers that share. ``standby``: it is loaded and waits. The candidate stays until no directive names
    it; one that desires it switches to it at once.
    """

    candidate: Desired = at(0, record(Desired))
    mode: str = at(1, one_of("shadow", "split", "standby"))
    share: int = at(2, uint(1000, 1), default=1000)


class Directive(Record):
    """The whole desired state of one device. A model that is absent is removed. Times in Unix seconds.

    ``captures``: per model an order to keep some of its inputs, signed by two ops keys (see :mod:`.capture`).
    """

    CAP_BYTES: ClassVar[int] = LIMITS.directive_bytes

    format: int = format_version(default=1)
    device: str = at(1, text(LIMITS.device_bytes, ids.is_device))
    epoch: int = at(2, uint(LIMITS.counter))
    seq: int = at(3, uint(LIMITS.sequence, 1))
    issued: int = at(4, uint(LIMITS.time_s))
    expires: int = at(5, uint(LIMITS.time_s))
    desired: Mapping[str, Desired] = at(6, table(text(LIMITS.name_bytes, ids.is_model), record(Desired), LIMITS.models))
    settings: bytes | None = at(7, _digest, default=None)
    wipe: bytes | None = at(8, octets(LIMITS.wipe_bytes, 1), default=None)
    nonce: bytes | None = at(9, octets(16), default=None)
    root: bytes | None = at(10, _digest, default=None)
    trials: Mapping[str, Trial] = at(
        11, table(text(LIMITS.name_bytes, ids.is_model), record(Trial), LIMITS.trials), default=NO_ENTRIES
    )
    captures: Mapping[str, bytes] = at(
        12,
        table(text(LIMITS.name_bytes, ids.is_model), octets(LIMITS.capture_bytes, 1), LIMITS.models),
        default=NO_ENTRIES,
    )

    def check(self) -> None:
        require(Rule.DIRECTIVE_TIME, self.issued < self.expires, "a directive must expire after it is issued")
        for name, trial in self.trials.items():
            beside = name in self.desired and trial.candidate.release != self.desired[name].release
            require(Rule.TRIAL, beside, f"a trial of {name} needs another release that is desired")


@dataclass(frozen=True, slots=True)
class DirectiveMemory:
    """What a device remembers between directives. ``time_floor``: the latest time any verified signature stated."""

    device: str
    epoch: int
    seq: int
    digest: bytes
    boot_nonce: bytes
    time_floor: int


def directive_digest(payload: bytes) -> bytes:
    """Names a directive's content, so that a repetition is told from a second one with the same number."""
    return hashlib.sha256(payload).digest()


def decide(memory: DirectiveMemory, directive: Directive, digest: bytes, uptime_s: int) -> bool:
    """Whether a genuine directive is news (True), or the one already followed (False).

    ``uptime_s`` is the time since ``memory.time_floor`` was learned. The wall clock has no say: a device that wakes
    in 1970 must follow its server.

    Raises:
        PolicyError: ``device``, ``epoch``, ``sequence``, ``equivocation`` or ``freshness``.
    """
    require(Rule.DEVICE, directive.device == memory.device, f"the directive is for {directive.device}")
    require(Rule.EPOCH, directive.epoch == memory.epoch, f"epoch {directive.epoch}; the root says {memory.epoch}")
    if directive.seq == memory.seq:
        same = digest == memory.digest
        require(Rule.EQUIVOCATION, same, f"a second directive numbered {directive.seq}: is the director key stolen?")
        return False
    newer = directive.seq > memory.seq
    require(Rule.SEQUENCE, newer, f"directive {directive.seq} is older than {memory.seq}, already followed")
    fresh = directive.nonce == memory.boot_nonce or directive.expires > memory.time_floor + uptime_s
    if not fresh:
        refuse(Rule.FRESHNESS, f"directive {directive.seq} has expired, and does not answer this boot")
    return True


def check_release(desired: Desired, name: str, *, manifest_name: str, counter: int, digest: bytes) -> None:
    """Whether a verified manifest is the one a directive names, and not below its floor.

    Raises:
        PolicyError: ``release`` or ``floor``.
    """
    right = digest == desired.release and manifest_name == name
    require(Rule.RELEASE, right, f"the manifest is not the release desired for {name}")
    above = counter >= desired.floor
    require(Rule.FLOOR, above, f"security counter {counter} is below the floor {desired.floor}")
