"""The rounded Gaussian: n = round(g), g normal with standard deviation sigma.

Rounding commutes with integer shifts, so Cohen's theorem holds for it exactly, for one and for two classes
(docs/theory/rounded-gaussian.md).
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import Any, final

from holdfast.noise.integer_noise import IntegerNoise, proved_floors
from holdfast.noise.tables import NoiseTable, check_sigma_px

__all__ = ["RoundedGaussian"]

_TAIL_SIGMAS = 14
"""Phi(-14) < 2^-146: every threshold beyond is zero."""


@final
class RoundedGaussian(IntegerNoise):
    """Gaussian noise rounded to the nearest integer, independent per coordinate.

    Guarantee: with ``R = sigma Phi^{-1}(p)``, no integer perturbation shorter than R changes the smoothed prediction
    (strictly: the ball is open).

    Args:
        sigma_px: scale in grey levels: a decimal string, int or Fraction in (0, 2400].

    Example:
        >>> from holdfast.records import Address, Purpose
        >>> address = Address(bytes(32), bytes(32), Purpose.ESTIMATE)
        >>> RoundedGaussian("30.6").sample(address, start=0, count=1, dimension=5)
        array([[-25,  -9, -19, -13,   2]], dtype=int16)
    """

    name = "rounded"

    def _build(self) -> NoiseTable:
        return _table(self.sigma_px)


@lru_cache(maxsize=16)
def _table(sigma_px: Fraction) -> NoiseTable:
    check_sigma_px(sigma_px)
    last = math.ceil(_TAIL_SIGMAS * float(sigma_px)) + 2

    def lower_half() -> list[Any]:
        """F(k) = Phi((k + 1/2) / sigma) = erfc(-(k + 1/2) / (sigma sqrt 2)) / 2 for k = -last .. -1."""
        from flint import arb, fmpq

        unit = arb(2).rsqrt() * arb(fmpq(sigma_px.denominator, 2 * sigma_px.numerator))
        return [(unit * (-2 * k - 1)).erfc() / 2 for k in range(-last, 0)]

    return NoiseTable.from_lower_half(proved_floors(lower_half))
