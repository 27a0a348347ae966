"""Who may take part in a rollout, and the reasons why not. Pure over rows that were already read."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from dunlin_contract.fit import DeviceDescription, fit
from dunlin_contract.limits import LIMITS, MCU_LIMITS
from dunlin_contract.manifest import MICRO_RUNTIME, Manifest, Variant
from fleet_server.db.models import DeviceModelRow, DeviceRow


class Why(StrEnum):
    """Kinds of reasons to leave a device out."""

    UNFIT = "unfit"
    ALREADY = "already"
    FLOOR = "floor"
    BUSY = "busy"
    FULL = "full"
    WIPED = "wiped"


@dataclass(frozen=True, slots=True)
class Exclusion:
    """One device that a rollout leaves out, and why: ``reasons`` are lines for people."""

    device: str
    why: Why
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """What fits devices of one description: the variant they take (None: none fits), and why not the others."""

    variant: Variant | None
    rejected: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be installed: release digest (hex), its manifest, and the devices that the selector names.

    Devices of one make describe themselves alike, so their choice of a variant is made once.
    """

    release: str
    manifest: Manifest
    named: frozenset[str] = frozenset()
    _choices: dict[bytes, Choice] = field(default_factory=dict, compare=False, repr=False)

    def choice(self, device: DeviceRow) -> Choice:
        """The first variant that fits, in the packager's order of preference."""
        known = self._choices.get(device.description)
        if known is None:
            known = self._choices[device.description] = self._choose(device.description)
        return known

    def download_bytes(self, variant: Variant) -> int:
        """Ciphertext bytes that a device fetches for a variant."""
        return sum(self.manifest.payloads[index].ciphertext_length for index in variant.payloads)

    def _choose(self, description: bytes) -> Choice:
        device = DeviceDescription.from_bytes(description)
        rejected: list[str] = []
        for variant in self.manifest.variants:
            reasons = fit(variant.fit, device)
            if variant.fit.runtime == MICRO_RUNTIME:
                reasons += self._too_large(variant)
            if not reasons:
                return Choice(variant, tuple(rejected))
            rejected.append(f"{variant.kind}: {'; '.join(reasons)}")
        return Choice(None, tuple(rejected))

    def _too_large(self, variant: Variant) -> list[str]:
        """What of a variant for microcontrollers is more than one need be able to hold."""
        pages = math.ceil(sum(payload.chunk_count for payload in self.manifest.payloads) / LIMITS.page_leaves)
        sizes = (
            ("index pages, of all variants together", pages, MCU_LIMITS.index_pages),
            ("payloads", len(variant.payloads), MCU_LIMITS.variant_payloads),
            ("operators", len(variant.fit.ops), MCU_LIMITS.ops),
            ("inputs", len(variant.io.inputs), MCU_LIMITS.tensors),
            ("outputs", len(variant.io.outputs), MCU_LIMITS.tensors),
        )
        return [f"{have} {what}: a microcontroller takes {most}" for what, have, most in sizes if have > most]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What else goes on for this model: device -> the rollout it is in, and device -> how far a wipe of it is.

    A wipe counts while its order is on the way (``"sent"``), and afterwards (``"done"``) until somebody assigns anew.
    ``full``: devices that should run as many other models as they can be told.
    """

    busy: Mapping[str, int]
    wipes: Mapping[str, str]
    full: frozenset[str] = frozenset()


def most_models(device: DeviceRow) -> int:
    """How many models a device can be told to run."""
    return LIMITS.models if device.gateway is None else MCU_LIMITS.models


def exclusion(
    target: Target, device: DeviceRow, model: DeviceModelRow | None, around: Surroundings
) -> Exclusion | None:
    """Why ``device`` cannot get the target's release now; None when it can. ``model`` is its row for this model."""
    wipe = around.wipes.get(device.id)
    if wipe == "sent":
        return Exclusion(device.id, Why.WIPED, ("a wipe of this model is under way",))
    if wipe == "done" and device.id not in target.named:
        return Exclusion(device.id, Why.WIPED, ("it was wiped: name it in the selector's devices to bring it back",))
    if device.id in around.busy:
        return Exclusion(device.id, Why.BUSY, (f"it takes part in rollout {around.busy[device.id]}",))
    if device.id in around.full:
        most = most_models(device)
        others = "another model" if most == 1 else f"{most} other models"
        return Exclusion(device.id, Why.FULL, (f"it should run {others}, and holds no more: wipe one of it first",))
    if model is not None and model.desired == target.release == model.active:
        return Exclusion(device.id, Why.ALREADY, ("it runs this release already",))
    counter = target.manifest.counter
    if model is not None and counter < model.floor:
        line = f"security counter {counter} is below its floor {model.floor}: build the release with a higher one"
        return Exclusion(device.id, Why.FLOOR, (line,))
    choice = target.choice(device)
    return Exclusion(device.id, Why.UNFIT, choice.rejected) if choice.variant is None else None
