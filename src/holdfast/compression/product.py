"""Products of integer values and integer weights in torch: exact sums, whichever arithmetic is the fastest that is exact."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from holdfast.compression.graph import FloatConv, FloatLinear

__all__ = ["quick_gradients", "sums"]

_FLOAT32_EXACT = 1 << 24


def sums(node: FloatConv | FloatLinear, q: Tensor, weight: Tensor, *, float64: bool) -> Tensor:
    """Convolution or linear map of integers, without bias, exactly.

    Args:
        node: its geometry.
        q: integers in [-127, 127], as floats.
        weight: integers in [-127, 127], as floats.
        float64: whether float32 must not be relied on.

    Returns:
        Integers: float32 where every partial sum stays below 2^24, else float64.

    Guarantee:
        The sums are exact. Gradients are those of the arithmetic used: bfloat16 under :func:`quick_gradients`.
    """
    small = float(weight.detach().abs().flatten(1).sum(1).max()) * 127 < _FLOAT32_EXACT
    kind = torch.float32 if small and not float64 else torch.float64
    q, weight = q.to(kind), weight.to(kind)
    if isinstance(node, FloatLinear):
        with torch.autocast(q.device.type, enabled=False):
            return F.linear(q, weight)
    top, bottom, left, right = node.padding
    padding = (top, left)
    if (top, left) != (bottom, right):
        q, padding = F.pad(q, (left, right, top, bottom)), (0, 0)
    if kind == torch.float32 and quick_gradients(q):
        result: Tensor = _QuickConv.apply(q, weight, node.stride, padding, node.dilation, node.groups)  # type: ignore[no-untyped-call]
        return result
    with torch.autocast(q.device.type, enabled=False):
        return F.conv2d(q, weight, None, node.stride, padding, node.dilation, node.groups)


def quick_gradients(value: Tensor) -> bool:
    """Whether gradients may be computed in bfloat16: inside autocast, where the processor multiplies bytes exactly."""
    return value.device.type == "cpu" and torch.is_autocast_enabled("cpu") and _multiplies_bytes_exactly()


class _QuickConv(torch.autograd.Function):
    """Sums of products of bytes in int32, gradients in bfloat16, which holds the bytes exactly."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, weight: Tensor, stride: Any, padding: Any, dilation: Any, groups: int) -> Tensor:
        ctx.geometry = list(stride), list(padding), list(dilation), False, [0, 0], groups
        ctx.save_for_backward(q.bfloat16(), weight.bfloat16())
        return _byte_sums(q, weight, list(stride), list(padding), list(dilation), groups)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        q, weight = ctx.saved_tensors
        wanted = [ctx.needs_input_grad[0], ctx.needs_input_grad[1], False]
        by_q, by_weight, _ = torch.ops.aten.convolution_backward(
            gradients[0].bfloat16(), q, weight, None, *ctx.geometry, wanted
        )
        found = [None if gradient is None else gradient.float() for gradient in (by_q, by_weight)]
        return (*found, None, None, None, None)


def _byte_sums(
    q: Tensor, weight: Tensor, stride: list[int], padding: list[int], dilation: list[int], groups: int
) -> Tensor:
    """A convolution with sums in int32, as float32: oneDNN's, with values shifted by 128 into unsigned bytes."""
    ones = torch.ones(len(weight))
    zeros = torch.zeros(len(weight), dtype=torch.int32)
    shape = [len(q), *q.shape[1:]]
    packed = torch.ops.onednn.qconv_prepack(
        weight.to(torch.int8), ones, 1.0, 128, stride, padding, dilation, groups, shape
    )
    values = (q + 128).to(torch.uint8).contiguous(memory_format=torch.channels_last)
    geometry = (stride, padding, dilation, groups)
    result: Tensor = torch.ops.onednn.qconv2d_pointwise(
        values, 1.0, 128, packed, ones, zeros, None, *geometry, 1.0, 0, torch.float32, "none", [], ""
    )
    return result


@cache
def _multiplies_bytes_exactly() -> bool:
    """Whether this torch has the convolution, on a processor without the saturating instructions of older ones."""
    q = torch.full((1, 64, 5, 5), 127.0).contiguous(memory_format=torch.channels_last)
    q[:, ::2] = -127.0
    weight = torch.full((16, 64, 3, 3), 127.0)
    weight[:, ::2] = -127.0
    try:
        found = _byte_sums(q, weight, [1, 1], [1, 1], [1, 1], 1)
    except (AttributeError, RuntimeError):
        return False
    return torch.equal(found, F.conv2d(q.double(), weight.double(), None, 1, 1).float())
