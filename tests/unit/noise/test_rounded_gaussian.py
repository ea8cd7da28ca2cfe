"""Rounded Gaussian tables, proved from Kummer's function where the code uses the complementary error function."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from flint import arb, ctx, fmpq

from holdfast.noise import RoundedGaussian
from holdfast.noise.tables import NoiseTable
from holdfast.records import Address, Purpose

BITS = 512


def distribution(sigma_px: Fraction) -> Callable[[int], Any]:
    """``F(k) = (1 + erf(z)) / 2`` with ``erf(z) = 2 z exp(-z^2) 1F1(1; 3/2; z^2) / sqrt(pi)``, ``z = (k+1/2)/(sigma sqrt 2)``."""
    unit = arb(fmpq(sigma_px.denominator, sigma_px.numerator)) / (2 * arb(2).sqrt())

    def cdf(k: int) -> Any:
        z = unit * (2 * k + 1)
        return (1 + 2 * z * (-z * z).exp() * (z * z).hypgeom_1f1(arb(1), arb(3) / 2) / arb.pi().sqrt()) / 2

    return cdf


@pytest.mark.parametrize("sigma_px", ["0.01", "0.05", "0.3", "0.7", "1", "2.5", "30.6", "63.75", "255"])
def test_thresholds_are_proved_by_another_formula(sigma_px: str, prove_table: Callable[..., None]) -> None:
    noise = RoundedGaussian(sigma_px)
    with ctx.workprec(BITS):
        prove_table(noise.table, distribution(noise.sigma_px))


def test_the_largest_table_at_every_hundredth_threshold() -> None:
    table = RoundedGaussian("2400").table
    with ctx.workprec(BITS):
        cdf = distribution(Fraction(2400))
        for i in [*range(0, len(table.thresholds), 100), len(table.thresholds) - 1]:
            assert abs(table.thresholds[i] - cdf(table.low + i) * 2**128) < 1
        assert cdf(table.low - 1) * 2**128 < 1
    assert all(a + b == 2**128 for a, b in zip(table.thresholds, reversed(table.thresholds), strict=True))


def test_a_table_with_one_threshold_moved_by_two_would_be_refused(prove_table: Callable[..., None]) -> None:
    """So that the proof above can fail."""
    table = RoundedGaussian("2.5").table
    moved = NoiseTable(table.low, (*table.thresholds[:20], table.thresholds[20] + 2, *table.thresholds[21:]))
    with ctx.workprec(BITS), pytest.raises(AssertionError):
        prove_table(moved, distribution(Fraction("2.5")))


@pytest.mark.parametrize("sigma_px", ["1e-3", "1e-6", "1e-30", "1e-99"])
def test_a_scale_far_below_one_grey_level_gives_no_noise(sigma_px: str) -> None:
    """Every threshold is then below one unit of 2^-128, however the ball around it looks."""
    assert RoundedGaussian(sigma_px).table.thresholds == ()


def test_the_documented_sample() -> None:
    address = Address(bytes(32), bytes(32), Purpose.ESTIMATE)
    assert RoundedGaussian("30.6").sample(address, start=0, count=1, dimension=5).tolist() == [[-25, -9, -19, -13, 2]]
