"""The reference executor: NumPy int64, no float, written to be read. What it computes is what the law means."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from holdfast.errors import ParameterError
from holdfast.intnet.network import IntegerNetwork
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
from holdfast.intnet.shapes import windows

__all__ = ["run", "trace"]

_Values = NDArray[np.int64]


def run(network: IntegerNetwork, images: NDArray[Any]) -> NDArray[np.int32]:
    """Logits: int32, shape (N, num_classes). ``images``: uint8 or int16, shape (N, C, H, W).

    Raises:
        ParameterError: images of another shape or dtype.
    """
    return trace(network, images)[-1].astype(np.int32)


def trace(network: IntegerNetwork, images: NDArray[Any]) -> list[_Values]:
    """Every value of the network, each int64 with the batch on axis 0.

    Raises:
        ParameterError: images of another shape or dtype.
    """
    if images.dtype not in (np.uint8, np.int16) or images.shape[1:] != network.shape or images.ndim != 4:
        raise ParameterError(
            f"the network takes uint8 or int16 images (N, {', '.join(map(str, network.shape))}), "
            f"not {images.dtype} {images.shape}"
        )
    values: list[_Values] = []
    for op in network.operations:
        values.append(_step(op, values, images))
    return values


def _step(op: Op, values: list[_Values], images: NDArray[Any]) -> _Values:
    if isinstance(op, Input):
        return op.requantise(images.astype(np.int64) - op.center.astype(np.int64).reshape(-1, 1, 1))
    if isinstance(op, Add):
        a, b = (values[source] for source in op.sources)
        total = a * op.multipliers[0] + b * op.multipliers[1] + (1 << (op.shift - 1))
        return (total >> op.shift).clip(op.low, op.high)
    if isinstance(op, Concat):
        return np.concatenate([values[source] for source in op.sources], axis=1)
    value = values[op.source]
    if isinstance(op, Conv):
        return _finish(op, _convolve(op, value), values)
    if isinstance(op, Linear):
        return _finish(op, value @ op.weight.astype(np.int64).T + op.bias, values)
    if isinstance(op, AvgPool):
        total = _pool(value, op.kernel, op.stride, op.padding, (1, 1), 0, np.add)
        return total if op.requantise is None else op.requantise(total)
    if isinstance(op, MaxPool):
        return _pool(value, op.kernel, op.stride, op.padding, op.dilation, -128, np.maximum)
    if isinstance(op, Rescale):
        return op.requantise(value)
    if isinstance(op, Pad):
        return np.pad(value, ((0, 0), *zip(op.before, op.after, strict=True)))
    if isinstance(op, Flatten):
        return value.reshape(len(value), math.prod(value.shape[1:]))
    assert isinstance(op, Subsample)
    return value[:, :, :: op.stride[0], :: op.stride[1]]


def _finish(op: Conv | Linear, accumulator: _Values, values: list[_Values]) -> _Values:
    if op.residual is not None:
        accumulator = accumulator + _added(op.residual, values)
    return accumulator if op.requantise is None else op.requantise(accumulator)


def _added(residual: Residual, values: list[_Values]) -> _Values:
    value = values[residual.source]
    return value * residual.factor.astype(np.int64).reshape(-1, *(1,) * (value.ndim - 2))


def _convolve(op: Conv, value: _Values) -> _Values:
    """One tap of the kernel after the other: weights (O, I) times every pixel that this tap sees."""
    top, bottom, left, right = op.padding
    padded = np.pad(value, ((0, 0), (0, 0), (top, bottom), (left, right)))
    outputs, inputs, height, width = op.weight.shape
    rows = windows(value.shape[2], height, op.stride[0], top, bottom, op.dilation[0])
    columns = windows(value.shape[3], width, op.stride[1], left, right, op.dilation[1])
    total = np.zeros((len(value), op.groups, outputs // op.groups, rows * columns), dtype=np.int64)
    weight = op.weight.astype(np.int64).reshape(op.groups, outputs // op.groups, inputs, height, width)
    for i in range(height):
        for j in range(width):
            seen = _seen(padded, i * op.dilation[0], j * op.dilation[1], op.stride, rows, columns)
            total += weight[:, :, :, i, j] @ seen.reshape(len(value), op.groups, inputs, rows * columns)
    return total.reshape(len(value), outputs, rows, columns) + op.bias.astype(np.int64).reshape(-1, 1, 1)


def _pool(
    value: _Values,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int, int, int],
    dilation: tuple[int, int],
    outside: int,
    combine: Callable[[_Values, _Values], _Values],
) -> _Values:
    top, bottom, left, right = padding
    padded = np.pad(value, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=outside)
    rows = windows(value.shape[2], kernel[0], stride[0], top, bottom, dilation[0])
    columns = windows(value.shape[3], kernel[1], stride[1], left, right, dilation[1])
    total: _Values | None = None
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            seen = _seen(padded, i * dilation[0], j * dilation[1], stride, rows, columns)
            total = seen if total is None else combine(total, seen)
    assert total is not None
    return total


def _seen(padded: _Values, row: int, column: int, stride: tuple[int, int], rows: int, columns: int) -> _Values:
    """What one tap of a kernel sees at every window."""
    return padded[:, :, row :: stride[0], column :: stride[1]][:, :, :rows, :columns]
