"""Training noise: its law, and that draws are named, not streamed."""

from __future__ import annotations

import math
from fractions import Fraction
from statistics import NormalDist
from typing import Any

import pytest
import torch

from holdfast.errors import ParameterError
from holdfast.training.draws import generator, integer_noise, sigma_fraction

FALSE_ALARM = 1e-6
SAMPLES = 2_000_000


@pytest.mark.parametrize("sigma", ["0.25", "1.0"])
def test_noise_is_integer_with_the_mean_and_variance_of_a_rounded_gaussian(sigma: str) -> None:
    """Two tests of 0.5e-6 each: the mean, and the variance sigma^2 + 1/12 (the rounding's share, exact to 1e-9 here)."""
    sigma_px = float(sigma) * 255
    n = integer_noise((SAMPLES,), sigma_px, generator(2, 0, "noise")).double()
    assert torch.equal(n, n.round())
    z = NormalDist().inv_cdf(1 - FALSE_ALARM / 4)
    assert abs(float(n.mean())) < z * sigma_px / math.sqrt(SAMPLES)
    variance = sigma_px**2 + 1 / 12
    assert abs(float(n.var()) - variance) < z * math.sqrt(2 / SAMPLES) * variance


def test_noise_of_sigma_zero_is_zero() -> None:
    assert not integer_noise((3, 4), 0.0, generator(0, 0, "noise")).any()


def test_draws_differ_between_seeds_epochs_and_purposes_and_repeat_otherwise() -> None:
    names = [(0, 0, "noise"), (1, 0, "noise"), (0, 1, "noise"), (0, 0, "order"), (0, 0, "augment")]
    draws = [torch.randn(8, generator=generator(*name)) for name in names]
    assert len({tuple(d.tolist()) for d in draws}) == len(names)
    assert torch.equal(draws[0], torch.randn(8, generator=generator(*names[0])))


def test_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    integer_noise((100,), 30.0, generator(0, 0, "noise"))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("given", "value"), [("0.25", Fraction(1, 4)), ("1/3", Fraction(1, 3)), (Fraction(2), 2)])
def test_sigma_is_exact(given: Any, value: Fraction) -> None:
    assert sigma_fraction(given) == value


@pytest.mark.parametrize("given", [0.25, 1, "a", "nan", "inf", "1/0", "-0.1", "9.5", None])
def test_other_sigmas_are_refused(given: Any) -> None:
    with pytest.raises(ParameterError, match="sigma"):
        sigma_fraction(given)
