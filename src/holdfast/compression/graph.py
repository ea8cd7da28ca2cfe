"""A float network as a short list of plain operations: what the front end gives and the quantiser takes.

Node ``i`` gives value ``i`` and reads earlier ones. Node 0 is the input, the preprocessed image. Parameters are float64
tensors on the CPU. Everything that means nothing at inference (dropout, identity, detach) is gone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor

__all__ = [
    "FloatAdd",
    "FloatAffine",
    "FloatAvgPool",
    "FloatClamp",
    "FloatConcat",
    "FloatConv",
    "FloatFlatten",
    "FloatGraph",
    "FloatInput",
    "FloatLinear",
    "FloatMaxPool",
    "FloatNode",
    "FloatPad",
    "FloatSubsample",
    "sources_of",
]

Padding = tuple[int, int, int, int]
"""Zeros at (top, bottom, left, right)."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class FloatInput:
    """The preprocessed image, (C, H, W)."""

    name: str
    shape: tuple[int, int, int]


@final
@dataclass(frozen=True, slots=True, eq=False)
class FloatConv:
    """2-d convolution: weight (O, I / groups, kH, kW), bias (O,)."""

    name: str
    source: int
    weight: Tensor
    bias: Tensor
    stride: tuple[int, int]
    padding: Padding
    dilation: tuple[int, int]
    groups: int


@final
@dataclass(frozen=True, slots=True, eq=False)
class FloatLinear:
    """Matrix product of a flat value: weight (O, F), bias (O,)."""

    name: str
    source: int
    weight: Tensor
    bias: Tensor


@final
@dataclass(frozen=True, slots=True, eq=False)
class FloatAffine:
    """``y = x * scale[c] + shift[c]`` per channel: a batch norm at inference, or a multiplication by a constant."""

    name: str
    source: int
    scale: Tensor
    shift: Tensor


@final
@dataclass(frozen=True, slots=True, eq=False)
class FloatClamp:
    """``min(max(x, low), high)``: ReLU is (0, inf), ReLU6 (0, 6), hardtanh (-1, 1)."""

    name: str
    source: int
    low: float
    high: float


@final
@dataclass(frozen=True, slots=True, eq=False)
class FloatAdd:
    """Sum of two values of one shape."""

    name: str
    sources: tuple[int, int]


@final
@dataclass(frozen=True, slots=True, eq=False)
class FloatMaxPool:
    """Largest value under a window; padded places never win."""

    name: str
    source: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding
    dilation: tuple[int, int]


@final
@dataclass(frozen=True, slots=True, eq=False)
class FloatAvgPool:
    """Mean under a window of ``kernel`` places, padded places counting as zeros."""

    name: str
    source: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: Padding


@final
@dataclass(frozen=True, slots=True, eq=False)
class FloatConcat:
    """Channels of several values, one after the other."""

    name: str
    sources: tuple[int, ...]


@final
@dataclass(frozen=True, slots=True, eq=False)
class FloatFlatten:
    """(C, H, W) to (C * H * W,)."""

    name: str
    source: int


@final
@dataclass(frozen=True, slots=True, eq=False)
class FloatPad:
    """Zeros before and after, each (channels, rows, columns)."""

    name: str
    source: int
    before: tuple[int, int, int]
    after: tuple[int, int, int]


@final
@dataclass(frozen=True, slots=True, eq=False)
class FloatSubsample:
    """Every ``stride``-th row and column, from the first."""

    name: str
    source: int
    stride: tuple[int, int]


FloatNode = (
    FloatInput
    | FloatConv
    | FloatLinear
    | FloatAffine
    | FloatClamp
    | FloatAdd
    | FloatMaxPool
    | FloatAvgPool
    | FloatConcat
    | FloatFlatten
    | FloatPad
    | FloatSubsample
)


@final
@dataclass(frozen=True, slots=True)
class FloatGraph:
    """Nodes in order, with the shape (C, H, W) or (F,) of each value; the last one holds the logits, (num_classes,)."""

    nodes: tuple[FloatNode, ...]
    shapes: tuple[tuple[int, ...], ...]


def sources_of(node: FloatNode) -> tuple[int, ...]:
    """Positions of the values that a node reads."""
    if isinstance(node, FloatInput):
        return ()
    if isinstance(node, FloatAdd | FloatConcat):
        return node.sources
    return (node.source,)
