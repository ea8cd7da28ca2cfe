"""Soundness by brute force: no claimed radius contains a perturbation that can change the answer. Nothing is approximate.

For a shift delta, ``P*`` is the largest probability that a class can have at x while it has at most 1/2 at x + delta: the
flip threshold. A certificate says that p suffices for every ``|delta|^2 <= K``, so the smallest double p that a rule maps
to K must not be below ``P*`` of any delta with ``|delta|^2 = K``. (Rules are monotone: other p are larger.)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from itertools import combinations_with_replacement
from typing import Any

import pytest
from flint import arb, ctx, fmpq
from scipy.special import ndtri

from holdfast.certify import largest_radius_sq
from holdfast.noise import DiscreteGaussian
from holdfast.records import ABSTAIN

BITS = 200
SCALES = ["0.5", "0.7", "1", "1.5", "2"]
Rule = Callable[[float], int]
Delta = tuple[int, ...]


def deltas(largest: int) -> list[Delta]:
    """All shifts of up to three coordinates with ``0 < |delta|^2 <= largest``, up to signs and order."""
    steps = range(math.isqrt(largest) + 1)
    found = {tuple(v for v in d if v) for d in combinations_with_replacement(steps, 3)}
    return sorted(d for d in found if 0 < sum(v * v for v in d) <= largest)


def reach(sigma_px: str) -> int:
    """Squared length up to which all shifts are tried: four sigma, and at least (2, 2)."""
    return max(9, math.floor((4 * Fraction(sigma_px)) ** 2))


def ball(value: Fraction) -> Any:
    return arb(fmpq(value.numerator, value.denominator))


def phi(k: int, sigma_px: Fraction) -> Any:
    """Phi(sqrt(k) / sigma), by Kummer's function."""
    z = (arb(k) / 2).sqrt() / ball(sigma_px)
    return (1 + 2 * z * (-z * z).exp() * (z * z).hypgeom_1f1(arb(1), arb(3) / 2) / arb.pi().sqrt()) / 2


@cache
def masses(sigma_px: Fraction) -> tuple[dict[int, Any], Any]:
    """The ideal discrete Gaussian on an interval, and an upper bound of the mass outside."""
    with ctx.workprec(BITS):
        last, scale = math.ceil(10 * sigma_px) + 2, -1 / (2 * ball(sigma_px) ** 2)
        weights = {k: (scale * (k * k)).exp() for k in range(-last, last + 1)}
        ratio = (scale * (2 * last + 3)).exp()
        outside = 2 * (scale * (last + 1) ** 2).exp() / (1 - ratio)
        total = sum(weights.values()) + arb(outside.upper() / 2, outside.upper() / 2)
        return {k: w / total for k, w in weights.items()}, (outside / total).upper()


@cache
def projection(sigma_px: Fraction, delta: Delta) -> tuple[dict[int, Any], Any]:
    """The law of ``X = <n, delta>`` by enumeration, and an upper bound of the mass that was left out."""
    single, outside = masses(sigma_px)
    with ctx.workprec(BITS):
        law: dict[int, Any] = {0: arb(1)}
        for step in delta:
            wider: dict[int, Any] = {}
            for x, p in law.items():
                for k, q in single.items():
                    wider[x + step * k] = wider.get(x + step * k, 0) + p * q
            law = wider
        return law, outside * len(delta)


def flip_threshold(sigma_px: Fraction, delta: Delta) -> Any:
    """``P* = P(X < |delta|^2) + P(X = |delta|^2) / 2`` (Neyman and Pearson; docs/theory/discrete-gaussian.md)."""
    law, outside = projection(sigma_px, delta)
    square = sum(v * v for v in delta)
    inside = sum((p for x, p in law.items() if x < square), arb(0)) + law.get(square, 0) / 2
    return inside + arb(outside / 2, outside / 2)


@cache
def smallest_claim(rule: Rule, k: int) -> Fraction:
    """The smallest double in [1/2, 1) that the rule maps to K >= k: bisection over the multiples of 2^-53."""
    low, high = 2**52 - 1, 2**53
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if rule(middle * 2.0**-53) >= k else (middle, high)
    return Fraction(high, 2**53)


def violations(rule: Rule, sigma_px: str, threshold: Callable[[Fraction, Delta], Any]) -> list[Delta]:
    """Shifts that the rule claims to be safe although a class of the probability it asks for may lose there."""
    with ctx.workprec(BITS):
        return [
            delta
            for delta in deltas(reach(sigma_px))
            if not ball(smallest_claim(rule, sum(v * v for v in delta))) >= threshold(Fraction(sigma_px), delta)
        ]


