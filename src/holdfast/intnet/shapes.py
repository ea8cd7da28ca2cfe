"""Shapes of the values of an integer network, inferred from its operations; what does not fit is refused."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from holdfast.errors import NetworkError
from holdfast.intnet.fixedpoint import MULTIPLIER_LIMIT, SHIFT_LIMIT, Requantise
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
    Residual,
    Subsample,
)

__all__ = ["LARGEST_VALUE", "LARGEST_WEIGHTS", "Shape", "is_raw", "output_shape", "sources_of", "windows"]

Shape = tuple[int, ...]
"""(C, H, W), or (F,) for a flat value."""
LARGEST_VALUE = 1 << 28
"""Most elements of one value."""
LARGEST_WEIGHTS = 1 << 30
"""Most weights of one operation."""
_LARGEST_SIDE = 1 << 16


def sources_of(op: Op) -> tuple[int, ...]:
    """Positions of the values that an operation reads."""
    if isinstance(op, Input):
        return ()
    if isinstance(op, Add | Concat):
        return op.sources
    if isinstance(op, Conv | Linear) and op.residual is not None:
        return (op.source, op.residual.source)
    return (op.source,)


def is_raw(op: Op) -> bool:
    """Whether the operation leaves int32 accumulators instead of activations."""
    return isinstance(op, Conv | Linear | AvgPool) and op.requantise is None


def windows(size: int, kernel: int, stride: int, before: int, after: int, dilation: int = 1) -> int:
    """How many windows fit along one side: ``floor((size + before + after - dilation (kernel - 1) - 1) / stride) + 1``."""
    return (size + before + after - dilation * (kernel - 1) - 1) // stride + 1


def output_shape(op: Op, shapes: Sequence[Shape]) -> Shape:
    """The shape of an operation's value.

    Args:
        op: the operation, whose sources are positions in ``shapes``.
        shapes: of all earlier values.

    Raises:
        NetworkError: an array has the wrong dtype or shape, a number is out of range, or a source does not fit.
    """
    found = [shapes[source] for source in sources_of(op)]
    shape = _shape(op, found)
    _require(all(1 <= side <= _LARGEST_SIDE * 64 for side in shape), op, f"gives an empty or huge value {shape}")
    _require(int(np.prod(shape, dtype=object)) <= LARGEST_VALUE, op, f"gives {shape}: more than 2^28 elements")
    return shape


def _shape(op: Op, found: list[Shape]) -> Shape:
    if isinstance(op, Input):
        return _input(op)
    if isinstance(op, Conv):
        return _conv(op, found)
    if isinstance(op, Linear):
        return _linear(op, found)
    if isinstance(op, Add):
        _require(found[0] == found[1], op, f"adds values of shapes {found[0]} and {found[1]}")
        _require(all(0 <= m < MULTIPLIER_LIMIT for m in op.multipliers), op, "multipliers must lie in [0, 2^22)")
        _require(1 <= op.shift <= SHIFT_LIMIT, op, f"the shift must lie in [1, {SHIFT_LIMIT}], not {op.shift}")
        _require(-127 <= op.low <= op.high <= 127, op, f"needs -127 <= low <= high <= 127, not {op.low}, {op.high}")
        return found[0]
    if isinstance(op, Concat):
        _require(bool(found), op, "needs at least one source")
        _require(len({shape[1:] for shape in found}) == 1, op, f"joins values of shapes {found}")
        return (sum(shape[0] for shape in found), *found[0][1:])
    if isinstance(op, Rescale):
        _per_channel(op, op.requantise, found[0][0])
        return found[0]
    return _spatial(op, _image(op, found[0]))


def _spatial(op: MaxPool | AvgPool | Flatten | Pad | Subsample, shape: tuple[int, int, int]) -> Shape:
    if isinstance(op, Flatten):
        return (shape[0] * shape[1] * shape[2],)
    if isinstance(op, Subsample):
        _require(min(op.stride) >= 1, op, f"strides must be at least 1, not {op.stride}")
        _require(max(op.stride) <= _LARGEST_SIDE, op, f"strides must be at most 65536, not {op.stride}")
        return (shape[0], -(-shape[1] // op.stride[0]), -(-shape[2] // op.stride[1]))
    if isinstance(op, Pad):
        around = op.before + op.after
        _require(min(around) >= 0 and max(around) <= _LARGEST_SIDE, op, f"padding must be 0 to 65536, not {around}")
        return tuple(s + b + a for s, b, a in zip(shape, op.before, op.after, strict=True))
    dilation = op.dilation if isinstance(op, MaxPool) else (1, 1)
    sides = _sides(op, shape, op.kernel, op.stride, op.padding, dilation)
    if isinstance(op, MaxPool):
        for side in (0, 1):
            outside = _window_outside(shape[1 + side], sides[side], side, op)
            _require(outside is None, op, f"window {outside} lies wholly in the padding, where nothing can win")
    elif op.requantise is not None:
        _per_channel(op, op.requantise, shape[0])
    return (shape[0], *sides)


def _input(op: Input) -> Shape:
    _require(len(op.shape) == 3 and min(op.shape) >= 1, op, f"images are (C, H, W), not {op.shape}")
    _require(
        op.center.dtype == np.int32 and op.center.shape == op.shape[:1], op, "center must be int32, one per channel"
    )
    _require(int(np.abs(op.center.astype(np.int64)).max()) < 1 << 15, op, "centers must lie in [-32767, 32767]")
    _per_channel(op, op.requantise, op.shape[0])
    return op.shape


def _conv(op: Conv, found: list[Shape]) -> Shape:
    channels, height, width = _image(op, found[0])
    _weights(op, 4)
    outputs, inputs, *kernel = op.weight.shape
    _require(op.groups >= 1 and outputs % op.groups == 0, op, f"{outputs} outputs do not split into {op.groups} groups")
    _require(inputs * op.groups == channels, op, f"weights for {inputs * op.groups} channels read {channels}")
    sides = _sides(op, (channels, height, width), (kernel[0], kernel[1]), op.stride, op.padding, op.dilation)
    return _accumulated(op, (outputs, *sides), found)


def _linear(op: Linear, found: list[Shape]) -> Shape:
    _require(len(found[0]) == 1, op, f"reads a flat value, not {found[0]}: flatten it first")
    _weights(op, 2)
    _require(op.weight.shape[1] == found[0][0], op, f"weights for {op.weight.shape[1]} features read {found[0][0]}")
    return _accumulated(op, (op.weight.shape[0],), found)


def _weights(op: Conv | Linear, dimensions: int) -> None:
    _require(
        op.weight.dtype == np.int8 and op.weight.ndim == dimensions, op, f"weights must be int8 with {dimensions} axes"
    )
    _require(op.weight.size > 0, op, f"has no weights: {op.weight.shape}")
    _require(op.weight.size <= LARGEST_WEIGHTS, op, f"has more than 2^30 weights: {op.weight.shape}")
    _require(int(op.weight.min()) >= -127, op, "weights must lie in [-127, 127], not -128")
    outputs = op.weight.shape[:1]
    _require(op.bias.dtype == np.int32 and op.bias.shape == outputs, op, "bias must be int32, one per output")
    if op.requantise is not None:
        _per_channel(op, op.requantise, outputs[0])


def _accumulated(op: Conv | Linear, shape: Shape, found: list[Shape]) -> Shape:
    residual = op.residual
    if residual is not None:
        _require(found[1] == shape, op, f"adds a residual of shape {found[1]} to {shape}")
        _factor(op, residual, shape[0])
    return shape


def _factor(op: Op, residual: Residual, channels: int) -> None:
    factor = residual.factor
    _require(factor.dtype == np.int32 and factor.shape == (channels,), op, "residual factors are int32, one per output")
    _require(int(factor.min()) >= 0, op, "residual factors must not be negative")


def _sides(
    op: Op,
    shape: tuple[int, int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int, int, int],
    dilation: tuple[int, int],
) -> tuple[int, int]:
    numbers = (*kernel, *stride, *dilation)
    _require(min(numbers) >= 1 and max(numbers) <= _LARGEST_SIDE, op, "kernel, stride, dilation must be 1 to 65536")
    _require(min(padding) >= 0 and max(padding) <= _LARGEST_SIDE, op, f"padding must be 0 to 65536, not {padding}")
    rows = windows(shape[1], kernel[0], stride[0], padding[0], padding[1], dilation[0])
    columns = windows(shape[2], kernel[1], stride[1], padding[2], padding[3], dilation[1])
    _require(rows >= 1 and columns >= 1, op, f"has a window that does not fit into {shape}")
    padded = shape[0] * (shape[1] + padding[0] + padding[1]) * (shape[2] + padding[2] + padding[3])
    _require(padded <= LARGEST_VALUE, op, f"pads {shape} to more than 2^28 elements")
    return rows, columns


def _window_outside(size: int, count: int, side: int, op: MaxPool) -> int | None:
    """The first window along a side that touches no real value."""
    kernel, stride, dilation, before = op.kernel[side], op.stride[side], op.dilation[side], op.padding[2 * side]
    starts = np.arange(count, dtype=np.int64) * stride - before
    first = np.where(starts < 0, starts % dilation, starts)  # the first place at or after 0 that a window may touch
    outside = (first >= size) | (first > starts + dilation * (kernel - 1))
    return int(outside.argmax()) if outside.any() else None


def _per_channel(op: Op, law: Requantise, channels: int) -> None:
    _require(len(law.multiplier) in (1, channels), op, f"{len(law.multiplier)} multipliers for {channels} channels")


def _image(op: Op, shape: Shape) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise NetworkError(f"{op.name}: {type(op).__name__} reads a (C, H, W) value, not {shape}")
    return shape[0], shape[1], shape[2]


def _require(holds: bool, op: Op, problem: str) -> None:
    if not holds:
        raise NetworkError(f"{op.name}: {type(op).__name__} {problem}")
