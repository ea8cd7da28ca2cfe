"""Operations that only move elements: reshapes, subsampling, zeros around or beside a value, concatenation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from holdfast.compression.aten.step import Step, Value
from holdfast.compression.graph import FloatAffine, FloatConcat, FloatPad, FloatSubsample

__all__ = ["LAYOUT"]


def _unchanged(step: Step) -> Value:
    return step.value("self")


def _reshape(step: Step) -> Value:
    """Any reshape that keeps the batch first keeps each image's elements in their order."""
    return Value(step.value("self").position, step.shape)


def _expand(step: Step) -> Value:
    if step.shape != step.value("self").shape:
        raise step.refuse(f"it repeats values, to {list(step.shape)} per image", "add values of equal shapes only")
    return step.value("self")


def _slice(step: Step) -> Value:
    value = step.value("self")
    axis = step["dim"] % (1 + len(value.shape)) - 1
    start, end, stride = step["start"] or 0, step["end"], step["step"]
    size = value.shape[axis] if axis >= 0 else 0
    if axis < 0 or start != 0 or (end is not None and end < size) or (stride != 1 and axis == 0):
        raise step.refuse(
            f"it takes a part of dimension {axis + 1}",
            "only every n-th row and column, from the first to the last, has an integer form (x[:, :, ::2, ::2])",
        )
    source, _ = step.image("self")
    return step.emit(FloatSubsample(step.name, source, (stride if axis == 1 else 1, stride if axis == 2 else 1)))


def _pad(step: Step) -> Value:
    mode, fill = step.arguments.get("mode", "constant"), step.arguments.get("value") or 0
    widths = [int(width) for width in step["pad"]]
    if mode != "constant" or fill != 0:
        raise step.refuse(f"it pads with {fill if mode == 'constant' else mode}", "pad with zeros")
    if min(widths) < 0 or any(widths[6:]):
        raise step.refuse(f"the widths {widths} crop, or pad the batch", "only add rows, columns or channels")
    source, _ = step.image("self")
    widths = (widths + [0] * 6)[:6]
    return step.emit(FloatPad(step.name, source, _channels_first(widths[0::2]), _channels_first(widths[1::2])))


def _channels_first(widths: Sequence[int]) -> tuple[int, int, int]:
    return widths[2], widths[1], widths[0]


def _cat(step: Step) -> Value:
    """Concatenation over channels; constant zeros before the first and after the last value are padding."""
    parts: list[Any] = list(step["tensors"])
    axis = step.arguments.get("dim", 1)
    if axis % (1 + len(step.shape)) != 1:
        raise step.refuse(f"it concatenates along dimension {axis}", "only channels can be concatenated")
    zeros = [_is_zero(step, part) for part in parts]
    first, last = zeros.index(False), len(zeros) - zeros[::-1].index(False)
    if any(zeros[first:last]):
        raise step.refuse("constant zeros stand between values", "put them before or after all values")
    sources = tuple(step.whole(part) for part in parts[first:last])
    if len(step.shape) == 2 or (len(step.shape) == 1 and len(sources) < len(parts)):
        raise step.refuse(f"it concatenates to {list(step.shape)} per image", "concatenate images (N, C, H, W)")
    before, after = (sum(_channels(part) for part in side) for side in (parts[:first], parts[last:]))
    shape = (step.shape[0] - before - after, *step.shape[1:])
    value = Value(sources[0], shape)
    if len(sources) > 1:
        value = step.emit(FloatConcat(step.name, sources), shape)
    return step.emit(FloatPad(step.name, value.position, (before, 0, 0), (after, 0, 0))) if before or after else value


def _is_zero(step: Step, part: Any) -> bool:
    """Whether a part is constant zeros, a value multiplied by zero included; other constants are refused."""
    if isinstance(part, Value):
        node = step.builder.nodes[part.position]
        return isinstance(node, FloatAffine) and not node.scale.any() and not node.shift.any()
    assert isinstance(part, Tensor)
    if torch.count_nonzero(part):
        raise step.refuse("it appends constants that are not zero", "only zeros can be appended")
    return True


def _channels(part: Any) -> int:
    return part.shape[0] if isinstance(part, Value) else int(part.shape[1])


LAYOUT: Mapping[str, Callable[[Step], Value]] = {
    **dict.fromkeys(("_to_copy", "alias", "clone", "contiguous", "detach", "to", "type_as"), _unchanged),
    **dict.fromkeys(("_unsafe_view", "flatten", "reshape", "squeeze", "unsqueeze", "view"), _reshape),
    **dict.fromkeys(("cat", "concat", "concatenate", "hstack"), _cat),
    "constant_pad_nd": _pad,
    "expand": _expand,
    "pad": _pad,
    "slice": _slice,
}
"""What translates an operation, by its name."""