@cache
def holdfast_rule(sigma_px: str) -> Rule:
    return lambda p: largest_radius_sq(p, Fraction(sigma_px), Fraction(0))


def gaussian_threshold(sigma_px: Fraction, delta: Delta) -> Any:
    """Rounded noise: the least favourable classifier of R^d is a half-space, which needs Phi(|delta| / sigma)."""
    return phi(sum(v * v for v in delta), sigma_px)


@pytest.mark.parametrize("sigma_px", SCALES)
def test_no_claim_is_below_a_flip_threshold_discrete(sigma_px: str) -> None:
    assert violations(holdfast_rule(sigma_px), sigma_px, flip_threshold) == []


@pytest.mark.parametrize("sigma_px", [*SCALES, "30.6", "255"])
def test_no_claim_is_below_a_flip_threshold_rounded(sigma_px: str) -> None:
    """Strictly above, since the ball is open: at equality there may be a tie."""
    sigma = Fraction(sigma_px)
    with ctx.workprec(BITS):
        for k in range(1, min(reach(sigma_px), 100) + 1):
            assert ball(smallest_claim(holdfast_rule(sigma_px), k)) > phi(k, sigma)
    if sigma_px in SCALES:
        assert violations(holdfast_rule(sigma_px), sigma_px, gaussian_threshold) == []


@pytest.mark.parametrize("sigma_px", SCALES)
def test_theorem_a1_itself(sigma_px: str) -> None:
    """Equation (3), the strict inequality, and that the threshold is where the shifted probability is one half."""
    sigma = Fraction(sigma_px)
    with ctx.workprec(BITS):
        for delta in deltas(reach(sigma_px)):
            (law, outside), square = projection(sigma, delta), sum(v * v for v in delta)
            found = flip_threshold(sigma, delta)
            tilt = sum((p * (-abs(arb(x)) / ball(sigma) ** 2).exp() for x, p in law.items()), arb(0))
            tilt += arb(outside / 2, outside / 2)
            assert (1 - found).overlaps((-square / (2 * ball(sigma) ** 2)).exp() * tilt / 2)
            assert found < phi(square, sigma)
            shifted = sum((p for x, p in law.items() if x < 0), arb(0)) + law[0] / 2
            assert (shifted + arb(outside / 2, outside / 2)).contains(arb(1) / 2)


def quantile(sigma_px: str, p: float) -> int:
    """The smallest j with F(j) >= p under the discrete Gaussian."""
    table, wanted = DiscreteGaussian(sigma_px).table, Fraction(p) * 2**128
    return next(table.low + i for i, t in enumerate([*table.thresholds, 2**128]) if t >= wanted)


@pytest.mark.parametrize("sigma_px", ["1", "1.5", "2"])
def test_the_quantile_of_the_discrete_gaussian_would_be_caught(sigma_px: str) -> None:
    """Counterexample 2: it claims every length below j, but (2, 2) needs more than F(2)."""
    found = violations(lambda p: quantile(sigma_px, p) ** 2 - 1 if p > 0.5 else ABSTAIN, sigma_px, flip_threshold)
    assert (2, 2) in found


@pytest.mark.parametrize("sigma_px", ["1.5", "2"])
def test_sigma_times_a_discrete_quantile_of_unit_scale_would_be_caught(sigma_px: str) -> None:
    """Counterexample 3: p = 0.70 would give R = sigma, about twice what is right."""
    square = Fraction(sigma_px) ** 2
    found = violations(
        lambda p: math.floor(square * quantile("1", p) ** 2) if p > 0.5 else ABSTAIN, sigma_px, flip_threshold
    )
    assert (1, 1) in found
    assert len(found) > 5


@pytest.mark.parametrize("sigma_px", SCALES)
def test_a_radius_one_too_large_would_be_caught(sigma_px: str) -> None:
    rule = holdfast_rule(sigma_px)
    assert violations(lambda p: rule(p) + 1, sigma_px, gaussian_threshold) == deltas(reach(sigma_px))
    assert violations(lambda p: rule(p) + 1, sigma_px, flip_threshold) != []


def test_rounding_to_the_nearest_integer_would_be_caught() -> None:
    found = violations(lambda p: round(float(ndtri(p)) ** 2 * 4) if p > 0.5 else ABSTAIN, "2", gaussian_threshold)
    assert len(found) > 50
