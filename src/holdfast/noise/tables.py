"""Inverse cumulative distribution tables with 128-bit thresholds: how uniform words become integer noise.

A law on the integers that is symmetric about 0 is sampled from a 128-bit uniform ``u`` as
``low + #{k : T_k <= u}``, where ``T_k`` is ``2^128 F(k)`` rounded to an integer (F the cumulative distribution).
Only the top 32 bits of ``u`` are drawn at first; they decide unless they equal the top 32 bits of a threshold, which
happens about once in ten million draws at sigma_px = 30. Then 96 more bits are drawn (tie levels 1 to 3).

The sampler is total: every ``u`` has an answer. What the rounding of the thresholds costs is proved and charged
(:attr:`NoiseTable.total_variation`; docs/theory/discrete-gaussian.md).
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import ParameterError

__all__ = [
    "MAX_DIMENSION",
    "MAX_SIGMA_PX",
    "THRESHOLD_BITS",
    "UNDECIDED",
    "NoiseTable",
    "check_range",
    "check_sigma_px",
    "noise_charge",
]

THRESHOLD_BITS = 128
MAX_SIGMA_PX = 2400
"""Above this an image plus its noise would not fit int16."""
MAX_DIMENSION = 1 << 24
"""Coordinates of the largest image (4096 x 4096 grey). The table's error is always charged for this many."""
UNDECIDED = -32768
"""Guide entry of a cell in which a threshold lies; no sample has this value."""
_GUIDE_BITS = 16


@dataclass(frozen=True)
class NoiseTable:
    """Thresholds ``T_k`` of a symmetric law, for ``k = low .. -low-1``, ascending and positive.

    Attributes:
        low: the smallest value that is ever drawn; the largest is ``-low``.
        thresholds: ``2^128 F(k)``, each off by less than 1, strictly between 0 and 2^128.
    """

    low: int
    thresholds: tuple[int, ...]

    @classmethod
    def from_lower_half(cls, lower: Iterable[int]) -> NoiseTable:
        """A table from ``floor(2^128 F(k))`` for ``k = ..., -2, -1``; zeros are dropped, the rest is mirrored.

        Symmetry gives ``F(k) = 1 - F(-k-1)``, so the upper thresholds are ``2^128 - T`` of the lower ones.
        """
        kept = tuple(t for t in lower if t > 0)
        return cls(-len(kept), kept + tuple((1 << THRESHOLD_BITS) - t for t in reversed(kept)))

    @property
    def total_variation(self) -> Fraction:
        """Proved upper limit of the total variation distance between the sampler's law and the ideal one.

        Each threshold is off by less than one unit of 2^-128 and each dropped tail has mass below one unit. Half the
        sum of the differences of the masses is therefore at most ``(thresholds + 2) / 2^128``.
        """
        return Fraction(len(self.thresholds) + 2, 1 << THRESHOLD_BITS)

    @cached_property
    def limbs(self) -> NDArray[np.uint32]:
        """Thresholds as 32-bit words, most significant first: shape (len, 4)."""
        raw = bytearray().join(t.to_bytes(THRESHOLD_BITS // 8, "big") for t in self.thresholds)
        return np.array(memoryview(raw).cast("B"), dtype=np.uint8).view(">u4").reshape(-1, 4).astype(np.uint32)

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of ``low`` and the thresholds."""
        return hashlib.sha256(f"{self.low}\n".encode() + self.limbs.astype(">u4").tobytes()).hexdigest()

    @cached_property
    def guide(self) -> NDArray[np.int16]:
        """The value for each 16-bit prefix of a word, or :data:`UNDECIDED` where a threshold shares the prefix."""
        tops = np.ascontiguousarray(self.limbs[:, 0])
        cells = np.arange(1 << _GUIDE_BITS, dtype=np.uint32) << np.uint32(32 - _GUIDE_BITS)
        values = (self.low + np.searchsorted(tops, cells, side="left")).astype(np.int16)
        values[tops >> np.uint32(32 - _GUIDE_BITS)] = UNDECIDED
        return values

    def by_word(self, words: NDArray[np.uint64]) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
        """Values decided by 32-bit words, and where a word is a tie that needs all 128 bits."""
        tops = self.limbs[:, 0]
        position = np.searchsorted(tops, words, side="left")
        tied = np.zeros(words.shape, dtype=bool)
        inside = position < len(tops)
        tied[inside] = tops[position[inside]] == words[inside]
        return (self.low + position).astype(np.int16), tied

    def by_integer(self, u: int) -> int:
        """The value of a 128-bit uniform: the specification of the sampler.

        Args:
            u: in [0, 2^128).
        """
        return self.low + bisect_right(self.thresholds, u)


def check_sigma_px(sigma_px: Fraction) -> Fraction:
    """Refuse a scale that is not in (0, :data:`MAX_SIGMA_PX`]."""
    if not 0 < sigma_px <= MAX_SIGMA_PX:
        raise ParameterError(
            f"sigma must be positive and at most {float(Fraction(MAX_SIGMA_PX, 255)):.4g} in image units "
            f"({MAX_SIGMA_PX} grey levels), not {float(sigma_px / 255):.6g}"
        )
    return sigma_px


def check_range(start: int, count: int, dimension: int) -> None:
    """Refuse sample numbers outside [0, 2^63) and dimensions outside [1, :data:`MAX_DIMENSION`]."""
    if start < 0 or count < 0 or start + count > 1 << 63 or not 0 < dimension <= MAX_DIMENSION:
        raise ParameterError(f"no samples {start} .. {start}+{count} of {dimension} coordinates")


def noise_charge(total_variation: Fraction) -> Fraction:
    """What is subtracted from a probability so that a claim holds for the deployed sampler.

    Twice the distance of the product law on :data:`MAX_DIMENSION` coordinates: once for passing from the sampler to
    the ideal law at the image, once for passing back at the perturbed image (docs/theory/discrete-gaussian.md, "The deployed
    sampler").
    """
    return 2 * MAX_DIMENSION * total_variation
