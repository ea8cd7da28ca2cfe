"""Pools: the largest or the mean value under a window, windows of any form turned into explicit padding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from holdfast.compression.aten.layers import pair
from holdfast.compression.aten.step import Step, Value
from holdfast.compression.graph import FloatAvgPool, FloatMaxPool, FloatSubsample, Padding

__all__ = ["POOLING"]


class _Windows(NamedTuple):
    """The windows of a pool over an image."""

    source: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding
    dilation: tuple[int, int]
    overhang: bool
    """Whether windows reach beyond the padding that was asked for, as rounding the count up makes them."""


def _windows(step: Step) -> _Windows:
    source, shape = step.image("self")
    kernel = pair(step["kernel_size"])
    stride = pair(step["stride"]) if step["stride"] else kernel
    dilation = pair(step.arguments.get("dilation", 1))
    before = pair(step["padding"])
    after = [
        (count - 1) * stride[i] + dilation[i] * (kernel[i] - 1) + 1 - shape[1 + i] - before[i]
        for i, count in enumerate(step.shape[1:])
    ]
    rows, columns = (max(a, b) for a, b in zip(after, before, strict=True))
    padding = (before[0], rows, before[1], columns)
    return _Windows(source, kernel, stride, padding, dilation, (rows, columns) != before)


def _max_pool2d(step: Step) -> Value:
    windows = _windows(step)
    if windows.kernel == (1, 1) and not any(windows.padding):
        return _subsample(step, windows)
    return step.emit(
        FloatMaxPool(step.name, windows.source, windows.kernel, windows.stride, windows.padding, windows.dilation)
    )


def _avg_pool2d(step: Step) -> Value:
    windows, divisor = _windows(step), step["divisor_override"]
    area = windows.kernel[0] * windows.kernel[1]
    if divisor is not None and divisor != area:
        raise step.refuse(f"divisor_override={divisor} is not the {area} places of the window", "leave it out")
    if divisor is None and windows.overhang:
        raise step.refuse("with ceil_mode, windows at the border divide by fewer places", "use ceil_mode=False")
    if divisor is None and any(windows.padding) and not step["count_include_pad"]:
        raise step.refuse(
            "with count_include_pad=False, windows at the border divide by fewer places", "use count_include_pad=True"
        )
    if windows.kernel == (1, 1) and not any(windows.padding):
        return _subsample(step, windows)
    return step.emit(FloatAvgPool(step.name, windows.source, windows.kernel, windows.stride, windows.padding))


def _subsample(step: Step, windows: _Windows) -> Value:
    """A window of one place only leaves places out."""
    return step.emit(FloatSubsample(step.name, windows.source, windows.stride))


def _adaptive(step: Step, of: str) -> Value:
    source, shape = step.image("self")
    if shape[1] % step.shape[1] or shape[2] % step.shape[2]:
        raise step.refuse(
            f"{shape[1]}x{shape[2]} is not a multiple of {step.shape[1]}x{step.shape[2]}, so its windows differ in size",
            "use a pool with a fixed kernel",
        )
    kernel = (shape[1] // step.shape[1], shape[2] // step.shape[2])
    return _pool(step, source, kernel, of, step.shape)


def _over_space(step: Step, of: str) -> Value:
    """Over rows, columns or both; also over the places of an image whose rows and columns were made one."""
    value = step.value("self")
    shape = step.builder.shapes[value.position]
    rank = 1 + len(value.shape)
    axes = {axis % rank for axis in step.arguments.get("dim") or range(rank)}
    if len(shape) == 3 and value.shape == shape and axes <= {2, 3}:
        kernel = (shape[1] if 2 in axes else 1, shape[2] if 3 in axes else 1)
    elif len(shape) == 3 and value.shape == (shape[0], shape[1] * shape[2]) and axes == {2}:
        kernel = (shape[1], shape[2])
    else:
        raise step.refuse(
            f"it takes the {of} over the dimensions {sorted(axes)} of a value of {list(value.shape)} per image",
            "pool over the rows and columns of (N, C, H, W) only",
        )
    pooled = (shape[0], shape[1] // kernel[0], shape[2] // kernel[1])
    return Value(_pool(step, value.position, kernel, of, pooled).position, step.shape)


def _pool(step: Step, source: int, kernel: tuple[int, int], of: str, shape: tuple[int, ...]) -> Value:
    """Windows beside each other that cover the image."""
    if of == "max":
        return step.emit(FloatMaxPool(step.name, source, kernel, kernel, (0, 0, 0, 0), (1, 1)), shape)
    return step.emit(FloatAvgPool(step.name, source, kernel, kernel, (0, 0, 0, 0)), shape)


POOLING: Mapping[str, Callable[[Step], Value]] = {
    "adaptive_avg_pool2d": partial(_adaptive, of="mean"),
    "adaptive_max_pool2d": partial(_adaptive, of="max"),
    "amax": partial(_over_space, of="max"),
    "avg_pool2d": _avg_pool2d,
    "max_pool2d": _max_pool2d,
    "max_pool2d_with_indices": _max_pool2d,
    "mean": partial(_over_space, of="mean"),
}
"""What translates an operation, by its name."""
