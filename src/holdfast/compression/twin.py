"""The training twin: the integer network as a differentiable torch module, equal to it bit for bit.

Every value is a tensor of integers and one real scale. Scales, weights, biases and the input's centre are parameters in
real units; each forward pass quantises them and then computes with integers under the law, so that what is trained is what
is shipped. Gradients pass straight through the roundings; a scale gets the gradient of a learnt step size, because it enters
where a value is made and where it is read. Scales are learnt as logarithms, so a step changes them by a share of themselves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from holdfast.compression.graph import (
    FloatAdd,
    FloatAvgPool,
    FloatClamp,
    FloatConcat,
    FloatConv,
    FloatFlatten,
    FloatInput,
    FloatLinear,
    FloatMaxPool,
    FloatPad,
    FloatSubsample,
)
from holdfast.compression.plan import RAW, Plan, Step
from holdfast.compression.product import sums
from holdfast.compression.straight_through import multipliers, requantise, round_clamped, rounded
from holdfast.errors import ConversionError
from holdfast.intnet import (
    Add,
    AvgPool,
    Concat,
    Conv,
    Flatten,
    Input,
    IntegerNetwork,
    Linear,
    MaxPool,
    Op,
    Pad,
    Requantise,
    Rescale,
    Residual,
    Subsample,
    quantise_ratio,
)
from holdfast.records import Preprocessing

__all__ = ["Twin", "Value"]

_BIAS_LIMIT, _SMALLEST_SCALE = 2.0**29, 1e-12
_FACTOR_LIMIT = 2.0**13
"""Of a residual's factors: how finely a weight of a channel that is almost dead is written, in steps of the residual. With
it sums stay below 2^22 or near, where engines are fastest; a step 8192 times as fine as what it is added to is fine enough."""


@dataclass(frozen=True, slots=True)
class Value:
    """Integers (as floats), and the real size of one step of them."""

    q: Tensor
    scale: Tensor


class Twin(nn.Module):
    """A plan with parameters.

    Args:
        plan: the steps.
        scales: initial real scale of each group, positive.
        preprocessing: the map from pixels to the float network's input.

    Guarantee:
        In evaluation mode, on the CPU, outside autocast, :meth:`logits` equals :meth:`integer_network`'s logits on every
        int16 image, exactly: tested, and checked at every conversion by
        :func:`~holdfast.compression.integer.require_equal`. Inside autocast gradients and the law are quicker and nearly
        exact (:mod:`holdfast.compression.product`).
    """

    def __init__(self, plan: Plan, scales: Sequence[float], preprocessing: Preprocessing) -> None:
        super().__init__()
        if any(not (math.isfinite(s) and s > 0) for s in scales):
            raise ConversionError(f"scales must be positive numbers, not {min(scales)} to {max(scales)}")
        self.plan = plan
        self.log_scales = nn.Parameter(torch.tensor(scales, dtype=torch.float64).log())
        mean, std = (torch.tensor(v, dtype=torch.float64) * 255 for v in (preprocessing.mean, preprocessing.std))
        self.center = nn.Parameter(mean / std)
        self.std_px: Tensor
        self.register_buffer("std_px", std)
        self.weights, self.biases = nn.ParameterDict(), nn.ParameterDict()
        for position, step in enumerate(plan.steps):
            if isinstance(step.node, FloatConv | FloatLinear):
                self.weights[str(position)] = nn.Parameter(step.node.weight.to(torch.float32).clone())
                self.biases[str(position)] = nn.Parameter(step.node.bias.to(torch.float32).clone())

    def forward(self, images: Tensor) -> Tensor:
        """Real logits (N, num_classes) of noisy pixels: integers as int16 or float, (N, C, H, W)."""
        last = self.values(images)[-1]
        return (last.q * last.scale).to(torch.float32)

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """Integer logits, int64 (N, num_classes)."""
        return self.values(images)[-1].q.round().to(torch.int64)

    def values(self, images: Tensor) -> list[Value]:
        """Every value, in order."""
        values: list[Value] = []
        for position, step in enumerate(self.plan.steps):
            values.append(self._value(position, step, values, images))
        return values

    def scale_of(self, group: int) -> Tensor:
        """The real scale of a group, float64."""
        return self.log_scales[group].exp()

    def _value(self, position: int, step: Step, values: list[Value], images: Tensor) -> Value:
        node = step.node
        if isinstance(node, FloatInput):
            return self._input(step, images)
        sources = [values[s] for s in step.sources]
        if isinstance(node, FloatConv | FloatLinear):
            return self._weighted(position, step, node, sources[0], values)
        if isinstance(node, FloatAdd):
            return self._add(step, *sources)
        if isinstance(node, FloatAvgPool):
            return self._average(step, node, sources[0])
        if isinstance(node, FloatClamp):
            return self._rescaled(step, sources[0].q, sources[0].scale.reshape(1))
        return Value(_moved(node, [s.q for s in sources]), sources[0].scale)

    # Steps: each computes its integers from the numbers that `integer_network` writes down.

    def _input(self, step: Step, images: Tensor) -> Value:
        scale, ratio = self._input_numbers(step)
        kind = torch.float64 if self._exact else next(iter(self.weights.values())).dtype
        q = requantise(images.to(kind), -self._center_px(), ratio, multipliers(ratio), *_ends(step, scale))
        return Value(q, scale)

    def _center_px(self) -> Tensor:
        """The integer centre of each channel; learnt in units of the channel's deviation, as the weights are."""
        return rounded(self.center * self.std_px)

    def _input_numbers(self, step: Step) -> tuple[Tensor, Tensor]:
        scale = self.scale_of(step.group)
        return scale, 1 / (self.std_px * scale)

    def _weighted(
        self, position: int, step: Step, node: FloatConv | FloatLinear, source: Value, values: list[Value]
    ) -> Value:
        other = None if step.residual is None else values[step.residual]
        weight, bias, factor, unit = self._weighted_numbers(
            position, step, source.scale, None if other is None else other.scale
        )
        accumulator = sums(node, source.q, weight, float64=self._exact)
        if step.group == RAW:
            along = (-1,) + (1,) * (accumulator.ndim - 2)
            total = accumulator.double() + bias.reshape(along)
            if other is not None and factor is not None:
                total = total + factor.reshape(along) * other.q
            return Value(total, unit[0])
        scale = self.scale_of(step.group)
        ratio = unit / scale
        ends = _ends(step, scale)
        residual = None if other is None else other.q
        return Value(requantise(accumulator, bias, ratio, multipliers(ratio), *ends, factor, residual), scale)

    def _weighted_numbers(
        self, position: int, step: Step, scale: Tensor, residual_scale: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
        """Integer weights, bias and residual factors, and the real size of one accumulator step."""
        weight, bias = (part[str(position)].double() for part in (self.weights, self.biases))
        with torch.no_grad():
            largest = weight.abs().flatten(1).amax(1) / 127
            floor = bias.abs() / (scale * _BIAS_LIMIT)
            if residual_scale is not None:
                floor = floor.maximum(residual_scale / (scale * _FACTOR_LIMIT))
            size = largest.maximum(floor).clamp_min(_SMALLEST_SCALE)
            if step.group == RAW:
                size = size.max().expand_as(size)
        unit = scale * size
        along = (-1,) + (1,) * (weight.ndim - 1)
        whole = rounded(weight / size.reshape(along))  # within [-127, 127], as size is no less than largest
        factor = None if residual_scale is None else rounded(residual_scale / unit)
        return whole, rounded(bias / unit), factor, unit

    def _add(self, step: Step, a: Value, b: Value) -> Value:
        scale = self.scale_of(step.group)
        ratios = [a.scale / scale, b.scale / scale]
        (m, n), shift = _common(*(float(r.detach()) for r in ratios))
        total = torch.zeros_like(a.q, dtype=torch.float64)
        for value, ratio, whole in zip((a, b), ratios, (m, n), strict=True):
            total = total + value.q * (ratio + (math.ldexp(whole, -shift) - ratio).detach())
        return Value(round_clamped(total, *_ends(step, scale)).to(a.q.dtype), scale)

    def _average(self, step: Step, node: FloatAvgPool, source: Value) -> Value:
        top, bottom, left, right = node.padding
        padded = F.pad(source.q, (left, right, top, bottom))
        total = F.avg_pool2d(padded, node.kernel, node.stride, divisor_override=1)
        unit = (source.scale / (node.kernel[0] * node.kernel[1])).reshape(1)
        if step.group == RAW:
            return Value(total, unit[0])
        return self._rescaled(step, total, unit)

    def _rescaled(self, step: Step, q: Tensor, unit: Tensor) -> Value:
        scale = self.scale_of(step.group)
        ratio = unit / scale
        zero = torch.zeros(1, dtype=torch.float64, device=q.device)
        return Value(requantise(q, zero, ratio, multipliers(ratio), *_ends(step, scale)), scale)

    @property
    def _exact(self) -> bool:
        """Whether sums must not rely on float32: on a GPU its kernels may reorder into inexact forms."""
        first = next(iter(self.weights.values()))
        return first.dtype == torch.float64 or (not self.training and first.device.type != "cpu")

    # Conversion

    @torch.no_grad()
    def integer_network(self) -> IntegerNetwork:
        """The integer network that this twin is.

        Raises:
            NetworkError: a channel's accumulator or product could leave its proved range.
        """
        scales: list[Tensor] = []
        operations: list[Op] = []
        for position, step in enumerate(self.plan.steps):
            operations.append(self._operation(position, step, scales))
        return IntegerNetwork(operations)

    def _operation(self, position: int, step: Step, scales: list[Tensor]) -> Op:
        """One operation; appends the real scale of its value."""
        node, name = step.node, step.node.name
        own = None if step.group == RAW else self.scale_of(step.group)
        if isinstance(node, FloatInput):
            scale, ratio = self._input_numbers(step)
            scales.append(scale)
            center = _integers(self._center_px(), np.int32)
            return Input(name, node.shape, center, _law(step, ratio, scale))
        given = [scales[s] for s in step.sources]
        if isinstance(node, FloatConv | FloatLinear):
            return self._weighted_operation(position, step, node, given[0], own, scales)
        scales.append(own if own is not None else given[0])
        if isinstance(node, FloatAdd):
            assert own is not None
            (m, n), shift = _common(float(given[0] / own), float(given[1] / own))
            return Add(name, (step.sources[0], step.sources[1]), (m, n), shift, *_ends(step, own))
        if isinstance(node, FloatAvgPool):
            unit = (given[0] / (node.kernel[0] * node.kernel[1])).reshape(1)
            law = None if own is None else _law(step, unit / own, own)
            return AvgPool(name, step.sources[0], node.kernel, node.stride, law, node.padding)
        if isinstance(node, FloatClamp):
            assert own is not None
            return Rescale(name, step.sources[0], _law(step, given[0].reshape(1) / own, own))
        return _moving_operation(step)

    def _weighted_operation(
        self,
        position: int,
        step: Step,
        node: FloatConv | FloatLinear,
        given: Tensor,
        own: Tensor | None,
        scales: list[Tensor],
    ) -> Op:
        other = None if step.residual is None else scales[step.residual]
        weight, bias, factor, unit = self._weighted_numbers(position, step, given, other)
        law = None if own is None else _law(step, unit / own, own)
        scales.append(unit[0] if own is None else own)
        residual = None
        if step.residual is not None and factor is not None:
            residual = Residual(step.residual, _integers(factor, np.int32))
        whole, start = _integers(weight, np.int8), _integers(bias, np.int32)
        if isinstance(node, FloatLinear):
            return Linear(node.name, step.sources[0], whole, start, law, residual)
        return Conv(
            node.name,
            step.sources[0],
            whole,
            start,
            law,
            node.stride,
            node.padding,
            node.dilation,
            node.groups,
            residual,
        )


def _moved(node: object, values: list[Tensor]) -> Tensor:
    """Operations that only move numbers."""
    value = values[0]
    if isinstance(node, FloatConcat):
        return torch.cat(values, 1)
    if isinstance(node, FloatFlatten):
        return value.flatten(1)
    if isinstance(node, FloatSubsample):
        return value[:, :, :: node.stride[0], :: node.stride[1]]
    if isinstance(node, FloatPad):
        sides = zip(reversed(node.before), reversed(node.after), strict=True)
        return F.pad(value, [n for pair in sides for n in pair])
    assert isinstance(node, FloatMaxPool)
    top, bottom, left, right = node.padding
    padded = F.pad(value, (left, right, top, bottom), value=-128.0)
    return F.max_pool2d(padded, node.kernel, node.stride, 0, node.dilation)


def _moving_operation(step: Step) -> Op:
    node, source = step.node, step.sources[0]
    if isinstance(node, FloatConcat):
        return Concat(node.name, step.sources)
    if isinstance(node, FloatFlatten):
        return Flatten(node.name, source)
    if isinstance(node, FloatSubsample):
        return Subsample(node.name, source, node.stride)
    if isinstance(node, FloatPad):
        return Pad(node.name, source, node.before, node.after)
    assert isinstance(node, FloatMaxPool)
    return MaxPool(node.name, source, node.kernel, node.stride, node.padding, node.dilation)


def _ends(step: Step, scale: Tensor) -> tuple[int, int]:
    """The clamp of a step in integers."""
    size = float(scale.detach())
    low, high = (max(-127.0, min(127.0, end / size)) for end in (step.low, step.high))
    return math.floor(low + 0.5), math.floor(high + 0.5)


def _law(step: Step, ratio: Tensor, scale: Tensor) -> Requantise:
    return Requantise(*multipliers(ratio), *_ends(step, scale))


def _common(first: float, second: float) -> tuple[tuple[int, int], int]:
    """Two multipliers with one shift, chosen by the larger factor."""
    _, shift = quantise_ratio(max(first, second))
    m, n = (math.floor(math.ldexp(ratio, shift) + 0.5) for ratio in (first, second))
    return (m, n), shift


def _integers(values: Tensor, kind: type[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(values.round().cpu().numpy().astype(kind))
