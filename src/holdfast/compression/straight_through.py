"""Rounding with a gradient: the forward value is the law's, the backward pass treats rounding as the identity."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from holdfast.compression.product import quick_gradients
from holdfast.intnet import quantise_ratio

__all__ = ["Multipliers", "multipliers", "requantise", "round_clamped", "rounded"]

Multipliers = tuple[NDArray[np.int32], NDArray[np.uint8]]
"""Multipliers and shifts, one per channel."""
_LARGEST_RATIO = 2.0**20


def multipliers(ratios: Tensor) -> Multipliers:
    """The law's multiplier and shift of each positive real factor.

    A factor above 2^20, which the law cannot write down, is cut to that: either way every accumulator but 0 saturates.
    """
    pairs = [quantise_ratio(min(ratio, _LARGEST_RATIO)) for ratio in ratios.detach().reshape(-1).tolist()]
    return np.array([m for m, _ in pairs], np.int32), np.array([s for _, s in pairs], np.uint8)


def rounded(values: Tensor) -> Tensor:
    """``floor(v + 1/2)``, half up as the law rounds; gradient 1.

    Example:
        >>> rounded(torch.tensor([-1.5, -0.5, 0.5, 1.5])).tolist()
        [-1.0, 0.0, 1.0, 2.0]
    """
    return values + (torch.floor(values + 0.5) - values).detach()


def round_clamped(values: Tensor, low: int, high: int) -> Tensor:
    """Rounded half up, then clamped; gradient 1 strictly between the clamps and 0 elsewhere."""
    result: Tensor = _RoundClamped.apply(values, low, high)  # type: ignore[no-untyped-call]
    return result


def requantise(
    accumulator: Tensor,
    bias: Tensor,
    ratio: Tensor,
    law: Multipliers,
    low: int,
    high: int,
    factor: Tensor | None = None,
    residual: Tensor | None = None,
) -> Tensor:
    """The law on ``accumulator + bias + factor * residual``, with the gradient of ``total * ratio``.

    The gradient is zero where the result is at a clamp.

    Args:
        accumulator: integers, (N, channels, ...), float32 or float64, exact.
        bias: integers, float64, (channels,).
        ratio: the real factors, float64, (channels,) or (1,): what the gradient sees.
        law: the integer form of ``ratio``: what the forward pass uses.
        low, high: clamps.
        factor: integers, float64, (channels,).
        residual: integers, shape of ``accumulator``.

    Returns:
        Integers in [low, high], dtype of ``accumulator``. Computed in float64, exactly, under the bounds that
        :mod:`holdfast.intnet.ranges` proves; in float32 where :func:`~holdfast.compression.product.quick_gradients`
        allows, for training only: a result may then be off by one next to a tie.
    """
    scaled = torch.from_numpy(np.ldexp(law[0].astype(np.float64), -law[1].astype(np.int64))).to(ratio.device)
    result: Tensor = _Requantise.apply(  # type: ignore[no-untyped-call]
        accumulator, bias, ratio, scaled, low, high, factor, residual
    )
    return result


class _RoundClamped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, low: int, high: int) -> Tensor:
        result = values.add(0.5).floor_().clamp_(low, high)
        ctx.save_for_backward(result)
        ctx.ends = low, high
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (result,) = ctx.saved_tensors
        return _inside(gradients[0], result, ctx.ends), None, None


class _Requantise(torch.autograd.Function):
    """One pass over memory for each line: this is where the time goes."""

    @staticmethod
    def forward(
        ctx: Any,
        accumulator: Tensor,
        bias: Tensor,
        ratio: Tensor,
        scaled: Tensor,
        low: int,
        high: int,
        factor: Tensor | None,
        residual: Tensor | None,
    ) -> Tensor:
        along = (-1,) + (1,) * (accumulator.ndim - 2)
        kind = torch.float32 if quick_gradients(accumulator) else torch.float64
        total = accumulator
        if factor is not None and residual is not None:
            total = torch.addcmul(accumulator.to(kind), residual, factor.to(kind).reshape(along))
        offset = bias * scaled + 0.5  # in float64 exact, as every sum below: the numerators stay within 2^53
        result = total.to(kind).mul(scaled.to(kind).reshape(along)).add_(offset.to(kind).reshape(along)).floor_()
        result = result.clamp_(low, high).to(accumulator.dtype)
        learnt = total.to(accumulator.dtype) if ctx.needs_input_grad[2] else None
        ctx.save_for_backward(result, learnt, bias, ratio, factor, residual)
        ctx.ends = low, high
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        result, total, bias, ratio, factor, residual = ctx.saved_tensors
        gradient = _inside(gradients[0], result, ctx.ends)
        along = (-1,) + (1,) * (gradient.ndim - 2)
        others = (0, *range(2, gradient.ndim))
        through = gradient * ratio.to(gradient.dtype).reshape(along)
        sums = gradient.sum(others).double()
        by_ratio = by_factor = by_residual = None
        if total is not None:
            by_ratio = _like(ratio, (gradient * total).sum(others).double() + sums * bias)
        if factor is not None:
            by_factor = (through * residual).sum(others).double()
            by_residual = through * factor.to(gradient.dtype).reshape(along)
        return through, sums * ratio, by_ratio, None, None, None, by_factor, by_residual


def _inside(gradient: Tensor, result: Tensor, ends: tuple[int, int]) -> Tensor:
    """The gradient where the result lies strictly between the clamps, zero elsewhere."""
    passed: Tensor = torch.ops.aten.hardtanh_backward(gradient, result, *ends)
    return passed


def _like(ratio: Tensor, per_channel: Tensor) -> Tensor:
    """Per-channel gradients for a factor per channel, or their sum for one factor."""
    return per_channel if len(ratio) == len(per_channel) else per_channel.sum().reshape(1)
