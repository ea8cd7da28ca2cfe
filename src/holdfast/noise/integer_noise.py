"""What the integer laws share: an exact table, an address, a sampler."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import ProofFailed
from holdfast.noise import native
from holdfast.noise.sampler import sample_table
from holdfast.noise.tables import THRESHOLD_BITS, NoiseTable, check_range, check_sigma_px
from holdfast.records import Address
from holdfast.rounding import exact_decimal

__all__ = ["IntegerNoise", "proved_floors"]


class IntegerNoise(ABC):
    """Integer noise drawn from a table. Subclasses name the law and build its table."""

    name: ClassVar[str]

    def __init__(self, sigma_px: str | int | Fraction) -> None:
        self.sigma_px: Fraction = check_sigma_px(exact_decimal(sigma_px, "sigma_px"))

    @abstractmethod
    def _build(self) -> NoiseTable: ...

    @property
    def table(self) -> NoiseTable:
        """The exact thresholds of the law; computed once per scale."""
        return self._build()

    @property
    def total_variation(self) -> Fraction:
        """See :attr:`holdfast.noise.tables.NoiseTable.total_variation`."""
        return self.table.total_variation

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the table."""
        return self.table.digest

    def sample(self, address: Address, start: int, count: int, dimension: int) -> NDArray[np.int16]:
        """Noise of samples ``start .. start+count-1`` at an address: int16, shape (count, dimension).

        A pure function: the same on every machine, however the range is divided. Native where it was built, else NumPy.

        Raises:
            ParameterError: a negative range, or more than 2^24 coordinates.
        """
        check_range(start, count, dimension)
        sampler = native.sample_table if native.available() else sample_table
        return sampler(self.table, address.philox_key(), start, count, dimension)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IntegerNoise) and (self.name, self.sigma_px) == (other.name, other.sigma_px)

    def __hash__(self) -> int:
        return hash((self.name, self.sigma_px))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(sigma_px={self.sigma_px})"


def proved_floors(probabilities: Callable[[], list[Any]]) -> list[int]:
    """``floor(2^128 p)`` of balls computed by ``probabilities``, at a precision that leaves no floor in doubt.

    A probability is not negative, even where its ball extends below zero.
    """
    from flint import ctx, fmpz

    for precision in (256, 512, 1024):
        with ctx.workprec(precision):
            scaled = [p * 2**THRESHOLD_BITS for p in probabilities()]
            floors = [fmpz(0) if s < 1 else s.floor().unique_fmpz() for s in scaled]
        if all(f is not None for f in floors):
            return [int(f) for f in floors]
    raise ProofFailed("a threshold of the noise table could not be enclosed between two integers at 1024 bits")
