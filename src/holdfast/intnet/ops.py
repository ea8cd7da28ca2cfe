"""The operations of an integer network: plain frozen values, one per step, all numbers integers.

An operation names the earlier values it reads by their positions. Arrays are channels first, (C, H, W) without the batch;
``padding`` is (top, bottom, left, right) and adds zeros, which is what 'no signal' means for symmetric activations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from holdfast.intnet.fixedpoint import Requantise

__all__ = [
    "Add",
    "AvgPool",
    "Concat",
    "Conv",
    "Flatten",
    "Input",
    "Linear",
    "MaxPool",
    "Op",
    "Pad",
    "Rescale",
    "Residual",
    "Subsample",
]


@final
@dataclass(frozen=True, slots=True, eq=False)
class Input:
    """``q = clamp(((z - center[c]) * M[c] + 2^(s[c]-1)) >> s[c])`` for ``z = x + noise``, an int16 array.

    Attributes:
        name: for people; no part of the digest.
        shape: (C, H, W) of an image.
        center: int32, shape (C,), each in [-32767, 32767].
        requantise: per channel.
    """

    name: str
    shape: tuple[int, int, int]
    center: NDArray[np.int32]
    requantise: Requantise


@final
@dataclass(frozen=True, slots=True, eq=False)
class Residual:
    """A second value that enters the accumulator: ``acc + factor[c] * value``, before requantising.

    Attributes:
        source: position of the value; its shape is that of the accumulator.
        factor: int32, shape (channels,), each at least 0.
    """

    source: int
    factor: NDArray[np.int32]


@final
@dataclass(frozen=True, slots=True, eq=False)
class Conv:
    """Convolution: ``acc = bias + sum weight * value`` in int32, an optional residual, then requantised or left raw.

    Attributes:
        name: for people.
        source: position of the value read.
        weight: int8, shape (O, C / groups, kH, kW), each in [-127, 127].
        bias: int32, shape (O,).
        stride, dilation: (vertical, horizontal).
        padding: (top, bottom, left, right) zeros.
        groups: input and output channels are split into so many independent groups.
        residual: what is added to the accumulator.
        requantise: per output channel; None leaves int32 logits.
    """

    name: str
    source: int
    weight: NDArray[np.int8]
    bias: NDArray[np.int32]
    requantise: Requantise | None
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    residual: Residual | None = None


@final
@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """Matrix product of a flat value: weight int8, shape (O, F); bias int32, shape (O,); otherwise as :class:`Conv`."""

    name: str
    source: int
    weight: NDArray[np.int8]
    bias: NDArray[np.int32]
    requantise: Requantise | None
    residual: Residual | None = None


@final
@dataclass(frozen=True, slots=True, eq=False)
class Add:
    """``y = clamp((a * multipliers[0] + b * multipliers[1] + 2^(shift-1)) >> shift, low, high)``.

    Attributes:
        name: for people.
        sources: positions of two values of one shape.
        multipliers: each in [0, 2^22).
        shift: in [1, 52].
        low, high: clamps, -127 <= low <= high <= 127.
    """

    name: str
    sources: tuple[int, int]
    multipliers: tuple[int, int]
    shift: int
    low: int
    high: int


@final
@dataclass(frozen=True, slots=True, eq=False)
class MaxPool:
    """The largest value under a window; padded places never win."""

    name: str
    source: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)


@final
@dataclass(frozen=True, slots=True, eq=False)
class AvgPool:
    """The integer sum under a window (padded places count as zeros), requantised with the area in M, or left raw."""

    name: str
    source: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    requantise: Requantise | None
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Rescale:
    """Requantise a value, for a scale shared with others or for clamps of its own."""

    name: str
    source: int
    requantise: Requantise


@final
@dataclass(frozen=True, slots=True, eq=False)
class Concat:
    """Channels of several values of one height and width (or flat values), one after the other."""

    name: str
    sources: tuple[int, ...]


@final
@dataclass(frozen=True, slots=True, eq=False)
class Flatten:
    """(C, H, W) to (C * H * W,), in that order."""

    name: str
    source: int


@final
@dataclass(frozen=True, slots=True, eq=False)
class Pad:
    """Zeros before and after, each (channels, rows, columns)."""

    name: str
    source: int
    before: tuple[int, int, int]
    after: tuple[int, int, int]


@final
@dataclass(frozen=True, slots=True, eq=False)
class Subsample:
    """Every ``stride``-th row and column, from the first."""

    name: str
    source: int
    stride: tuple[int, int]


Op = Input | Conv | Linear | Add | MaxPool | AvgPool | Rescale | Concat | Flatten | Pad | Subsample
