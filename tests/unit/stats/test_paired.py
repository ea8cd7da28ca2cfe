"""Intervals from paired results: coverage by enumerating every outcome in exact fractions, and refusals."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from math import comb, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import ParameterError
from holdfast.stats import (
    Interval,
    PairedCounts,
    clopper_pearson_lower_down,
    clopper_pearson_upper_up,
    difference_interval,
    difference_upper_up,
    mean_difference_interval,
    mean_interval,
    share_interval,
)
from holdfast.stats import interval as intervals
from holdfast.stats.discordance import rejected

TWENTIETH = Fraction(1, 20)
ALPHAS = [Fraction(1, 20), Fraction(1, 4), Fraction(49, 100)]
LAWS = [
    (Fraction(p, 20), Fraction(q, 20)) for p, q in product((0, 1, 2, 5, 9, 10, 14, 19, 20), repeat=2) if p + q <= 20
]
"""(p10, p01): also with one or both impossible, and with nothing in common."""


def outcomes(total: int, p: Fraction, q: Fraction) -> Iterator[tuple[int, int, Fraction]]:
    """Every (only first, only second) of ``total`` inputs with its exact probability."""
    for first in range(total + 1):
        for second in range(total + 1 - first):
            ways = comb(total, first) * comb(total - first, second)
            yield first, second, ways * p**first * q**second * (1 - p - q) ** (total - first - second)


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("total", [1, 2, 5, 12, 20])
def test_the_difference_is_covered_whatever_the_law(total: int, alpha: Fraction) -> None:
    """The guarantee itself, by enumeration: the interval as a whole, and each of its ends."""
    found = {
        (b, c): difference_interval(PairedCounts(b, c, total), alpha)
        for b in range(total + 1)
        for c in range(total + 1 - b)
    }
    for p, q in LAWS:
        low = high = Fraction(0)
        for first, second, probability in outcomes(total, p, q):
            low += probability * (found[first, second].lower > p - q)
            high += probability * (found[first, second].upper < p - q)
        assert low <= alpha / 2
        assert high <= alpha / 2


def test_an_approximate_interval_would_be_seen() -> None:
    """So that the enumeration can fail: the interval of the normal approximation misses far more often than it says."""
    total, (p, q) = 20, (Fraction(1, 20), Fraction(0))
    missed = Fraction(0)
    for first, second, probability in outcomes(total, p, q):
        difference = (first - second) / total
        half = 1.96 * sqrt(((first + second) / total - difference**2) / total)
        missed += probability * (not difference - half <= float(p - q) <= difference + half)
    assert missed > Fraction(1, 4)


@pytest.mark.parametrize("total", [2, 7, 60])
@pytest.mark.parametrize("alpha", ALPHAS)
def test_the_interval_holds_what_was_measured(total: int, alpha: Fraction) -> None:
    for first, second in ((0, 0), (1, 0), (0, total), (total - 1, 1), (total // 2, total // 3)):
        both = difference_interval(PairedCounts(first, second, total), alpha)
        assert -1 <= both.lower <= Fraction(first - second, total) <= both.upper <= 1


@pytest.mark.parametrize("counts", [(60, 41, 2000), (30, 10, 500), (300, 281, 10_000)])
def test_it_is_narrower_than_two_clopper_pearson_limits(counts: tuple[int, int, int]) -> None:
    first, second, total = counts
    parts = [
        clopper_pearson_upper_up(first, total, TWENTIETH / 2),
        clopper_pearson_lower_down(second, total, TWENTIETH / 2),
    ]
    assert difference_upper_up(PairedCounts(*counts), TWENTIETH) < (parts[0] - Fraction(parts[1])) * Fraction(9, 10)


@pytest.mark.parametrize("d", [Fraction(-1, 5), Fraction(0), Fraction(1, 20), Fraction(3, 10)])
@pytest.mark.parametrize("s", [Fraction(3, 10), Fraction(1, 2)])
def test_the_law_of_the_lead_is_that_of_two_independent_binomials(s: Fraction, d: Fraction) -> None:
    """Against the sum over all outcomes, in fractions, just above and just below the probability."""
    total, step = 12, Fraction(1, 10**20)
    for k in range(-total, total):
        exact = sum((w for b, c, w in outcomes(total, (s + d) / 2, (s - d) / 2) if b - c <= k), Fraction(0))
        assert rejected(k, total, s, d, exact + step)
        assert not rejected(k, total, s, d, exact - step)


def test_few_leads_become_likelier_the_more_often_the_two_differ() -> None:
    """What the limit rests on: below the mean, by (n - 1) d >= k + 2, for every s up to 1/2."""
    total = 12
    for d in (Fraction(i, 20) for i in range(-4, 8)):
        for k in range(-total, math.floor((total - 1) * d - 2) + 1):
            found = [
                sum((w for b, c, w in outcomes(total, (s + d) / 2, (s - d) / 2) if b - c <= k), Fraction(0))
                for s in (Fraction(j, 20) for j in range(math.ceil(abs(d) * 20), 11))
            ]
            assert found == sorted(found)


@given(st.integers(1, 400), st.data(), st.sampled_from(ALPHAS))
def test_exchanging_the_two_turns_the_interval_round(total: int, data: st.DataObject, alpha: Fraction) -> None:
    first = data.draw(st.integers(0, total))
    second = data.draw(st.integers(0, total - first))
    one = difference_interval(PairedCounts(first, second, total), alpha)
    other = difference_interval(PairedCounts(second, first, total), alpha)
    assert (one.lower, one.upper) == (-other.upper, -other.lower)
    assert difference_upper_up(PairedCounts(first, second, total), alpha / 2) == one.upper


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_counting_pairs(pairs: list[tuple[bool, bool]]) -> None:
    first, second = zip(*pairs, strict=True)
    counts = PairedCounts.of(first, second)
    assert counts.difference == Fraction(sum(first), len(pairs)) - Fraction(sum(second), len(pairs))
    both = sum(a and b for a, b in pairs)
    assert (counts.only_first, counts.only_second) == (sum(first) - both, sum(second) - both)


@pytest.mark.parametrize("counts", [(0, 0, 0), (-1, 0, 5), (0, -1, 5), (3, 3, 5), (1, 0, -1)])
def test_counts_that_cannot_be_are_refused(counts: tuple[int, int, int]) -> None:
    with pytest.raises(ParameterError, match="no such counts"):
        PairedCounts(*counts)


def test_sequences_about_other_inputs_are_refused() -> None:
    with pytest.raises(ValueError, match="longer"):
        PairedCounts.of([True], [True, False])


@pytest.mark.parametrize("alpha", [Fraction(0), Fraction(1, 2), 0.05])
def test_levels_out_of_range_are_refused(alpha: Fraction) -> None:
    counts, zeros = PairedCounts(1, 2, 9), [Fraction(0)] * 3
    for call in (
        lambda: difference_interval(counts, alpha),
        lambda: difference_upper_up(counts, alpha),
        lambda: share_interval(1, 9, alpha),
        lambda: mean_interval(zeros, Fraction(0), Fraction(1), alpha),
    ):
        with pytest.raises(ParameterError, match="alpha must"):
            call()


# One share


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("total", [1, 6, 25])
def test_a_share_is_covered_from_both_sides(total: int, alpha: Fraction) -> None:
    found = [share_interval(k, total, alpha) for k in range(total + 1)]
    assert (found[0].lower, found[-1].upper) == (0, 1)
    for step in range(41):
        q = Fraction(step, 40)
        weights = [comb(total, k) * q**k * (1 - q) ** (total - k) for k in range(total + 1)]
        assert sum(w for w, i in zip(weights, found, strict=True) if i.lower > q) <= alpha / 2
        assert sum(w for w, i in zip(weights, found, strict=True) if i.upper < q) <= alpha / 2


def test_the_upper_limit_mirrors_the_lower_one() -> None:
    assert clopper_pearson_upper_up(7, 7, TWENTIETH) == 1
    assert clopper_pearson_upper_up(3, 10, TWENTIETH) == 1 - Fraction(clopper_pearson_lower_down(7, 10, TWENTIETH))
    exact = clopper_pearson_upper_up(0, 40, TWENTIETH)
    assert (1 - exact) ** 40 <= TWENTIETH < (1 - exact + Fraction(1, 10**9)) ** 40


@given(st.fractions(-1, 1, max_denominator=10**7), st.fractions(0, 1, max_denominator=10**7), st.integers(1, 6))
def test_what_is_shown_leaves_nothing_out(lower: Fraction, width: Fraction, digits: int) -> None:
    shown = Interval(lower, lower + width).text(digits)
    low, high = (Fraction(part) for part in shown.split(" to "))
    assert low <= lower < low + Fraction(1, 10**digits)
    assert high - Fraction(1, 10**digits) < lower + width <= high


# Means


@pytest.mark.parametrize(
    ("values", "shares"),
    [
        ((-1, 0, 1), (1, 8, 1)), ((-1, 0, 1), (1, 1, 1)), ((0, 0, 1), (30, 9, 1)), ((-2, 1, 1), (1, 2, 0)),
        ((-1, -1, -1), (1, 1, 1)), ((-3, 0, 1), (1, 40, 3)),
    ],
)  # fmt: skip
@pytest.mark.parametrize(("total", "alpha"), [(2, Fraction(49, 100)), (30, Fraction(49, 100)), (40, Fraction(1, 4))])
def test_a_mean_is_covered_whatever_the_law(
    values: tuple[int, ...], shares: tuple[int, ...], total: int, alpha: Fraction
) -> None:
    """By enumeration of all samples of three values, each end in exact fractions; also for either bound alone."""
    probabilities = [Fraction(s, sum(shares)) for s in shares]
    expected = sum((p * v for p, v in zip(probabilities, values, strict=True)), Fraction(0))
    low, high = Fraction(min(values)) - 1, Fraction(max(values))
    missed = {"below": Fraction(0), "above": Fraction(0), "bernstein": Fraction(0), "hoeffding": Fraction(0)}
    for first, second, probability in outcomes(total, probabilities[0], probabilities[1]):
        sample = [Fraction(v) for v, k in zip(values, (first, second, total - first - second), strict=True)
                  for _ in range(k)]  # fmt: skip
        found = mean_interval(sample, low, high, alpha)
        mean = sum(sample, Fraction(0)) / total
        variance = sum(((v - mean) ** 2 for v in sample), Fraction(0)) / (total - 1) / (high - low) ** 2
        missed["below"] += probability * (found.upper < expected)
        missed["above"] += probability * (found.lower > expected)
        bernstein = (high - low) * intervals._bernstein_up(total, variance, alpha)
        missed["bernstein"] += probability * (mean + bernstein < expected)
        missed["hoeffding"] += probability * (mean + (high - low) * intervals._hoeffding_up(total, alpha) < expected)
        assert low <= found.lower <= mean <= found.upper <= high
    assert missed["below"] <= alpha / 2
    assert missed["above"] <= alpha / 2
    assert missed["bernstein"] <= alpha
    assert missed["hoeffding"] <= alpha


@pytest.mark.parametrize(("n", "level"), [(2, Fraction(1, 80)), (1000, Fraction(1, 80)), (10**6, Fraction(1, 10**6))])
def test_the_deviations_are_the_papers_rounded_up(n: int, level: Fraction) -> None:
    """Against the formulas in doubles: not below, and not visibly above."""
    hoeffding = intervals._hoeffding_up(n, level)
    assert 0 <= float(hoeffding) / sqrt(math.log(1 / level) / (2 * n)) - 1 < 1e-14
    for variance in (Fraction(0), Fraction(1, 7), Fraction(1, 2)):
        log = math.log(2 / level)
        plain = sqrt(2 * variance * log / n) + 7 * log / (3 * (n - 1))
        assert abs(float(intervals._bernstein_up(n, variance, level)) / plain - 1) < 1e-14
        assert intervals._bernstein_up(n, variance, level) ** 2 > 2 * variance * Fraction(log).limit_denominator() / n


def test_a_small_variance_is_used() -> None:
    """Hoeffding's deviation does not know it; with 20 000 values that hardly differ the other is ten times smaller."""
    values = [Fraction(i % 50 == 0) for i in range(20_000)]
    width = mean_interval(values, Fraction(-5), Fraction(5), TWENTIETH)
    hoeffding = 10 * intervals._hoeffding_up(20_000, TWENTIETH / 4)
    assert (width.upper - width.lower) / 2 < hoeffding / 5


def test_a_difference_of_means_has_the_range_of_both() -> None:
    first, second = [Fraction(i, 10) for i in range(10)], [Fraction(1, 4)] * 10
    found = mean_difference_interval(first, second, Fraction(1), Fraction(1, 3), TWENTIETH)
    assert found == mean_interval([a - Fraction(1, 4) for a in first], Fraction(-1, 3), Fraction(1), TWENTIETH)


def test_means_that_cannot_be_bounded() -> None:
    one, zero = Fraction(1), Fraction(0)
    with pytest.raises(ParameterError, match="1 values have no variance"):
        mean_interval([zero], zero, one, TWENTIETH)
    with pytest.raises(ParameterError, match="outside the range from 0 to 1"):
        mean_interval([zero, Fraction(3, 2)], zero, one, TWENTIETH)
    with pytest.raises(ParameterError, match="outside the range"):
        mean_difference_interval([zero, zero], [zero, one], one, Fraction(1, 2), TWENTIETH)
    assert mean_interval([one, one], one, one, TWENTIETH) == Interval(one, one)
