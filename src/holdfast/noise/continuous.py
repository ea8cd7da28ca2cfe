"""Continuous Gaussian noise in float32: the papers' baseline, outside the exact guarantee.

Float addition rounds, so ``x + n`` is not translation covariant and Cohen's theorem does not hold for it literally
(docs/theory/statistics.md). It is here to be compared with, and every output says so.
"""

from __future__ import annotations

import hashlib
from fractions import Fraction
from typing import final

import numpy as np
from numpy.typing import NDArray

from holdfast.noise.philox import word_lanes
from holdfast.noise.tables import check_range, check_sigma_px
from holdfast.records import Address
from holdfast.rounding import exact_decimal

__all__ = ["ContinuousGaussian"]


@final
class ContinuousGaussian:
    """Normal noise as a function of the address: ``sigma * ndtri((w + 1/2) / 2^32)``, rounded to float32.

    Args:
        sigma_px: scale in grey levels: a decimal string, int or Fraction in (0, 2400].
    """

    name = "continuous"

    def __init__(self, sigma_px: str | int | Fraction) -> None:
        self.sigma_px: Fraction = check_sigma_px(exact_decimal(sigma_px, "sigma_px"))

    @property
    def total_variation(self) -> Fraction:
        """0: nothing is proved for this law, so nothing is charged; its certificates are marked instead."""
        return Fraction(0)

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the law's name and scale."""
        return hashlib.sha256(f"continuous float32 ndtri philox4x32-10 {self.sigma_px}".encode()).hexdigest()

    def sample(self, address: Address, start: int, count: int, dimension: int) -> NDArray[np.float32]:
        """Noise of samples ``start .. start+count-1``: float32, shape (count, dimension).

        Raises:
            ParameterError: a negative range, or more than 2^24 coordinates.
        """
        from scipy.special import ndtri

        check_range(start, count, dimension)
        blocks = -(-dimension // 4)
        out = np.empty((count * blocks, 4), dtype=np.float32)
        for first, lanes in word_lanes(address.philox_key(), start, count, blocks):
            out[first : first + lanes.shape[1]] = (ndtri((lanes.T + 0.5) * 2.0**-32) * float(self.sigma_px)).astype(
                np.float32
            )
        return out.reshape(count, blocks * 4)[:, :dimension]
