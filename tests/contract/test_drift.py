"""Drift figures, and where a variant's baseline is found."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.vectors import material as m
from dunlin_contract.drift import SHARES, ks, psi
from dunlin_contract.manifest import Manifest

EVEN = (SHARES // 3,) * 3


def test_no_requests_are_no_drift() -> None:
    assert psi((0, 0, 0), EVEN) == 0
    assert ks((0, 0, 0), EVEN) == 0


def test_by_hand() -> None:
    """9 and 1 of ten where half each was expected: p = 9.5/11 and 1.5/11."""
    assert psi((9, 1), (SHARES, SHARES)) == pytest.approx(0.671209, abs=1e-6)
    assert ks((9, 1), (SHARES, SHARES)) == pytest.approx(0.4)
    assert ks((1, 9, 0), (0, 0, 5)) == pytest.approx(1)


def test_an_empty_bin_is_finite_and_large() -> None:
    assert 0.25 < psi((100, 0), (100, 65_435)) < math.inf


shares = st.lists(st.integers(0, 10_000), min_size=2, max_size=8).filter(any)


@given(shares)
def test_the_same_distribution_does_not_drift(expected: list[int]) -> None:
    assert psi(expected, expected) == pytest.approx(0, abs=1e-12)
    assert ks([3 * share for share in expected], expected) == pytest.approx(0, abs=1e-9)


@given(shares, st.data())
def test_bounds(expected: list[int], data: st.DataObject) -> None:
    counts = data.draw(st.lists(st.integers(0, 10_000), min_size=len(expected), max_size=len(expected)))
    assert psi(counts, expected) >= 0
    assert 0 <= ks(counts, expected) <= 1 + 1e-9


def test_the_baseline_is_found_by_its_role() -> None:
    plain = Manifest.from_cbor(m.MANIFEST)
    assert plain.baseline_payload(plain.variants[0]) is None
    content = m.enc(m.BASELINE)
    more = m.Content("drift", (("baseline", "cbor", 0, content, content),)).payloads
    with_one = Manifest.from_cbor({**m.MANIFEST, 6: [{**m.VARIANT, 3: [0, 1, 2, 3]}], 7: [*m.CONTENT.payloads, *more]})
    assert with_one.baseline_payload(with_one.variants[0]) == 3
