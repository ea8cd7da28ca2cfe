"""Binomial bounds against other formulas: FLINT's incomplete beta function, and exact fractions. No tolerance in soundness."""

from __future__ import annotations

from fractions import Fraction
from math import comb
from typing import Any

import pytest
from flint import arb, ctx, fmpq
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from holdfast.certify.check import fresh_refutes, refutation_limit
from holdfast.records import Certificate
from holdfast.stats import clopper_pearson_lower_down, critical_count
from holdfast.stats.binomial import upper_tail

ALPHAS = st.one_of(
    st.sampled_from([Fraction(text) for text in ("0.001", "0.05", "0.25", "0.499", "1e-6", "1e-12")]),
    st.fractions(Fraction(1, 10**5), Fraction(49, 100), max_denominator=10**6),
)
TIGHTNESS = Fraction(1, 10**12)
DOUBLES = Fraction(1, 2**50)
"""A few units of 2^-53, the finest that a double near 1 can say."""


@st.composite
def counts(draw: st.DrawFn) -> tuple[int, int]:
    """(k, n): anywhere, and at both ends, where certificates are made and where rounding is worst."""
    n = draw(st.one_of(st.integers(1, 50), st.integers(1, 3000), st.integers(1, 10**6)))
    near = st.integers(0, min(n, 40))
    return draw(st.one_of(st.integers(0, n), near, near.map(lambda m: n - m))), n


def exact_tail(k: int, n: int, p: Fraction) -> Fraction:
    """``P(Bin(n, p) >= k)`` with integers only."""
    hits, misses = p.numerator, p.denominator - p.numerator
    ways = sum(comb(n, i) * hits**i * misses ** (n - i) for i in range(k, n + 1))
    return Fraction(ways, p.denominator**n)


def ball(value: Fraction) -> Any:
    return arb(fmpq(value.numerator, value.denominator))


def beta_tail(k: int, n: int, p: Fraction) -> Any:
    """The same as a ball, as ``I_p(k, n - k + 1)``."""
    return ball(p).beta_lower(arb(k), arb(n - k + 1), 1)


@given(counts(), ALPHAS)
@settings(deadline=None, max_examples=300)
@example((1_620_262, 1_620_262), Fraction(1, 1000))
@example((2_809_737, 2_809_764), Fraction(1, 10))
@example((1, 10**6), Fraction(1, 10**12))
def test_the_lower_limit_is_sound_and_tight(case: tuple[int, int], alpha: Fraction) -> None:
    k, n = case
    p = Fraction(clopper_pearson_lower_down(k, n, alpha))
    assert 0 <= p < 1
    if k == 0:
        assert p == 0
        return
    with ctx.workprec(256):
        assert beta_tail(k, n, p) <= ball(alpha)
        above = p + (1 - p) * TIGHTNESS + DOUBLES
        assert above >= 1 or beta_tail(k, n, above) > ball(alpha)


@given(st.integers(1, 40), st.data(), ALPHAS)
@settings(deadline=None)
def test_the_lower_limit_is_sound_in_exact_fractions(n: int, data: st.DataObject, alpha: Fraction) -> None:
    k = data.draw(st.integers(1, n))
    assert exact_tail(k, n, Fraction(clopper_pearson_lower_down(k, n, alpha))) <= alpha


@given(st.integers(1, 25), ALPHAS, st.fractions(0, 1, max_denominator=1000))
@settings(deadline=None, max_examples=50)
def test_the_limit_covers_with_the_promised_probability(n: int, alpha: Fraction, q: Fraction) -> None:
    """The guarantee itself, by enumeration: P(limit >= q) <= alpha when K ~ Bin(n, q), for q > 0."""
    assume(q > 0)
    false = [k for k in range(n + 1) if Fraction(clopper_pearson_lower_down(k, n, alpha)) >= q]
    weights = [comb(n, k) * q**k * (1 - q) ** (n - k) for k in false]
    assert sum(weights, Fraction(0)) <= alpha


