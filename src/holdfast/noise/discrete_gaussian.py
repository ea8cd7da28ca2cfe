"""The discrete Gaussian on the integers: P(n = k) proportional to exp(-k^2 / (2 sigma^2)).

The noise of integer randomized smoothing. Thresholds are proved in ball arithmetic.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import Any, final

from holdfast.noise.integer_noise import IntegerNoise, proved_floors
from holdfast.noise.tables import NoiseTable, check_sigma_px

__all__ = ["DiscreteGaussian", "discrete_gaussian_weights"]

_TAIL_SIGMAS = 17
"""exp(-17^2/2) < 2^-208: what lies beyond is far below one unit (2^-128) and cannot leave a floor in doubt."""


@final
class DiscreteGaussian(IntegerNoise):
    """Discrete Gaussian noise, independent per coordinate.

    Guarantee: Theorem A1 (docs/theory/discrete-gaussian.md): if the class has probability at least Phi(R / sigma) under
    this noise, no integer perturbation of length at most R changes the smoothed prediction. Exact for every sigma > 0.

    Args:
        sigma_px: scale in grey levels: a decimal string, int or Fraction in (0, 2400].

    Example:
        >>> from holdfast.records import Address, Purpose
        >>> address = Address(bytes(32), bytes(32), Purpose.ESTIMATE)
        >>> DiscreteGaussian("30.6").sample(address, start=0, count=2, dimension=5)
        array([[-25,  -9, -19, -13,   2],
               [ 22,   1,  -2, -12, -24]], dtype=int16)
    """

    name = "discrete"

    def _build(self) -> NoiseTable:
        return _table(self.sigma_px)


def discrete_gaussian_weights(sigma_px: Fraction, last: int) -> tuple[list[Any], Any]:
    """Balls around ``exp(-k^2/(2 sigma^2))`` for ``k = 0 .. last``, and around their sum over all ``k > last``.

    That tail lies between 0 and its geometric bound, for the ratio of neighbouring terms decreases in k.
    Evaluated at the precision in force.
    """
    from flint import arb, fmpq

    scale = -(fmpq(sigma_px.denominator, sigma_px.numerator) ** 2) / 2
    weights = [arb(scale * (k * k)).exp() for k in range(last + 1)]
    next_term, ratio = arb(scale * (last + 1) ** 2).exp(), arb(scale * (2 * last + 3)).exp()
    half_bound = (next_term / (1 - ratio)).upper() / 2
    return weights, arb(half_bound, half_bound)


@lru_cache(maxsize=16)
def _table(sigma_px: Fraction) -> NoiseTable:
    check_sigma_px(sigma_px)
    last = math.ceil(_TAIL_SIGMAS * float(sigma_px)) + 2

    def lower_half() -> list[Any]:
        """F(k) for k = -last .. -1."""
        weights, tail = discrete_gaussian_weights(sigma_px, last)
        total = weights[0] + 2 * (sum(weights[1:]) + tail)
        cumulative, result = tail, []
        for weight in reversed(weights[1:]):
            cumulative += weight
            result.append(cumulative / total)
        return result

    return NoiseTable.from_lower_half(proved_floors(lower_half))
