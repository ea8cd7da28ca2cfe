"""Operations on single elements: sums of two values, affine maps per channel, batch norms, clamps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import inf
from typing import Any

import torch
from torch import Tensor

from holdfast.compression.aten.step import BATCH, Step, Value
from holdfast.compression.graph import FloatAdd, FloatAffine, FloatClamp

__all__ = ["ELEMENTWISE"]


def _add(step: Step, sign: int = 1) -> Value:
    """``self + sign * alpha * other``, where one of the two may be a constant."""
    first, second, factor = step["self"], step["other"], sign * step["alpha"]
    if not isinstance(second, Value):
        return _affine(step, step.value("self"), 1.0, _product(second, factor))
    if not isinstance(first, Value):
        return _affine(step, second, factor, first)
    if first.shape != second.shape:
        raise step.refuse(
            f"it adds values of the shapes {list(first.shape)} and {list(second.shape)} per image",
            "bring both to one shape first",
        )
    second = second if factor == 1 else _affine(step, second, factor, 0.0)
    return step.emit(FloatAdd(step.name, (step.whole(first), step.whole(second))))


def _rsub(step: Step) -> Value:
    if isinstance(step["other"], Value):
        raise step.refuse("a difference of two values in this form", "write a - b")
    return _affine(step, step.value("self"), -step["alpha"], step["other"])


def _neg(step: Step) -> Value:
    return _affine(step, step.value("self"), -1.0, 0.0)


def _mul(step: Step) -> Value:
    first, second = step["self"], step["other"]
    if isinstance(first, Value) and isinstance(second, Value):
        raise step.refuse(
            "it multiplies two values that both depend on the image",
            "only products with constants have an integer form; leave out gates, attention and squeeze-and-excitation",
        )
    value, factor = (first, second) if isinstance(first, Value) else (second, first)
    return _affine(step, value, factor, 0.0)


def _div(step: Step) -> Value:
    divisor = step["other"]
    if isinstance(divisor, Value) or step.arguments.get("rounding_mode") is not None:
        raise step.refuse("it divides by a value, or rounds the quotient", "divide by constants, without rounding")
    return _affine(step, step.value("self"), 1 / torch.as_tensor(divisor, dtype=torch.float64), 0.0)


def _batch_norm(step: Step) -> Value:
    mean, variance = step.weight("running_mean"), step.weight("running_var")
    weight, bias = step.constant("weight"), step.constant("bias")
    scale = (variance + step["eps"]).rsqrt()
    scale = scale if weight is None else scale * weight
    shift = -mean * scale if bias is None else bias - mean * scale
    value = step.value("input")
    return step.emit(FloatAffine(step.name, step.whole(value), scale, shift), value.shape)


def _affine(step: Step, value: Value, scale: Any, shift: Any) -> Value:
    """``scale * value + shift`` with constants that are the same in all places of a channel."""
    factor, addend = (_per_channel(step, value, constant) for constant in (scale, shift))
    return step.emit(FloatAffine(step.name, step.whole(value), factor, addend), value.shape)


def _per_channel(step: Step, value: Value, constant: Any) -> Tensor:
    tensor = torch.as_tensor(constant, dtype=torch.float64)
    if not bool(torch.isfinite(tensor).all()):
        raise step.refuse(
            "its constant has NaN or infinite elements", "look for a division by zero or memory that was never written"
        )
    whole = (BATCH, *value.shape)
    fits = all(size in (1, room) for size, room in zip(reversed(tensor.shape), reversed(whole), strict=False))
    if tensor.ndim > len(whole) or not fits:
        raise step.refuse(f"a constant of shape {list(tensor.shape)} enlarges the value", "give it the value's shape")
    full = tensor.expand(whole).reshape(BATCH, value.shape[0], -1)
    channels = full[0, :, 0]
    if not torch.equal(full, channels[None, :, None].expand(full.shape)):
        raise step.refuse(
            "its constant differs between places of one channel", "only one number per channel has an integer form"
        )
    return channels.clone()


def _product(constant: Any, factor: float) -> Any:
    return constant.double() * factor if isinstance(constant, Tensor) else constant * factor


def _relu(step: Step) -> Value:
    return _clamped(step, step.value("self"), 0.0, inf)


def _hardtanh(step: Step) -> Value:
    return _clamped(step, step.value("self"), float(step["min_val"]), float(step["max_val"]))


def _clamp(step: Step) -> Value:
    low, high = (_number(step, step.arguments.get(key)) for key in ("min", "max"))
    return _clamped(step, step.value("self"), -inf if low is None else low, inf if high is None else high)


def _relu6(step: Step) -> Value:
    return _clamped(step, step.value("self"), 0.0, 6.0)


def _extremum(step: Step, of: str) -> Value:
    """``maximum`` or ``minimum`` with a constant number."""
    first, second = step["self"], step.arguments.get("other")
    value, constant = (second, first) if isinstance(second, Value) else (first, second)
    limit = _number(step, constant)
    if limit is None:
        raise step.refuse(f"the {of} over dimensions", "use a pool, or amax over rows and columns")
    return _clamped(step, value, limit, inf) if of == "maximum" else _clamped(step, value, -inf, limit)


def _clamped(step: Step, value: Value, low: float, high: float) -> Value:
    return step.emit(FloatClamp(step.name, step.whole(value), low, high), value.shape)


def _number(step: Step, limit: Any) -> float | None:
    if isinstance(limit, Value) or (isinstance(limit, Tensor) and limit.numel() != 1):
        raise step.refuse("its limit is not one constant number", "clamp to numbers")
    return None if limit is None else float(limit)


ELEMENTWISE: Mapping[str, Callable[[Step], Value]] = {
    "_native_batch_norm_legit_no_training": _batch_norm,
    "add": _add,
    **dict.fromkeys(("sub", "subtract"), partial(_add, sign=-1)),
    "rsub": _rsub,
    **dict.fromkeys(("neg", "negative"), _neg),
    **dict.fromkeys(("mul", "multiply"), _mul),
    **dict.fromkeys(("div", "divide", "true_divide"), _div),
    "relu": _relu,
    "relu6": _relu6,
    "hardtanh": _hardtanh,
    **dict.fromkeys(("clamp", "clamp_max", "clamp_min", "clip"), _clamp),
    **dict.fromkeys(("max", "maximum"), partial(_extremum, of="maximum")),
    **dict.fromkeys(("min", "minimum"), partial(_extremum, of="minimum")),
}
"""What translates an operation, by its name."""
