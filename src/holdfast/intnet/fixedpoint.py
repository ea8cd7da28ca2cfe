"""The rounding law, version 1: how an integer accumulator becomes an 8-bit activation.

    y = clamp((acc * M + 2^(s-1)) >> s, low, high)

The shift is arithmetic (floor), so there is one rounding, half up. Everything else in holdfast that requantises (the
native engine, the training twin, exporters) calls this or is tested equal to it. docs/theory/integer-network.md says why
the law is what it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import NetworkError

__all__ = [
    "ACCUMULATOR_LIMIT",
    "ACTIVATION_LIMIT",
    "LAW_VERSION",
    "MULTIPLIER_LIMIT",
    "PRODUCT_LIMIT",
    "SHIFT_LIMIT",
    "Requantise",
    "quantise_ratio",
]

LAW_VERSION = 1
ACTIVATION_LIMIT = 127
"""Activations and weights lie in [-127, 127]."""
ACCUMULATOR_LIMIT = (1 << 31) - 1
"""Accumulators lie in [-(2^31 - 1), 2^31 - 1]."""
MULTIPLIER_LIMIT = 1 << 22
"""Multipliers lie in [0, 2^22)."""
SHIFT_LIMIT = 52
"""Shifts lie in [1, 52]."""
PRODUCT_LIMIT = 1 << 53
"""``max|acc| * M + 2^(s-1)`` is at most this, so float64 computes the law exactly."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class Requantise:
    """``y = clamp((acc * multiplier + 2^(shift-1)) >> shift, low, high)``, per channel or with one pair for all.

    Attributes:
        multiplier: int32, shape (channels,) or (1,), each in [0, 2^22).
        shift: uint8, the same shape, each in [1, 52].
        low: lower clamp, in [-127, high].
        high: upper clamp, at most 127.

    Raises:
        NetworkError: a number is out of its range.

    Example:
        >>> law = Requantise(np.array([3], np.int32), np.array([2], np.uint8), -127, 127)
        >>> law(np.array([[-2, -1, 0, 1, 2, 1000]])).tolist()  # 3/4 of each; -1.5, -0.75, 0, 0.75, 1.5, 750
        [[-1, -1, 0, 1, 2, 127]]
    """

    multiplier: NDArray[np.int32]
    shift: NDArray[np.uint8]
    low: int
    high: int

    def __post_init__(self) -> None:
        if self.multiplier.dtype != np.int32 or self.shift.dtype != np.uint8:
            raise NetworkError(
                f"multipliers are int32 and shifts uint8, not {self.multiplier.dtype} and {self.shift.dtype}"
            )
        if self.multiplier.ndim != 1 or self.multiplier.shape != self.shift.shape or not self.multiplier.size:
            raise NetworkError(
                f"multipliers and shifts need one shape (channels,), not {self.multiplier.shape} and {self.shift.shape}"
            )
        if int(self.multiplier.min()) < 0 or int(self.multiplier.max()) >= MULTIPLIER_LIMIT:
            raise NetworkError(
                f"multipliers must lie in [0, 2^22), not in [{self.multiplier.min()}, {self.multiplier.max()}]"
            )
        if int(self.shift.min()) < 1 or int(self.shift.max()) > SHIFT_LIMIT:
            raise NetworkError(
                f"shifts must lie in [1, {SHIFT_LIMIT}], not in [{self.shift.min()}, {self.shift.max()}]"
            )
        if not -ACTIVATION_LIMIT <= self.low <= self.high <= ACTIVATION_LIMIT:
            raise NetworkError(f"clamps need -127 <= low <= high <= 127, not {self.low} and {self.high}")

    def __call__(self, accumulator: NDArray[np.int64]) -> NDArray[np.int64]:
        """Apply the law to an array (N, channels, ...); exact as long as the products stay below 2^63.

        Args:
            accumulator: int64, channels on axis 1.
        """
        along = (-1,) + (1,) * (accumulator.ndim - 2)
        multiplier = self.multiplier.astype(np.int64).reshape(along)
        shift = self.shift.astype(np.int64).reshape(along)
        rounded: NDArray[np.int64] = (accumulator * multiplier + (np.int64(1) << (shift - 1))) >> shift
        return rounded.clip(self.low, self.high)


def quantise_ratio(ratio: float) -> tuple[int, int]:
    """The multiplier and shift nearest to a positive real factor: ``ratio ~ M / 2^s`` with M of 22 bits where possible.

    Args:
        ratio: in (0, 2^21); smaller than 2^-53 becomes zero.

    Returns:
        (M, s) with 0 <= M < 2^22 and 1 <= s <= 52; the relative error is at most 2^-22 for ratio >= 2^-31.

    Raises:
        NetworkError: not a positive number, or too large for any multiplier.

    Example:
        >>> quantise_ratio(0.75)
        (3145728, 22)
    """
    if not (math.isfinite(ratio) and 0 < ratio < MULTIPLIER_LIMIT / 2):
        raise NetworkError(f"a requantisation factor must lie in (0, 2^21), not {ratio}")
    _, exponent = math.frexp(ratio)  # ratio = m * 2^exponent with 1/2 <= m < 1
    shift = min(max(22 - exponent, 1), SHIFT_LIMIT)
    scaled = math.ldexp(ratio, shift)
    multiplier = math.floor(scaled)
    multiplier += scaled - multiplier >= 0.5  # (the difference is exact; scaled + 0.5 would not be)
    if multiplier == MULTIPLIER_LIMIT:  # rounded up to the next power of two
        multiplier, shift = (multiplier >> 1, shift - 1) if shift > 1 else (multiplier - 1, shift)
    return multiplier, shift
