"""Where the balls of the binomial bounds are wide: what was cut off is inside, and what they cannot tell integers decide."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest
from flint import arb, ctx, fmpq

from holdfast.stats import binomial, critical_count

TINY = Fraction(1, 10**60)
"""Far below what 128 bits resolve."""


@pytest.fixture
def _cut_off_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first term, if the ratio of the next one to it is below 1."""
    monkeypatch.setattr(binomial, "_CHECK_EVERY", 1)
    monkeypatch.setattr(binomial, "_TAIL_TOLERANCE", 1e300)


def first_term_and_bound(k: int, n: int, p: Fraction) -> tuple[Fraction, Fraction]:
    """``u = P(X = k)`` and ``u r / (1 - r)``, ``r`` being the ratio of the next probability to it."""
    term = comb(n, k) * p**k * (1 - p) ** (n - k)
    ratio = Fraction(n - k, k + 1) * p / (1 - p)
    assert ratio < 1
    return term, term * ratio / (1 - ratio)


@pytest.mark.usefixtures("_cut_off_at_once")
@pytest.mark.parametrize(
    ("k", "n", "p"),
    [(600, 1000, Fraction(1, 2)), (505, 1000, Fraction(1, 2)), (33, 40, Fraction(3, 4)), (2, 300, Fraction(1, 1000))],
)
def test_the_ball_is_the_terms_and_all_that_may_be_left(k: int, n: int, p: Fraction) -> None:
    """And no more than that, but for the radius of a ball, which has 30 bits."""
    term, bound = first_term_and_bound(k, n, p)
    exact = sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))
    assert term < exact < term + bound
    found = binomial.upper_tail(k, n, fmpq(p.numerator, p.denominator))
    with ctx.workprec(4000):
        low, high, tail = (arb(fmpq(x.numerator, x.denominator)) for x in (term, term + bound, exact))
        assert found.contains(low)
        assert found.contains(tail)
        assert found.contains(high)
        assert found.lower() > low - high / 2**28
        assert found.upper() < high + high / 2**28


@pytest.mark.parametrize(("trials", "count"), [(4, 4), (12, 10), (100, 67), (101, 100), (1000, 553)])
def test_a_level_that_no_ball_can_tell_from_the_tail(trials: int, count: int) -> None:
    """At the two-sided tail of ``count``, and 10^-60 on either side of it."""
    outcomes = sum(comb(trials, i) for i in range(count, trials + 1))
    tail = Fraction(2 * outcomes, 2**trials)
    assert critical_count(trials, tail) == critical_count(trials, tail + TINY) == count
    assert critical_count(trials, tail - tail * TINY) == count + 1
