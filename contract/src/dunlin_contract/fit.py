"""Whether a variant fits a device: one pure function, asked by packager, server and agent, and again in C."""

from typing import ClassVar

from dunlin_contract.limits import LIMITS
from dunlin_contract.rules import Rule, require
from dunlin_contract.schema import Record, array, at, one_of, record, text, uint

RUNTIMES = ("litert", "onnxruntime", "tensorrt", "tflm")
KEYSTORES = ("file", "tpm2", "pkcs11", "systemd-creds", "flash")
MODEL_STORES = ("locked", "no-swap", "plain-flash", "swappable")

_u32 = uint(2**32 - 1)
_bytes = uint(2**48)
_word = text(64, least=1)


class Op(Record):
    """An operator a model uses, with the version (TFLite) or opset (ONNX) it needs."""

    opcode: str = at(0, _word)
    version: int = at(1, _u32)


class Fit(Record):
    """What a variant needs of a device. Zero or empty means: no demand."""

    runtime: str = at(0, one_of(*RUNTIMES))
    min_version: tuple[int, ...] = at(1, array(_u32, 3, 3))
    ops: tuple[Op, ...] = at(2, array(record(Op), LIMITS.ops))
    arena_bytes: int = at(3, _bytes, default=0)
    flash_bytes: int = at(4, _bytes, default=0)
    memory_bytes: int = at(5, _bytes, default=0)
    hardware_classes: tuple[str, ...] = at(6, array(_word, LIMITS.hardware_classes), default=())
    stores: tuple[str, ...] = at(7, array(one_of(*MODEL_STORES), len(MODEL_STORES)), default=())

    def check(self) -> None:
        pairs = [(op.opcode, op.version) for op in self.ops]
        require(Rule.ORDER, pairs == sorted(set(pairs)), "fit.ops must be sorted and without repeats")
        ordered = list(self.hardware_classes) == sorted(set(self.hardware_classes))
        require(Rule.ORDER, ordered, "fit.hardware_classes must be sorted and without repeats")
        ordered = list(self.stores) == sorted(set(self.stores))
        require(Rule.ORDER, ordered, "fit.stores must be sorted and without repeats")


class RuntimeInfo(Record):
    """A runtime installed on a device. ``ops`` empty: all operators of that version."""

    name: str = at(0, one_of(*RUNTIMES))
    version: tuple[int, ...] = at(1, array(_u32, 3, 3))
    ops: tuple[Op, ...] = at(2, array(record(Op), LIMITS.ops), default=())


class Tier(Record):
    """How well secrets are kept: where the device's keys lie, and where a model's plaintext.

    ``model_store``: in memory that is never swapped out (the device has no swap, or the pages are locked), in memory
    that may be, or in a microcontroller's flash, from which it is executed in place.
    """

    keystore: str = at(0, one_of(*KEYSTORES))
    model_store: str = at(1, one_of(*MODEL_STORES))


class DeviceDescription(Record):
    """What a device says it is. Sizes in bytes; zero flash or arena: not a limit on this kind of device."""

    CAP_BYTES: ClassVar[int] = LIMITS.reported_bytes

    hardware_class: str = at(0, _word)
    arch: str = at(1, _word)
    memory_bytes: int = at(2, _bytes)
    flash_bytes: int = at(3, _bytes, default=0)
    arena_bytes: int = at(4, _bytes, default=0)
    runtimes: tuple[RuntimeInfo, ...] = at(5, array(record(RuntimeInfo), LIMITS.runtimes))
    tier: Tier = at(6, record(Tier))


def _missing_ops(needed: tuple[Op, ...], offered: tuple[Op, ...]) -> list[str]:
    best: dict[str, int] = {}
    for op in offered:
        best[op.opcode] = max(best.get(op.opcode, 0), op.version)
    return [f"{op.opcode} version {op.version}" for op in needed if best.get(op.opcode, -1) < op.version]


def fit(needs: Fit, device: DeviceDescription) -> list[str]:
    """Reasons why a variant does not fit, one line each, short enough to be reported; empty when it fits."""
    reasons: list[str] = []
    if needs.hardware_classes and device.hardware_class not in needs.hardware_classes:
        reasons.append(f"hardware class {device.hardware_class} is not one of {', '.join(needs.hardware_classes)}")
    if needs.stores and device.tier.model_store not in needs.stores:
        reasons.append(f"the release accepts no model in {device.tier.model_store}, only in {', '.join(needs.stores)}")
    runtime = next((one for one in device.runtimes if one.name == needs.runtime), None)
    if runtime is None:
        reasons.append(f"runtime {needs.runtime} is not installed")
    elif runtime.version < needs.min_version:
        have, want = (".".join(map(str, version)) for version in (runtime.version, needs.min_version))
        reasons.append(f"runtime {needs.runtime} {have} is older than {want}")
    elif runtime.ops and (missing := _missing_ops(needs.ops, runtime.ops)):
        reasons.append(f"operators missing: {', '.join(missing[:8])}")
    for word, need, limit in (
        ("memory", needs.memory_bytes, device.memory_bytes),
        ("flash", needs.flash_bytes, device.flash_bytes),
        ("arena", needs.arena_bytes, device.arena_bytes),
    ):
        limited = limit > 0 or word == "memory"
        if limited and need > limit:
            reasons.append(f"{word}: {need} bytes are needed, the device has {limit}")
    return [reason.encode()[: LIMITS.text_bytes].decode(errors="ignore") for reason in reasons]
