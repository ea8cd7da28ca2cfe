"""Discrete Gaussian tables, proved from a formula that the code does not use.

The code sums the tail from outside in and divides by the same sum. Here the total is Jacobi's theta function, and F is
reached from the centre: F(-1) = (1 - D(0)) / 2, F(k) = F(k+1) - D(k+1).
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from flint import acb, arb, ctx, fmpq

from holdfast.errors import ProofFailed
from holdfast.noise import DiscreteGaussian, discrete_gaussian
from holdfast.noise.discrete_gaussian import discrete_gaussian_weights
from holdfast.records import Address, Purpose

SCALES = ["0.01", "0.05", "0.0765", "0.3", "0.7", "1", "2.5", "30.6", "63.75", "255", "2400"]
BITS = 512


def ball(value: Fraction) -> Any:
    return arb(fmpq(value.numerator, value.denominator))


def masses(sigma_px: Fraction, last: int) -> list[Any]:
    """D(0) .. D(last): ``exp(-k^2 / 2 sigma^2) / theta_3(0 | i / (2 pi sigma^2))``."""
    square = ball(sigma_px) ** 2
    total = acb(0).modular_theta(acb(0, 1) / (2 * arb.pi() * square))[2].real
    return [(-(arb(k) ** 2) / (2 * square)).exp() / total for k in range(last + 1)]


@pytest.mark.parametrize("sigma_px", SCALES)
def test_thresholds_are_proved_by_another_formula(sigma_px: str, prove_table: Callable[..., None]) -> None:
    noise = DiscreteGaussian(sigma_px)
    last = -noise.table.low
    with ctx.workprec(BITS):
        mass = masses(noise.sigma_px, last + 1)
        lower = [(1 - mass[0]) / 2]
        for k in range(1, last + 1):
            lower.append(lower[-1] - mass[k])
        prove_table(noise.table, lambda k: lower[-k - 1] if k < 0 else 1 - lower[k])


def test_a_table_of_a_neighbouring_scale_would_be_refused(prove_table: Callable[..., None]) -> None:
    """So that the proof above can fail."""
    with ctx.workprec(BITS):
        mass = masses(Fraction("30.6") + Fraction(1, 10**30), 500)
        lower = [(1 - mass[0]) / 2]
        for k in range(1, 500):
            lower.append(lower[-1] - mass[k])
        with pytest.raises(AssertionError):
            prove_table(DiscreteGaussian("30.6").table, lambda k: lower[-k - 1] if k < 0 else 1 - lower[k])


@pytest.mark.parametrize("sigma_px", ["0.05", "0.3", "1", "2.5", "30.6"])
@pytest.mark.parametrize("cut", [1, 3, 20])
def test_weights_and_tail_enclose_the_total(sigma_px: str, cut: int) -> None:
    with ctx.workprec(BITS):
        weights, tail = discrete_gaussian_weights(Fraction(sigma_px), cut)
        square = ball(Fraction(sigma_px)) ** 2
        total = acb(0).modular_theta(acb(0, 1) / (2 * arb.pi() * square))[2].real
        assert (weights[0] + 2 * (sum(weights[1:]) + tail)).overlaps(total)
        beyond = sum((arb(-(k**2)) / (2 * square)).exp() for k in range(cut + 1, cut + 2000))
        assert tail.lower() <= beyond
        assert beyond <= tail.upper()


def test_a_tail_that_leaves_a_floor_in_doubt_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sum is stopped at 17 sigma; stopped earlier, what is left out would be seen, not overlooked."""
    monkeypatch.setattr(discrete_gaussian, "_TAIL_SIGMAS", 10)
    with pytest.raises(ProofFailed):
        discrete_gaussian._table.__wrapped__(Fraction("30.6"))


def test_the_table_is_computed_once_per_scale() -> None:
    assert DiscreteGaussian("30.6").table is DiscreteGaussian(Fraction(153, 5)).table


def test_the_documented_sample() -> None:
    address = Address(bytes(32), bytes(32), Purpose.ESTIMATE)
    expected = [[-25, -9, -19, -13, 2], [22, 1, -2, -12, -24]]
    assert DiscreteGaussian("30.6").sample(address, start=0, count=2, dimension=5).tolist() == expected
