"""Drift as arithmetic: what merges, what a fall means, how much one device weighs, and when numbers mean something."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dunlin_contract.drift import SHARES
from dunlin_contract.limits import LIMITS
from dunlin_contract.telemetry import DriftCounts
from fleet_server import drift
from fleet_server.drift import Drift, Feature

SPREAD = (SHARES - 3 * (SHARES // 4), SHARES // 4, SHARES // 4, SHARES // 4)


def counted(*counts: int, name: str = "input image mean", expected: tuple[int, ...] = SPREAD) -> Drift:
    """One feature, counted so often in each of its bins."""
    return Drift((Feature(name, expected, counts),))


four = st.tuples(*[st.integers(0, 10**6)] * 4)


@given(four, four)
def test_what_was_added_is_what_came_since(before: tuple[int, ...], more: tuple[int, ...]) -> None:
    both = counted(*before) + counted(*more)
    assert both.since(counted(*before)) == counted(*more)
    assert both == counted(*more) + counted(*before)


def test_a_fall_or_another_baseline_means_that_all_of_it_is_new() -> None:
    assert counted(5, 5, 5, 4).since(counted(4, 6, 4, 4)) == counted(5, 5, 5, 4)
    assert counted(5, 5, 5, 5).since(counted(1, 1, 1, 1, name="other")) == counted(5, 5, 5, 5)
    assert counted(5, 5, 5, 5).since(counted(1, 1, 1, 1, expected=(1, 1, 1, SHARES - 3))) == counted(5, 5, 5, 5)
    assert counted(5, 5, 5, 5).since(Drift()) == counted(5, 5, 5, 5)


def test_the_same_shares_are_stable_and_others_have_drifted() -> None:
    (same,) = counted(250, 250, 250, 250).features
    (other,) = counted(0, 0, 0, 1000).features
    (between,) = counted(100, 300, 300, 300).features
    assert (same.word, other.word, between.word) == ("stable", "drifted", "watch")
    assert same.psi < 0.001 < drift.WATCH < between.psi < drift.DRIFTED < other.psi
    assert other.ks == pytest.approx(0.75, abs=0.001)


def test_few_samples_are_not_judged() -> None:
    few = counted(0, 0, 0, drift.LEAST_SAMPLES - 1)
    assert few.features[0].word == "too few"
    assert few.worst() is None
    assert few.worst(10) is few.features[0]
    assert counted(0, 0, 0, 0).features[0].word == "too few"


def test_chance_alone_hardly_ever_comes_to_a_watch() -> None:
    """The claim by which `LEAST_SAMPLES` was chosen, for the most bins there are."""
    dice, bins = random.Random(7), LIMITS.bins
    expected = (SHARES - (bins - 1) * (SHARES // bins),) + (SHARES // bins,) * (bins - 1)
    false = 0
    for _ in range(200):
        thrown = [0] * bins
        for place in dice.choices(range(bins), k=drift.LEAST_SAMPLES):
            thrown[place] += 1
        false += Feature("x", expected, tuple(thrown)).psi >= drift.WATCH
    assert false <= 10


def test_one_device_does_not_drown_the_others() -> None:
    found = {f"cam-{n}": counted(500, 500, 500, 500) for n in range(50)}
    (group,) = drift.groups(found | {"liar": counted(0, 0, 0, LIMITS.sequence)})
    (feature,) = group.drift.features
    assert (len(group.devices), feature.samples) == (51, 50 * 2000 + drift.MOST_SAMPLES)
    assert feature.word == "stable"
    assert counted(0, 0, 0, LIMITS.sequence).features[0].word == "drifted"


def test_devices_merge_by_baseline_and_the_largest_group_comes_first() -> None:
    mine = counted(1, 2, 3, 4)
    groups = drift.groups(
        {
            "a": counted(9, 9, 9, 9, name="made up"),
            "b": mine,
            "c": mine,
            "d": counted(9, 9, 9, 9, expected=(1, 1, 1, SHARES - 3)),
            "e": Drift(),
        }
    )
    assert [group.devices for group in groups] == [("b", "c"), ("a",), ("d",)]
    assert groups[0].drift == counted(2, 4, 6, 8)


def test_shares_that_are_no_baselines_are_not_taken() -> None:
    good = DriftCounts(feature="x", counts=(1, 2), expected=(1, SHARES - 1))
    for shares in ((0, 0), (SHARES, SHARES), (1, 1)):
        bad = DriftCounts(feature="y", counts=(1, 2), expected=shares)
        assert drift.sent([good, bad]) == Drift()
    assert drift.sent([good]) == Drift((Feature("x", (1, SHARES - 1), (1, 2)),))


def test_what_is_stored_is_read_as_it_was() -> None:
    both = Drift((*counted(1, 2, 3, 4).features, *counted(5, 6, 7, LIMITS.sequence, name="output y class").features))
    assert drift.stored(both.as_json()) == both


def test_sums_stay_within_what_a_count_may_be() -> None:
    many = counted(LIMITS.sequence, 0, 0, 0)
    assert many + many == many
