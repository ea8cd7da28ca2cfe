"""Convolutions and linear layers: products of a value with constant weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from holdfast.compression.aten.step import Step, Value
from holdfast.compression.graph import FloatConv, FloatLinear, Padding

__all__ = ["LAYERS", "pair"]


def pair(size: int | Sequence[int]) -> tuple[int, int]:
    """(rows, columns) of a size that PyTorch writes as one number, a list of one, or a list of two.

    Example:
        >>> pair(3), pair([3]), pair([3, 1])
        ((3, 3), (3, 3), (3, 1))
    """
    sizes = [size] if isinstance(size, int) else list(size)
    return sizes[0], sizes[-1]


def _conv2d(step: Step) -> Value:
    source, shape = step.image("input")
    weight, bias = step.weight("weight"), step.constant("bias")
    dilation = pair(step["dilation"])
    padding = _padding(step["padding"], (weight.shape[2], weight.shape[3]), dilation)
    bias = _zeros(weight) if bias is None else bias
    assert shape[0] == weight.shape[1] * step["groups"]
    return step.emit(
        FloatConv(step.name, source, weight, bias, pair(step["stride"]), padding, dilation, step["groups"])
    )


def _padding(padding: str | Sequence[int], kernel: tuple[int, int], dilation: tuple[int, int]) -> Padding:
    """Zeros around an image; ``same`` puts the odd one at the bottom and at the right."""
    if padding == "valid":
        return (0, 0, 0, 0)
    if padding == "same":
        rows, columns = (d * (k - 1) for d, k in zip(dilation, kernel, strict=True))
        return (rows // 2, rows - rows // 2, columns // 2, columns - columns // 2)
    assert not isinstance(padding, str)
    rows, columns = pair(padding)
    return (rows, rows, columns, columns)


def _linear(step: Step) -> Value:
    return _product(step, "input", step.weight("weight"), step.constant("bias"))


def _matmul(step: Step) -> Value:
    return _product(step, "self", step.weight("other").T, None)


def _mm(step: Step) -> Value:
    return _product(step, "self", step.weight("mat2").T, None)


def _addmm(step: Step) -> Value:
    weight = step.weight("mat2").T * step["alpha"]
    return _product(step, "mat1", weight, step.weight("self") * step["beta"])


def _product(step: Step, key: str, weight: Tensor, bias: Tensor | None) -> Value:
    value = step.value(key)
    if len(value.shape) != 1 or weight.ndim != 2:
        raise step.refuse(
            f"it multiplies {list(value.shape)} per image with a matrix of shape {list(weight.shape)}",
            "flatten to (N, features) before it",
        )
    bias = _zeros(weight) if bias is None else bias.reshape(-1).expand(weight.shape[0]).clone()
    return step.emit(FloatLinear(step.name, step.whole(value), weight.contiguous(), bias))


def _zeros(weight: Tensor) -> Tensor:
    return torch.zeros(weight.shape[0], dtype=torch.float64)


LAYERS: Mapping[str, Callable[[Step], Value]] = {
    "addmm": _addmm,
    "conv2d": _conv2d,
    "linear": _linear,
    "matmul": _matmul,
    "mm": _mm,
}
"""What translates an operation, by its name."""
