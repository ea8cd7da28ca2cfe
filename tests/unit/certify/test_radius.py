"""From a probability to a squared radius: the published numbers, and proofs by another formula that none is too large."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest
from flint import arb, ctx, fmpq
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.certify import certified_count, largest_radius_sq
from holdfast.noise import DiscreteGaussian, noise_charge
from holdfast.records import ABSTAIN
from holdfast.stats import clopper_pearson_lower_down

SIGMA, PERMILLE = Fraction("30.6"), Fraction(1, 1000)
CHARGE = noise_charge(DiscreteGaussian(SIGMA).total_variation)
PROBABILITIES = st.one_of(
    st.floats(0.5, 1, exclude_max=True),
    st.floats(0, 0.5).map(lambda q: 1 - q * 1e-6).filter(lambda p: p < 1),
    st.integers(-4, 300).map(lambda i: 0.5 + i * 2.0**-53),
)
SCALES = st.one_of(
    st.sampled_from([SIGMA, Fraction(1, 1000), Fraction(1), Fraction("63.75"), Fraction(2400)]),
    st.fractions(Fraction(1, 100), 2400, max_denominator=1000),
)
CHARGES = st.sampled_from([Fraction(0), CHARGE, Fraction(1, 10**6), Fraction(1, 100)])


def normal_tail(k: int, sigma_px: Fraction) -> Any:
    """``P(Z > sqrt(k) / sigma)`` by Kummer's function: neither the prover's formula nor the verifier's."""
    z = (arb(k) / 2).sqrt() * arb(fmpq(sigma_px.denominator, sigma_px.numerator))
    return (1 - 2 * z * (-z * z).exp() * (z * z).hypgeom_1f1(arb(1), arb(3) / 2) / arb.pi().sqrt()) / 2


def proved(k: int, p: float, sigma_px: Fraction, charge: Fraction) -> bool:
    needed = 1 - Fraction(p) + charge
    return bool(normal_tail(k, sigma_px) > fmpq(needed.numerator, needed.denominator))


@pytest.mark.parametrize(
    ("n", "count", "radius_sq"),
    [
        (1000, 549, -1), (1000, 550, 0), (1000, 600, 15), (1000, 700, 145), (1000, 900, 1163), (1000, 990, 3663),
        (1000, 999, 5204), (1000, 1000, 5681), (100_000, 60_000, 54), (100_000, 80_000, 641), (100_000, 90_000, 1498),
        (100_000, 99_000, 4910), (100_000, 99_900, 8428), (100_000, 100_000, 13602),
    ],
)  # fmt: skip
@pytest.mark.parametrize("charge", [CHARGE, Fraction(0)])
def test_the_published_numbers(n: int, count: int, radius_sq: int, charge: Fraction) -> None:
    """docs/theory/statistics.md; the charge for the noise table costs nothing visible."""
    p_lower, found = certified_count(count, n, PERMILLE, SIGMA, charge)
    assert found == radius_sq
    assert p_lower == clopper_pearson_lower_down(count, n, PERMILLE)


@given(PROBABILITIES, SCALES, CHARGES)
@settings(max_examples=150)
def test_the_radius_is_proved_and_the_next_one_is_not(p: float, sigma_px: Fraction, charge: Fraction) -> None:
    k = largest_radius_sq(p, sigma_px, charge)
    with ctx.workprec(400):
        assert k == ABSTAIN or (k >= 0 and proved(k, p, sigma_px, charge))
        assert not proved(k + 1, p, sigma_px, charge)


@given(st.lists(PROBABILITIES, min_size=2, max_size=6), SCALES, CHARGES)
def test_the_radius_increases_with_the_probability(ps: list[float], sigma_px: Fraction, charge: Fraction) -> None:
    radii = [largest_radius_sq(p, sigma_px, charge) for p in sorted(ps)]
    assert radii == sorted(radii)


@given(PROBABILITIES, SCALES)
def test_a_larger_charge_never_helps(p: float, sigma_px: Fraction) -> None:
    charges = [Fraction(0), CHARGE, Fraction(1, 10**12), Fraction(1, 10**6), Fraction(1, 100), Fraction(1, 2)]
    radii = [largest_radius_sq(p, sigma_px, charge) for charge in charges]
    assert radii == sorted(radii, reverse=True)
    assert radii[-1] == ABSTAIN


def test_one_half_certifies_nothing_and_the_next_double_certifies_the_image_itself() -> None:
    above = math.nextafter(0.5, 1)
    assert largest_radius_sq(0.5, SIGMA, Fraction(0)) == ABSTAIN
    assert largest_radius_sq(above, SIGMA, Fraction(0)) == 0
    assert largest_radius_sq(above, SIGMA, CHARGE) == 0
    assert largest_radius_sq(above, SIGMA, Fraction(1, 2**52)) == ABSTAIN
    assert largest_radius_sq(above, SIGMA, Fraction(1, 2**53)) == ABSTAIN
    assert largest_radius_sq(0.0, SIGMA, Fraction(0)) == ABSTAIN


@pytest.mark.parametrize("k", [1, 2, 4, 25, 100, 10**6])
def test_the_ball_is_open_where_the_radius_is_a_whole_number(k: int) -> None:
    """The double next below Phi(sqrt(k)/sigma) must not certify k, the next above must."""
    sigma_px = Fraction(math.isqrt(k) + 1)
    with ctx.workprec(200):
        exact = 1 - normal_tail(k, sigma_px)
        above = float(exact.mid())
        while not arb(above) > exact:
            above = math.nextafter(above, 1)
        below = math.nextafter(above, 0)
        assert arb(below) < exact
    assert largest_radius_sq(above, sigma_px, Fraction(0)) == k
    assert largest_radius_sq(below, sigma_px, Fraction(0)) == k - 1


@pytest.mark.parametrize("p", [1.0, 1.5])
def test_certainty_cannot_come_from_samples(p: float) -> None:
    with pytest.raises(ValueError, match="finitely many"):
        largest_radius_sq(p, SIGMA, Fraction(0))


@pytest.mark.parametrize("p", [float("nan"), float("inf")])
def test_what_is_no_number_is_no_limit(p: float) -> None:
    with pytest.raises((ValueError, OverflowError)):
        largest_radius_sq(p, SIGMA, Fraction(0))
