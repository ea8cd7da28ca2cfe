"""Initial scales: for each group of values, the step that represents what was seen with the least squared error."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from holdfast.compression.plan import RAW, Plan
from holdfast.errors import ConversionError

__all__ = ["best_scale", "initial_scales"]

_SAMPLES = 1 << 17
_CANDIDATES = 40


def initial_scales(plan: Plan, values: Iterable[tuple[int, Tensor]]) -> list[float]:
    """A scale for each group of a plan.

    Args:
        plan: the steps.
        values: position and value of every node of the float graph, on the calibration images.

    Raises:
        ConversionError: a value is zero on all of them, or not finite; it is named.
    """
    seen: list[list[Tensor]] = [[] for _ in range(plan.groups)]
    wanted = {step.value: step for step in plan.steps if step.group != RAW}
    for position, value in values:
        if position in wanted:
            step = wanted[position]
            _require_signal(step.node.name, value)
            seen[step.group].append(_thinned(value))
    return [best_scale(torch.cat(parts)) for parts in seen]


def best_scale(values: Tensor) -> float:
    """The step size, of 40 that clip at 1/40 to 40/40 of the largest magnitude, with the least mean squared error.

    Args:
        values: any shape, finite, not all zero.

    Example:
        >>> round(best_scale(torch.linspace(-1, 1, 1001)) * 127, 3)
        1.0
    """
    largest = float(values.abs().max())
    values = _thinned(values)
    errors = []
    for k in range(1, _CANDIDATES + 1):
        step = largest * k / _CANDIDATES / 127
        clipped = torch.floor(values / step + 0.5).clamp_(-127, 127)
        errors.append(float((clipped * step - values).square().mean()))
    best = min(range(_CANDIDATES), key=errors.__getitem__)
    return largest * (best + 1) / _CANDIDATES / 127


def _thinned(values: Tensor) -> Tensor:
    """At most about 2^17 of the values, evenly chosen, and the two largest magnitudes."""
    values = values.flatten().double()
    ends = torch.stack([values.min(), values.max()])
    return torch.cat([values[:: max(1, values.numel() // _SAMPLES)], ends])


def _require_signal(name: str, value: Tensor) -> None:
    if not bool(torch.isfinite(value).all()):
        raise ConversionError(f"{name}: NaN or infinite values on the calibration images")
    if not bool(value.any()):
        raise ConversionError(
            f"{name}: zero on every calibration image, so it has no scale; calibrate on images like those of the data "
            "set, or remove what is dead"
        )