@given(st.integers(2, 2000), ALPHAS)
@settings(deadline=None, max_examples=30)
def test_the_limit_increases_with_the_count(n: int, alpha: Fraction) -> None:
    step = max(1, n // 40)
    limits = [clopper_pearson_lower_down(k, n, alpha) for k in range(0, n + 1, step)]
    assert limits == sorted(limits)


@given(st.integers(1, 30), st.data(), st.fractions(0, 1, max_denominator=10**4))
@settings(deadline=None, max_examples=200)
def test_the_tail_contains_the_exact_fraction(n: int, data: st.DataObject, p: Fraction) -> None:
    assume(0 < p < 1)
    k = data.draw(st.integers(1, n))
    found, exact = upper_tail(k, n, fmpq(p.numerator, p.denominator)), exact_tail(k, n, p)
    with ctx.workprec(4000):
        assert found.contains(ball(exact))
        assert found.rad() < ball(exact) / 2**40


@given(st.integers(1000, 200_000), st.data())
@settings(deadline=None, max_examples=60)
def test_the_tail_of_many_trials_agrees_with_the_beta_function(n: int, data: st.DataObject) -> None:
    """Also where the series is cut off and its rest is bounded, and far out on either side."""
    k = data.draw(st.integers(1, n))
    p = Fraction(data.draw(st.floats(1e-9, 1 - 1e-9)))
    with ctx.workprec(256):
        assert upper_tail(k, n, float(p)).overlaps(beta_tail(k, n, p))


@given(st.integers(0, 400), ALPHAS)
@settings(deadline=None, max_examples=150)
@example(3, Fraction(1, 4))
@example(4, Fraction(1, 8))
@example(5, Fraction(3, 8))
@example(12, Fraction(1, 2**11))
def test_the_critical_count_is_exact(trials: int, alpha: Fraction) -> None:
    """Compared with integer arithmetic, also where the two sides are equal, which no ball can decide."""

    def rejects(count: int) -> bool:
        outcomes = sum(comb(trials, i) for i in range(count, trials + 1))
        return 2 * outcomes * alpha.denominator <= alpha.numerator * 2**trials

    found = critical_count(trials, alpha)
    assert trials / 2 < found <= trials + 1
    assert rejects(found)
    assert not rejects(found - 1)


@given(st.integers(1, 200), st.sampled_from(["0.001", "0.01", "0.05", "0.1"]), st.sampled_from(["1e-6", "0.001"]))
@settings(deadline=None, max_examples=60)
@example(2, "0.001", "1e-6")
@example(6, "0.1", "1e-6")
@example(200, "0.001", "1e-6")
def test_the_refutation_limit_is_exact(certificates: int, alpha: str, level: str) -> None:
    share, rate = Fraction(alpha), Fraction(level)
    limit = refutation_limit(certificates, share, rate)
    assert 1 <= limit <= certificates + 1
    assert limit == certificates + 1 or exact_tail(limit, certificates, share) <= rate
    assert limit == 1 or exact_tail(limit - 1, certificates, share) > rate


@given(st.integers(1, 60), st.data(), st.sampled_from([Fraction(1, 10**6), Fraction(1, 64)]))
@settings(deadline=None, max_examples=150)
def test_a_fresh_count_refutes_exactly_at_the_level(samples: int, data: st.DataObject, level: Fraction) -> None:
    count = data.draw(st.integers(0, samples))
    p = data.draw(st.one_of(st.floats(0, 1, exclude_max=True), st.sampled_from([0.0, 0.5, 0.75])))
    certificate = Certificate(
        run="", index=0, digest="", label=0, radius_sq_px=0, p_lower=p, p_upper=1 - p, selection_counts=(), counts=()
    )  # fmt: skip
    q = Fraction(p)
    at_most = 1 - exact_tail(count + 1, samples, q) if count < samples else Fraction(1)
    assert fresh_refutes(certificate, count, samples, level) == (at_most <= level)


def test_a_limit_that_is_too_large_would_be_seen() -> None:
    """So that the soundness test can fail: scipy's own limits are too large about half the time."""
    from scipy.special import betaincinv

    too_large = 0
    with ctx.workprec(256):
        for k in range(1, 100):
            too_large += not beta_tail(k, 100, Fraction(float(betaincinv(k, 101 - k, 0.001)))) <= ball(
                Fraction(1, 1000)
            )
    assert too_large > 10


@pytest.mark.parametrize("k", [1, 50, 100])
def test_one_unit_in_the_last_place_above_the_exact_limit_would_be_seen(k: int) -> None:
    with ctx.workprec(256):
        p = Fraction(clopper_pearson_lower_down(k, 100, Fraction(1, 1000)))
        low, high = p, p + (1 - p) * TIGHTNESS
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if beta_tail(k, 100, middle) <= ball(Fraction(1, 1000)) else (low, middle)
        assert not beta_tail(k, 100, high + Fraction(1, 2**100)) <= ball(Fraction(1, 1000))
