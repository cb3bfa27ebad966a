"""Intervals: known values, bounds around the estimate, narrower with more."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasten.quality.interval import ratio_interval, share_interval

SCORES = st.floats(0.0, 10.0)


def test_wilsons_interval_has_the_values_of_the_books() -> None:
    """8 of 10 is 0.49 to 0.94 (Newcombe 1998 gives the method's figures)."""
    found = share_interval(8, 10)
    assert found.estimate == 0.8
    assert (round(found.low, 3), round(found.high, 3)) == (0.490, 0.943)


def test_nothing_asked_says_nothing() -> None:
    """The interval of no cases is everything."""
    found = share_interval(0, 0)
    assert (math.isnan(found.estimate), found.low, found.high) == (True, 0.0, 1.0)


@given(st.lists(st.tuples(SCORES, SCORES), min_size=1, max_size=20), st.integers(0, 5))
def test_a_ratio_lies_in_order_and_is_the_same_for_the_same_seed(
    pairs: list[tuple[float, float]], seed: int
) -> None:
    """Low, high, whatever the scores."""
    found = ratio_interval(pairs, seed=seed, resamples=50)
    assert found.low <= found.high
    assert found == ratio_interval(pairs, seed=seed, resamples=50)


def test_equal_pairs_have_no_spread() -> None:
    """What is always nine tenths is surely nine tenths."""
    found = ratio_interval([(10.0, 9.0)] * 5)
    assert found == pytest.approx((0.9, 0.9, 0.9))


def test_more_pairs_are_surer() -> None:
    """The interval shrinks."""
    few = ratio_interval([(1.0, 0.8), (1.0, 1.2)] * 3)
    many = ratio_interval([(1.0, 0.8), (1.0, 1.2)] * 50)
    assert many.high - many.low < few.high - few.low
