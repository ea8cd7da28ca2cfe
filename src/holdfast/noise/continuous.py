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

from holdfast.noise.tables import check_range, check_sigma_px
from holdfast.records import Address
from holdfast.rounding import exact_decimal

__all__ = ["ContinuousGaussian"]


@final
class ContinuousGaussian:
    """Normal noise as a function of the address: each sample has a stream of its own, NumPy's float32 ziggurat on its
    Philox4x64, with the address as key and the sample's number in the upper half of the counter.

    NumPy does not promise the same numbers in all its versions; the version is part of the digest.

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
        """Hex SHA-256 of the law's name, its scale, and NumPy's version."""
        text = f"continuous float32 numpy {np.__version__} ziggurat philox4x64-10 {self.sigma_px}"
        return hashlib.sha256(text.encode()).hexdigest()

    def sample(self, address: Address, start: int, count: int, dimension: int) -> NDArray[np.float32]:
        """Noise of samples ``start .. start+count-1``: float32, shape (count, dimension).

        Raises:
            ParameterError: a negative range, or more than 2^24 coordinates.
        """
        check_range(start, count, dimension)
        low, high = address.philox_key()
        key, out = low | high << 32, np.empty((count, dimension), dtype=np.float32)
        for sample in range(start, start + count):
            stream = np.random.Generator(np.random.Philox(key=key, counter=sample << 128))
            stream.standard_normal(out=out[sample - start], dtype=np.float32)
        out *= np.float32(self.sigma_px)
        return out
