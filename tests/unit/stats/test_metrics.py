"""Certified accuracy and its relatives, by hand."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.rounding import radius_down
from holdfast.stats import (
    Result,
    accuracy_among_certified,
    average_certified_radius,
    certified_accuracy,
    certified_percentage,
    smoothed_accuracy,
)

# (true label, prediction, squared radius): right at radius 10, right at 5, right at 0, wrong at 10, abstained twice
RESULTS: list[Result] = [(3, 3, 100), (1, 1, 25), (0, 0, 0), (2, 7, 100), (5, -1, -1), (0, -1, -1)]


def px(radius: int) -> Fraction:
    return Fraction(radius, 255)


@pytest.mark.parametrize(
    ("radius", "accuracy", "percentage", "among"),
    [
        (px(0), Fraction(3, 6), Fraction(4, 6), Fraction(3, 4)),
        (px(1), Fraction(2, 6), Fraction(3, 6), Fraction(2, 4)),
        (px(5), Fraction(2, 6), Fraction(3, 6), Fraction(2, 4)),
        (px(5) + Fraction(1, 1000), Fraction(1, 6), Fraction(2, 6), Fraction(1, 4)),
        (px(10), Fraction(1, 6), Fraction(2, 6), Fraction(1, 4)),
        (px(11), Fraction(0), Fraction(0), Fraction(0)),
    ],
)
def test_by_hand(radius: Fraction, accuracy: Fraction, percentage: Fraction, among: Fraction) -> None:
    assert certified_accuracy(RESULTS, radius) == accuracy
    assert certified_percentage(RESULTS, radius) == percentage
    assert accuracy_among_certified(RESULTS, radius) == among


def test_smoothed_accuracy_is_certified_accuracy_at_zero() -> None:
    assert smoothed_accuracy(RESULTS) == Fraction(1, 2)


def test_the_average_radius_counts_wrong_and_abstained_as_zero() -> None:
    acr = Fraction(average_certified_radius(RESULTS))
    assert acr <= Fraction(15, 6 * 255) < acr + Fraction(1, 10**15)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 10**6)), max_size=8))
def test_the_average_radius_is_never_rounded_up(results: list[Result]) -> None:
    """Compared with the sum of the exact roots, each rounded up to 30 digits."""
    acr = Fraction(average_certified_radius(results))
    scale = 10**30
    roots = sum(_root_up(k * scale**2) for label, predicted, k in results if label == predicted)
    assert acr * 255 * max(len(results), 1) * scale <= roots


def _root_up(value: int) -> int:
    root = isqrt(value)
    return root if root * root == value else root + 1


def test_an_average_that_a_float_sum_would_round_up() -> None:
    """Summing in doubles can exceed the exact mean of the very same doubles; the exact mean cannot."""
    exceeded = 0
    for k in range(1, 400):
        results = [(0, 0, k), (0, 0, k + 1), (0, 0, 2 * k + 1)]
        exact = sum(Fraction(radius_down(r[2])) for r in results) / 3
        exceeded += Fraction(sum(radius_down(r[2]) for r in results) / 3) > exact
        assert Fraction(average_certified_radius(results)) <= exact
    assert exceeded


@pytest.mark.parametrize("results", [[], [(1, -1, -1)]])
def test_nothing_certified_gives_zero(results: list[Result]) -> None:
    assert certified_accuracy(results, Fraction(0)) == 0
    assert certified_percentage(results, Fraction(0)) == 0
    assert accuracy_among_certified(results, Fraction(0)) == 0
    assert average_certified_radius(results) == 0.0
