"""Every test vector of the contract through the C implementation: the same verdicts, the same outputs."""

import copy

import pytest

from dunlin_contract.limits import LIMITS, MCU_LIMITS
from tests.contract import vectors
from tests.contract.vectors import Vector
from tests.firmware import questions
from tests.firmware.runner import Runner

VECTORS = vectors.every()

_CAPS = {
    "manifest": MCU_LIMITS.manifest_bytes,
    "root-first": MCU_LIMITS.root_bytes,
    "root-next": MCU_LIMITS.root_bytes,
    "directive": MCU_LIMITS.directive_bytes,
    "ack": MCU_LIMITS.ack_bytes,
    "wipe": MCU_LIMITS.wipe_bytes,
    "settings": MCU_LIMITS.settings_bytes,
    "enrol-reply": MCU_LIMITS.enrolment_bytes,
}
"""Of messages that a microcontroller reads, in bytes."""


def test_every_kind_is_asked() -> None:
    assert questions.KINDS == vectors.KINDS


def test_caps(runner: Runner, micro: Runner) -> None:
    for started, limits in ((runner, LIMITS), (micro, MCU_LIMITS)):
        caps = started.ask("caps", {}).values
        assert {name: int(cap) for name, (cap,) in caps.items()} == {name: getattr(limits, name) for name in caps}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_vector(runner: Runner, vector: Vector) -> None:
    assert questions.disagreement(vector, questions.ask(runner, vector)) is None


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_vector_with_a_microcontrollers_caps(micro: Runner, vector: Vector) -> None:
    """Firmware's own library: it refuses what is longer than its caps, and else says the same."""
    answer = questions.ask(micro, vector)
    cap = _CAPS.get(vector["kind"])
    if cap is not None and len(vector["bytes"]) // 2 > cap:
        assert answer.verdict == "size"
    else:
        assert questions.disagreement(vector, answer) is None


def test_a_wrong_expectation_is_noticed(runner: Runner) -> None:
    """One changed verdict, or one changed output, of any kind must not pass."""
    for kind in vectors.KINDS:
        vector = next(one for one in VECTORS if one["kind"] == kind and one["expect"] == "ok")
        answer = questions.ask(runner, vector)
        assert questions.disagreement(vector, answer) is None
        assert questions.disagreement({**vector, "expect": "merkle"}, answer) is not None
        for name in answer.values:
            changed = copy.deepcopy(answer)
            changed.values[name][0] += b"!"
            if name == "reasons":
                changed.values[name].append(b"one more")
            assert questions.disagreement(vector, changed) is not None, (kind, name)


def test_a_wrong_acceptance_is_noticed(runner: Runner) -> None:
    refused = next(one for one in VECTORS if one["expect"] == "signature")
    answer = questions.ask(runner, refused)
    assert questions.disagreement(refused, answer) is None
    assert questions.disagreement({**refused, "expect": "ok"}, answer) is not None
