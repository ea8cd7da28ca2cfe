"""Proof that no accumulator can overflow and that the law stays exact: intervals, per channel, through the network.

For every operation and channel: an interval that holds every value the channel can take, whatever the image and the
noise, and a bound on the magnitude of every partial sum in any order,
``|bias| + sum |w| max|a| + factor max|residual|``. Plain integer interval arithmetic, so nothing is rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import NetworkError
from holdfast.intnet.fixedpoint import ACCUMULATOR_LIMIT, PRODUCT_LIMIT, Requantise
from holdfast.intnet.ops import (
    Add,
    AvgPool,
    Concat,
    Conv,
    Flatten,
    Input,
    Linear,
    MaxPool,
    Op,
    Pad,
    Rescale,
    Subsample,
)
from holdfast.intnet.shapes import Shape

__all__ = ["NOISY_HIGH", "NOISY_LOW", "ValueRange", "output_range"]

NOISY_LOW, NOISY_HIGH = -(1 << 15), (1 << 15) - 1
"""A noisy pixel is an int16."""
_WEIGHTS_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True)
class ValueRange:
    """Where a value lies.

    Attributes:
        low, high: int64, one per channel (or per feature of a flat value).
        accumulator: int64, per channel: a bound on every partial sum behind the value; zeros where there is none.
    """

    low: NDArray[np.int64]
    high: NDArray[np.int64]
    accumulator: NDArray[np.int64]

    @property
    def magnitude(self) -> NDArray[np.int64]:
        """Largest absolute value, per channel."""
        return np.maximum(np.abs(self.low), np.abs(self.high))


def output_range(op: Op, ranges: Sequence[ValueRange], shapes: Sequence[Shape]) -> ValueRange:
    """The range of an operation's value.

    Args:
        op: the operation, of fitting shapes.
        ranges, shapes: of all earlier values.

    Raises:
        NetworkError: an accumulator could leave int32 or a product could leave 2^53; names the channel and the bound.
    """
    if isinstance(op, Input):
        low = NOISY_LOW - op.center.astype(np.int64)
        high = NOISY_HIGH - op.center.astype(np.int64)
        return _requantised(op, op.requantise, low, high, np.maximum(np.abs(low), np.abs(high)))
    if isinstance(op, Conv | Linear):
        return _weighted(op, ranges)
    if isinstance(op, Add):
        a, b = (ranges[source] for source in op.sources)
        return _add(op, a, b)
    if isinstance(op, Concat):
        parts = [ranges[source] for source in op.sources]
        low, high = (np.concatenate([getattr(p, side) for p in parts]) for side in ("low", "high"))
        return ValueRange(low, high, np.zeros_like(low))
    source = ranges[op.source]
    if isinstance(op, AvgPool):
        return _average(op, source)
    if isinstance(op, Rescale):
        return _requantised(op, op.requantise, source.low, source.high, source.magnitude)
    if isinstance(op, Pad):
        return _padded(op, source)
    if isinstance(op, Flatten):
        _, height, width = shapes[op.source]
        low, high, bound = (np.repeat(v, height * width) for v in (source.low, source.high, source.accumulator))
        return ValueRange(low, high, bound)
    assert isinstance(op, MaxPool | Subsample)
    return ValueRange(source.low, source.high, np.zeros_like(source.low))


def _weighted(op: Conv | Linear, ranges: Sequence[ValueRange]) -> ValueRange:
    source, bias = ranges[op.source], op.bias.astype(np.int64)
    rows = max(1, _WEIGHTS_AT_ONCE // op.weight[0].size)
    parts = [_sums(op, source, slice(start, start + rows)) for start in range(0, len(bias), rows)]
    least, most, bound = (np.concatenate(part) for part in zip(*parts, strict=True))
    low, high, bound = bias + least, bias + most, np.abs(bias) + bound
    if op.residual is not None:
        added, factor = ranges[op.residual.source], op.residual.factor.astype(np.int64)
        low, high = low + factor * added.low, high + factor * added.high
        bound = bound + factor * added.magnitude
    return _requantised(op, op.requantise, low, high, bound)


def _sums(op: Conv | Linear, source: ValueRange, rows: slice) -> tuple[NDArray[np.int64], ...]:
    """Least and largest ``sum weight * value``, and ``sum |weight| max|value|``, of some of the outputs."""
    outputs = len(op.weight)
    groups = op.groups if isinstance(op, Conv) else 1
    weight = op.weight[rows].astype(np.int64)
    weight = weight.reshape(*weight.shape[:2], -1)  # (outputs, inputs of a group, taps)
    group = np.arange(outputs)[rows] // (outputs // groups)
    low, high, magnitude = (side.reshape(groups, -1, 1)[group] for side in (source.low, source.high, source.magnitude))
    least, most = np.minimum(weight * low, weight * high), np.maximum(weight * low, weight * high)
    if isinstance(op, Conv) and any(op.padding):
        least, most = np.minimum(least, 0), np.maximum(most, 0)
    return least.sum(axis=(1, 2)), most.sum(axis=(1, 2)), (np.abs(weight) * magnitude).sum(axis=(1, 2))


def _add(op: Add, a: ValueRange, b: ValueRange) -> ValueRange:
    m, n = op.multipliers
    half = 1 << (op.shift - 1)
    bound = a.magnitude * m + b.magnitude * n
    _require_below(op, bound + half, PRODUCT_LIMIT, "the product", "2^53")
    low, high = ((x * m + y * n + half) >> op.shift for x, y in ((a.low, b.low), (a.high, b.high)))
    clip = (op.low, op.high)
    return ValueRange(np.clip(low, *clip), np.clip(high, *clip), bound)


def _average(op: AvgPool, source: ValueRange) -> ValueRange:
    area = op.kernel[0] * op.kernel[1]
    low, high = source.low * area, source.high * area
    if any(op.padding):
        low, high = np.minimum(low, 0), np.maximum(high, 0)
    return _requantised(op, op.requantise, low, high, source.magnitude * area)


def _padded(op: Pad, source: ValueRange) -> ValueRange:
    low, high = source.low, source.high
    if any(op.before[1:]) or any(op.after[1:]):
        low, high = np.minimum(low, 0), np.maximum(high, 0)
    around = (op.before[0], op.after[0])
    low, high = np.pad(low, around), np.pad(high, around)
    return ValueRange(low, high, np.zeros_like(low))


def _requantised(
    op: Op, law: Requantise | None, low: NDArray[np.int64], high: NDArray[np.int64], bound: NDArray[np.int64]
) -> ValueRange:
    """The range after the law, which is monotone, so the ends go to the ends."""
    _require_below(op, bound, ACCUMULATOR_LIMIT, "the accumulator", "2^31 - 1")
    if law is None:
        return ValueRange(low, high, bound)
    half = np.int64(1) << (law.shift.astype(np.int64) - 1)
    _require_below(op, bound * law.multiplier.astype(np.int64) + half, PRODUCT_LIMIT, "the product", "2^53")
    ends = law(np.stack([low, high]))
    return ValueRange(ends[0], ends[1], bound)


def _require_below(op: Op, bound: NDArray[np.int64], limit: int, what: str, shown: str) -> None:
    worst = int(bound.argmax())
    if int(bound[worst]) > limit:
        raise NetworkError(
            f"{op.name}: {what} of channel {worst} could reach {int(bound[worst])}, beyond {shown}; "
            "the weights, the bias or the multiplier of this channel are too large"
        )
