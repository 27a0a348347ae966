"""Drift and hardware, as numbers that can be drawn."""

from collections.abc import Mapping

from sqlmodel import Session

from fleet_server import drift
from fleet_server.api.views.shape import Json
from fleet_server.db.models import DeviceRow
from fleet_server.drift import Drift, Feature
from fleet_server.services import hardware, quality
from fleet_server.services.quality import Quality

GROUPS = 4  # baselines of one release that an answer shows: it has one for each variant
DRIFTING = 10  # devices that an answer names


def of_device(session: Session, device: str, now: float) -> list[Json]:
    """What a device counted of each of its releases in the last day."""
    return [
        {"model": model, "release": release, "at": one.at, "features": _features(one.drift), **_answers(one.confidence)}
        for (model, release), one in quality.of_device(session, device, now).items()
    ]


def of_release(session: Session, release: str, now: float) -> Json:
    """What a release's devices counted of it in the last day: together, by baseline, and who of them has drifted."""
    found = quality.of_release(session, release, now)
    together: tuple[int, ...] = ()
    for one in found.values():
        together = drift.added(together, one.confidence) if together and one.confidence else together or one.confidence
    return {
        "devices": len(found),
        "groups": [
            {"devices": len(group.devices), "features": _features(group.drift)}
            for group in drift.groups({device: one.drift for device, one in found.items()})[:GROUPS]
        ],
        "drifting": _drifting(found),
        **_answers(together),
    }


def hardware_of(session: Session, row: DeviceRow, now: float) -> Json | None:
    """What a device's sensors say, and the highest of each hour of the last day; None: it never said."""
    if row.hardware is None:
        return None
    windows = [
        {
            "start": one.start,
            "temperature_dc": one.temperature_dc,
            "power_mw": one.power_mw,
            "gpu_permille": one.gpu_permille,
            "slowed": one.slowed,
        }
        for one in hardware.last_day(session, row.id, now)
    ]
    slowed = {
        "slowed": bool(row.hardware["throttled"] & hardware.NOW_BITS),
        "was_slowed": row.hardware["throttled"] > 0,
    }
    return row.hardware | slowed | {"at": row.hardware_at, "hours": windows}


def worst(one: Feature | None) -> Json | None:
    """The feature by which a rollout is judged."""
    return None if one is None else {"feature": one.name, "psi": one.psi, "ks": one.ks, "samples": one.samples}


def _drifting(found: Mapping[str, Quality]) -> list[Json]:
    judged = ((device, one.drift.worst()) for device, one in found.items())
    bad = [(feature.psi, device, feature) for device, feature in judged if feature and feature.psi >= drift.DRIFTED]
    return [
        {"device": device, "feature": feature.name, "psi": psi, "samples": feature.samples}
        for psi, device, feature in sorted(bad, key=lambda one: (-one[0], one[1]))[:DRIFTING]
    ]


def _features(counted: Drift) -> list[Json]:
    """Shares of 1 by bin: as expected, and as seen."""
    return [
        {
            "feature": one.name,
            "psi": one.psi,
            "ks": one.ks,
            "samples": one.samples,
            "word": one.word,
            "expected": _shares(one.expected),
            "seen": _shares(one.counts),
        }
        for one in counted.features
    ]


def _answers(confidence: tuple[int, ...]) -> Json:
    return {"answers": sum(confidence), "confidence": _shares(confidence)}


def _shares(counts: tuple[int, ...]) -> list[float]:
    total = sum(counts)
    return [round(count / total, 6) if total else 0.0 for count in counts]
