"""What people type into forms, as the values services take. Pure; each mistake is one line that names its field."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from dunlin_contract.capture import CaptureOrder
from fleet_server.errors import InvalidError

MAX_FIELDS = 2000
MAX_DIGITS = 12
_SPAN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(s|sec|m|min|h|d)?\s*", re.ASCII)
_UNIT_S = {None: 1, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a posted form, each with all its values in order."""

    fields: Mapping[str, Sequence[str]]

    @classmethod
    def parse(cls, body: bytes) -> "Form":
        """Read `application/x-www-form-urlencoded`. Raises: InvalidError."""
        try:
            pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
        except ValueError:
            raise InvalidError("the form cannot be read: reload the page and try again") from None
        fields: dict[str, list[str]] = {}
        for name, value in pairs:
            fields.setdefault(name, []).append(value)
        return cls(fields)

    def text(self, name: str, default: str = "") -> str:
        """The field's first value, without spaces around it."""
        return self.fields.get(name, [default])[0].strip()

    def all(self, name: str) -> list[str]:
        """Every value of a field, as typed."""
        return list(self.fields.get(name, ()))


def seconds(text: str, field: str) -> float:
    """`90`, `90 s`, `10 min`, `2h`, `1.5 d` in seconds; nothing is 0. Raises: InvalidError."""
    if not text.strip():
        return 0.0
    match = _SPAN.fullmatch(text)
    if match is None or len(match[1]) > MAX_DIGITS:
        raise InvalidError(f"{field}: {text[:40]!r} is no length of time; write 90 s, 10 min, 2 h or 1 d")
    return float(match[1]) * _UNIT_S[match[2]]


def tags(text: str, field: str = "Tags") -> dict[str, str]:
    """`site=lab, ring=canary` or one a line. Raises: InvalidError."""
    found: dict[str, str] = {}
    for part in re.split(r"[,\n]", text):
        if not part.strip():
            continue
        key, equals, value = part.partition("=")
        if not equals or not key.strip():
            raise InvalidError(f"{field}: {part.strip()[:40]!r} is no tag; write key=value, with commas between")
        found[key.strip()] = value.strip()
    return found


def names(text: str) -> list[str]:
    """Names with commas or spaces between."""
    return [name for name in re.split(r"[\s,]+", text) if name]


def number(text: str, field: str) -> float:
    """A number. Raises: InvalidError."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InvalidError(f"{field}: {text[:40]!r} is no number")
    return value


def rollout(form: Form) -> dict[str, Any]:
    """The body of `POST /api/v1/rollouts` that the new-rollout form stands for. Raises: InvalidError."""
    mode = form.text("mode", "rolling")
    return {
        **_trial(form, mode),
        "release": form.text("release"),
        "selector": {
            "tags": tags(form.text("tags")),
            "hardware": form.all("hardware"),
            "devices": names(form.text("devices")),
        },
        "stages": _stages(form),
        "gate": {
            "min_success": number(form.text("min_success", "90"), "Devices that must succeed") / 100,
            "min_samples": int(number(form.text("min_samples", "1"), "Devices to wait for")),
            "min_served": int(number(form.text("min_served", "0"), "Inferences each must serve")),
            **_trial_gate(form, mode),
            **_field_gate(form),
        },
        "on_breach": form.text("on_breach", "pause"),
        "device_deadline_s": seconds(form.text("device_deadline", "10 min"), "Time for each device"),
    }


def _trial(form: Form, mode: str) -> dict[str, Any]:
    """The form shows the fields of a trial always; without one they mean nothing."""
    if mode == "rolling" or not form.text("share"):
        return {"mode": mode}
    return {"mode": mode, "share": number(form.text("share"), "Share of the requests") / 100}


def _trial_gate(form: Form, mode: str) -> dict[str, Any]:
    if mode == "rolling":
        return {}
    gate: dict[str, Any] = {
        "min_pairs": int(number(form.text("min_pairs", "20"), "Requests to compare")),
        "error_share_max": number(form.text("error_share_max", "5"), "Failed requests") / 100,
    }
    if mode == "shadow" and form.text("agreement_min"):
        gate["agreement_min"] = number(form.text("agreement_min"), "Answers that must agree") / 100
    if form.text("p95_ratio_max"):
        gate["candidate_p95_ratio_max"] = number(form.text("p95_ratio_max"), "Times as slow")
    return gate


def _field_gate(form: Form) -> dict[str, Any]:
    """How a release does in the field; an empty field is not judged."""
    gate: dict[str, Any] = {}
    if form.text("drift_psi_max"):
        gate["drift_psi_max"] = number(form.text("drift_psi_max"), "Drift")
        gate["min_drift_samples"] = int(number(form.text("min_drift_samples", "500"), "Samples to judge drift by"))
    if form.text("temperature_max_c"):
        gate["temperature_max_c"] = number(form.text("temperature_max_c"), "Hottest")
    return gate


def capture(form: Form, device: str, now: float) -> CaptureOrder:
    """The capture order that the form on a device's page stands for. Raises: InvalidError."""
    return CaptureOrder(
        device=device,
        order_id=bytes(16),
        model=form.text("model"),
        issued=0,
        not_after=int(now + seconds(form.text("lives", "7 d"), "For")),
        per_day=int(number(form.text("per_day", "100"), "At most a day")),
        random_permille=round(10 * number(form.text("random") or "0", "At random")),
        margin_permille=round(10 * number(form.text("margin") or "0", "Two best answers within")),
        disagreement=form.text("disagreement") == "yes",
        classes=tuple(sorted({_class(name) for name in names(form.text("classes"))})),
    )


def _class(text: str) -> int:
    if not text.isdecimal() or len(text) > MAX_DIGITS:
        raise InvalidError(f"Answered with class: {text[:40]!r} is no class; write their numbers, with commas between")
    return int(text)


def _stages(form: Form) -> list[dict[str, Any]]:
    stages: list[dict[str, Any]] = []
    columns = (form.all("amount"), form.all("unit"), form.all("soak"))
    for place, (amount, unit, soak) in enumerate(zip(*columns, strict=False), 1):
        if not amount.strip():
            continue
        many = number(amount, f"Stage {place}")
        size = {"percent": many} if unit == "percent" else {"count": int(many)}
        stages.append({**size, "soak_s": seconds(soak, f"Soak of stage {place}")})
    return stages
