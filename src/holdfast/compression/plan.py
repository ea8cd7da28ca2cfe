"""Which float operations become one integer operation, and which values share a scale. Decided here and nowhere else.

A clamp belongs to the operation before it. A sum belongs to the convolution or matrix product before it, whose other
summand becomes a residual of the accumulator. The last operation before the logits stays raw. Values that meet in a
concat share one scale, and so do the two sides of an operation that only moves numbers (max pool, flatten, pad, subsample).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import final

import torch

from holdfast.compression.graph import (
    FloatAdd,
    FloatAffine,
    FloatAvgPool,
    FloatClamp,
    FloatConcat,
    FloatConv,
    FloatFlatten,
    FloatGraph,
    FloatLinear,
    FloatMaxPool,
    FloatNode,
    FloatPad,
    FloatSubsample,
    sources_of,
)
from holdfast.errors import ConversionError

__all__ = ["RAW", "Plan", "Step", "make_plan"]

RAW = -1
"""The scale group of raw accumulators: none."""
_WIDEST_DIAGONAL = 4096


@final
@dataclass(frozen=True, slots=True)
class Step:
    """One integer operation to be.

    Attributes:
        node: the operation; a :class:`FloatClamp` that belongs to no operation becomes a rescaling.
        sources: positions of the steps it reads.
        residual: position of the step whose value enters the accumulator, if any.
        low, high: clamp on the real result.
        group: which scale the result has, or :data:`RAW`.
        value: the node of the float graph whose value this step gives.
    """

    node: FloatNode
    sources: tuple[int, ...]
    residual: int | None
    low: float
    high: float
    group: int
    value: int


@final
@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in order, and the number of scale groups."""

    steps: tuple[Step, ...]
    groups: int


def make_plan(graph: FloatGraph) -> Plan:
    """Decide on fusing and on shared scales.

    Raises:
        ConversionError: there is nothing to quantise, or a per-channel factor on a flat value is too wide.
    """
    nodes = [_without_affine(node, graph.shapes[i]) for i, node in enumerate(graph.nodes)]
    if not any(isinstance(node, FloatConv | FloatLinear) for node in nodes):
        raise ConversionError("nothing to quantise: the network has no convolution and no matrix product")
    fused = _Fusing(nodes)
    steps = fused.steps()
    return _with_groups(steps, nodes)


def _without_affine(node: FloatNode, shape: tuple[int, ...]) -> FloatNode:
    """A factor and shift per channel that nothing has absorbed is a depthwise convolution, or a diagonal matrix."""
    if not isinstance(node, FloatAffine):
        return node
    channels = shape[0]
    scale, shift = node.scale.expand(channels), node.shift.expand(channels)
    if len(shape) == 3:
        weight = scale.reshape(channels, 1, 1, 1)
        return FloatConv(node.name, node.source, weight, shift, (1, 1), (0, 0, 0, 0), (1, 1), channels)
    if channels > _WIDEST_DIAGONAL:
        raise ConversionError(
            f"{node.name}: a factor per feature of a flat value of {channels} numbers; put it before the flattening"
        )
    return FloatLinear(node.name, node.source, torch.diag(scale), shift)


class _Fusing:
    """Walks the nodes once; knows who reads what."""

    def __init__(self, nodes: list[FloatNode]) -> None:
        self.nodes = nodes
        self.readers: list[list[int]] = [[] for _ in nodes]
        for position, node in enumerate(nodes):
            for source in sources_of(node):
                self.readers[source].append(position)
        self.accumulators = self._accumulators()

    def _accumulators(self) -> dict[int, int]:
        """For each sum that is fused: the convolution or matrix product whose accumulator it enters."""
        chosen = {}
        for position, node in enumerate(self.nodes):
            if isinstance(node, FloatAdd) and node.sources[0] != node.sources[1]:
                able = [s for s in node.sources if self._can_take(s)]
                if able:
                    chosen[position] = max(able, key=self._weights)
        return chosen

    def _can_take(self, position: int) -> bool:
        return isinstance(self.nodes[position], FloatConv | FloatLinear) and len(self.readers[position]) == 1

    def _weights(self, position: int) -> int:
        node = self.nodes[position]
        assert isinstance(node, FloatConv | FloatLinear)
        return node.weight.numel()

    def steps(self) -> list[Step]:
        """All steps, scale groups not yet decided."""
        delayed = set(self.accumulators.values())
        at: dict[int, int] = {}  # node -> step
        steps: list[Step] = []
        for position, node in enumerate(self.nodes):
            if position in at or position in delayed:
                continue
            low, high, value = self._clamped(position)
            residual = None
            sources = sources_of(node)
            if position in self.accumulators:
                main = self.accumulators[position]
                node = self.nodes[main]
                residual = at[next(s for s in sources if s != main)]
                sources = sources_of(node)
            step = Step(node, tuple(at[s] for s in sources), residual, low, high, RAW, value)
            for covered in self._covered(position, value):
                at[covered] = len(steps)
            steps.append(step)
        return steps

    def _clamped(self, position: int) -> tuple[float, float, int]:
        """The clamp that belongs to an operation (all of them, one after the other), and the last node it covers."""
        low, high = -math.inf, math.inf
        node = self.nodes[position]
        if isinstance(node, FloatClamp):
            low, high = node.low, node.high
        elif not isinstance(node, FloatConv | FloatLinear | FloatAdd | FloatAvgPool):
            return low, high, position
        while len(self.readers[position]) == 1:
            reader = self.readers[position][0]
            following = self.nodes[reader]
            if not isinstance(following, FloatClamp):
                break
            low, high = (min(max(end, following.low), following.high) for end in (low, high))
            position = reader
        return low, high, position

    def _covered(self, position: int, last: int) -> list[int]:
        """The nodes from an operation to the last clamp that belongs to it."""
        covered = [position]
        while covered[-1] != last:
            covered.append(self.readers[covered[-1]][0])
        return covered


def _with_groups(steps: list[Step], nodes: list[FloatNode]) -> Plan:
    """Give every value a scale group; the logits none."""
    raw = _raw_positions(steps)
    parent = list(range(len(steps)))

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    for position, step in enumerate(steps):
        if isinstance(step.node, FloatMaxPool | FloatFlatten | FloatPad | FloatSubsample | FloatConcat):
            for source in step.sources:
                parent[root(source)] = root(position)
    numbers: dict[int, int] = {}
    grouped = []
    for position, step in enumerate(steps):
        group = RAW if position in raw else numbers.setdefault(root(position), len(numbers))
        grouped.append(replace(step, group=group))
    return Plan(tuple(grouped), len(numbers))


def _raw_positions(steps: list[Step]) -> set[int]:
    """The last operation with an accumulator, and the flattenings after it, when nothing else comes in between."""
    raw, position = set(), len(steps) - 1
    while isinstance(steps[position].node, FloatFlatten):
        raw.add(position)
        position = steps[position].sources[0]
    last = steps[position]
    clamped = math.isfinite(last.low) or math.isfinite(last.high)
    read_elsewhere = sum((position in s.sources) + (s.residual == position) for s in steps) > 1
    if not isinstance(last.node, FloatConv | FloatLinear | FloatAvgPool) or clamped or read_elsewhere:
        return set()
    return raw | {position}
