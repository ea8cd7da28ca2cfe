"""Soundness of what really runs, in integers only: the law is the table's, the charge is the one that is stored.

A table gives each value a mass that is an integer multiple of 2^-128. The flip threshold of a shift is then a fraction,
found by Neyman and Pearson: take the points with the largest ratio of mass at x to mass at x + delta until the mass at
x + delta is one half. Both laws are treated alike, without their theory.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache
from itertools import pairwise, product

import pytest

from holdfast.certify import largest_radius_sq
from holdfast.noise import DiscreteGaussian, RoundedGaussian, noise_charge
from holdfast.noise.integer_noise import IntegerNoise
from holdfast.noise.tables import NoiseTable

ONE = 1 << 128
CASES = [
    (law, sigma_px, delta)
    for law in (DiscreteGaussian, RoundedGaussian)
    for sigma_px, shifts in {
        "0.5": [(1,), (2,), (1, 1), (1, 1, 1)],
        "0.7": [(1,), (2,), (1, 1), (1, 2), (1, 1, 1)],
        "1": [(1,), (2,), (3,), (4,), (1, 1), (1, 2), (2, 2), (1, 3)],
        "1.5": [(1,), (3,), (5,), (6,), (1, 1), (2, 2), (3, 4)],
        "2": [(1,), (2,), (5,), (8,), (1, 1), (2, 2), (3, 4)],
        "5": [(1,), (4,), (5,), (13,), (20,)],
        "30.6": [(1,), (9,), (30,), (117,)],
    }.items()
    for delta in shifts
]


def masses(table: NoiseTable) -> dict[int, int]:
    """Masses of the sampler, times 2^128."""
    return {table.low + i: b - a for i, (a, b) in enumerate(pairwise([0, *table.thresholds, ONE]))}


def flip_threshold(mass: dict[int, int], delta: tuple[int, ...]) -> Fraction:
    """The largest probability of a class at x that has probability at most 1/2 at x + delta."""
    d, whole = len(delta), ONE ** len(delta)
    here = {u: math.prod(mass[v] for v in u) for u in product(mass, repeat=d)}
    there = {tuple(map(sum, zip(u, delta, strict=True))): m for u, m in here.items()}
    found, spent = Fraction(sum(m for u, m in here.items() if not there.get(u))), 0
    both = [(m, there[u]) for u, m in here.items() if there.get(u)]
    for m, shifted in sorted(both, key=lambda pair: Fraction(pair[0], pair[1]), reverse=True):
        if 2 * (spent + shifted) > whole:
            return (found + m * Fraction(whole - 2 * spent, 2 * shifted)) / whole
        found, spent = found + m, spent + shifted
    raise AssertionError("more than half of the shifted mass lies where there is no mass at all")


@cache
def smallest_claim(sigma_px: Fraction, charge: Fraction, k: int) -> Fraction:
    """The smallest double in [1/2, 1) that certifies squared length k: bisection over the multiples of 2^-53."""
    low, high = 2**52, 2**53
    while high - low > 1:
        middle = (low + high) // 2
        claimed = largest_radius_sq(middle * 2.0**-53, sigma_px, charge) >= k
        low, high = (low, middle) if claimed else (middle, high)
    return Fraction(high, 2**53)


@pytest.mark.parametrize(("law", "sigma_px", "delta"), CASES)
def test_a_certified_probability_cannot_be_lost_within_the_radius(
    law: type[IntegerNoise], sigma_px: str, delta: tuple[int, ...]
) -> None:
    noise = law(sigma_px)
    charge = noise_charge(noise.total_variation)
    claim = smallest_claim(noise.sigma_px, charge, sum(v * v for v in delta))
    assert claim > flip_threshold(masses(noise.table), delta)


def test_a_claim_for_one_grey_level_more_would_be_seen() -> None:
    """So that the test above can fail: the rule that claims K + 1 is caught for either law."""
    for law in (DiscreteGaussian, RoundedGaussian):
        mass = masses(law("5").table)
        claims = {k: smallest_claim(Fraction(5), Fraction(0), k * k - 1) for k in (1, 4, 5, 13, 20)}
        assert any(claim <= flip_threshold(mass, (k,)) for k, claim in claims.items() if k > 1)


def test_a_table_of_another_scale_would_be_seen() -> None:
    """Noise that is one part in a thousand weaker than claimed."""
    mass = masses(RoundedGaussian("29.7").table)
    assert smallest_claim(Fraction(30), Fraction(0), 30 * 30) <= flip_threshold(mass, (30,))


@pytest.mark.parametrize("law", [DiscreteGaussian, RoundedGaussian])
def test_along_an_axis_the_threshold_is_the_one_of_the_theory(law: type[IntegerNoise]) -> None:
    """``P*_k = F(k - 1) + D(k) / 2`` for a symmetric law whose likelihood ratio increases; tables of this size keep that."""
    mass = masses(law("2").table)
    for k in (1, 2, 5):
        below = sum(m for v, m in mass.items() if v < k)
        assert flip_threshold(mass, (k,)) == Fraction(2 * below + mass[k], 2 * ONE)
