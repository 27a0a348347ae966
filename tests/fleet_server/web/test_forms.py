"""What people type."""

import pytest

from fleet_server.errors import InvalidError
from fleet_server.rollouts.spec import RolloutSpec
from fleet_server.web import forms
from fleet_server.web.forms import Form


@pytest.mark.parametrize(
    ("text", "value"),
    [("", 0), ("90", 90), ("90 s", 90), ("10 min", 600), ("10m", 600), ("1.5h", 5400), (" 2 d ", 172_800)],
)
def test_lengths_of_time(text: str, value: float) -> None:
    assert forms.seconds(text, "Soak") == value


@pytest.mark.parametrize("text", ["soon", "-1", "1 year", "1e9", "10 min later", "١ h", "9" * 400])
def test_no_length_of_time(text: str) -> None:
    with pytest.raises(InvalidError, match=r"Soak: .* is no length of time; write 90 s"):
        forms.seconds(text, "Soak")


def test_tags() -> None:
    assert forms.tags("site=lab, ring = canary\nempty=") == {"site": "lab", "ring": "canary", "empty": ""}
    assert forms.tags(" ") == {}
    with pytest.raises(InvalidError, match="'lab' is no tag; write key=value"):
        forms.tags("site=a, lab")


@pytest.mark.parametrize("text", ["", "x", "nan", "inf"])
def test_no_number(text: str) -> None:
    with pytest.raises(InvalidError, match="is no number"):
        forms.number(text, "Stage 1")


def test_the_form_stands_for_what_the_api_takes() -> None:
    form = Form.parse(
        b"release=" + b"0f" * 32 + b"&tags=site%3Dlab&hardware=pi5&hardware=jetson&devices=a,%20b"
        b"&amount=1&unit=count&soak=10+min&amount=50&unit=percent&soak=&amount=&unit=percent&soak=&min_success=95"
        b"&min_samples=2&min_served=10&on_breach=revert&device_deadline=15+min"
    )
    body = forms.rollout(form)
    assert body["selector"] == {"tags": {"site": "lab"}, "hardware": ["pi5", "jetson"], "devices": ["a", "b"]}
    assert body["stages"] == [{"count": 1, "soak_s": 600}, {"percent": 50, "soak_s": 0}]
    assert body["gate"] == {"min_success": 0.95, "min_samples": 2, "min_served": 10}
    spec = RolloutSpec.parse(body)
    assert (spec.on_breach, spec.device_deadline_s) == ("revert", 900)


@pytest.mark.parametrize(
    ("fields", "trial"),
    [
        ("mode=rolling&share=5&agreement_min=9", ("rolling", 1.0, 20, None, None)),
        ("mode=shadow&agreement_min=98&p95_ratio_max=1.5&min_pairs=100", ("shadow", 1.0, 100, 0.98, 1.5)),
        ("mode=canary&share=2.5&agreement_min=98", ("canary", 0.025, 20, None, None)),
    ],
)
def test_a_trial_is_asked_for_by_the_same_form(fields: str, trial: tuple[object, ...]) -> None:
    form = Form.parse(f"release={'0f' * 32}&amount=1&unit=count&soak=&{fields}".encode())
    spec = RolloutSpec.parse(forms.rollout(form))
    gate = spec.gate
    assert (spec.mode, spec.share, gate.min_pairs, gate.agreement_min, gate.candidate_p95_ratio_max) == trial


def test_a_form_that_cannot_be_read() -> None:
    with pytest.raises(InvalidError, match="the form cannot be read"):
        Form.parse(b"\xff\xfe")
    with pytest.raises(InvalidError, match="the form cannot be read"):
        Form.parse(b"&".join([b"a=1"] * (forms.MAX_FIELDS + 1)))
