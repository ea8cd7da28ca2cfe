"""Float graphs written by hand, for tests that need no exporter."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from holdfast.compression.evaluate import each_value
from holdfast.compression.graph import (
    FloatAdd,
    FloatAffine,
    FloatAvgPool,
    FloatClamp,
    FloatConcat,
    FloatConv,
    FloatFlatten,
    FloatGraph,
    FloatInput,
    FloatLinear,
    FloatMaxPool,
    FloatNode,
    FloatPad,
    FloatSubsample,
)

NONE = (0, 0, 0, 0)


class Graph:
    """Nodes so far; every method adds one and returns its position. Names are given, weights are random or given."""

    def __init__(self, channels: int = 2, height: int = 4, width: int = 4, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[FloatNode] = [FloatInput("input", (channels, height, width))]

    def add(self, node: FloatNode) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1

    def tensor(self, *shape: int) -> Tensor:
        return torch.tensor(self.random.normal(0, 1, shape))

    def conv(self, name: str, source: int, weight: Tensor, bias: Tensor | None = None, **more: Any) -> int:
        bias = self.tensor(len(weight)) if bias is None else bias
        settings = {"stride": (1, 1), "padding": NONE, "dilation": (1, 1), "groups": 1} | more
        return self.add(FloatConv(name, source, weight, bias, **settings))

    def linear(self, name: str, source: int, weight: Tensor, bias: Tensor | None = None) -> int:
        return self.add(FloatLinear(name, source, weight, self.tensor(len(weight)) if bias is None else bias))

    def relu(self, name: str, source: int, high: float = math.inf) -> int:
        return self.clamp(name, source, 0.0, high)

    def clamp(self, name: str, source: int, low: float, high: float) -> int:
        return self.add(FloatClamp(name, source, low, high))

    def affine(self, name: str, source: int, scale: Tensor, shift: Tensor) -> int:
        return self.add(FloatAffine(name, source, scale, shift))

    def plus(self, name: str, a: int, b: int) -> int:
        return self.add(FloatAdd(name, (a, b)))

    def concat(self, name: str, *sources: int) -> int:
        return self.add(FloatConcat(name, sources))

    def flatten(self, name: str, source: int) -> int:
        return self.add(FloatFlatten(name, source))

    def max_pool(self, name: str, source: int) -> int:
        return self.add(FloatMaxPool(name, source, (2, 2), (1, 1), NONE, (1, 1)))

    def average(self, name: str, source: int, side: int) -> int:
        return self.add(FloatAvgPool(name, source, (side, side), (side, side), NONE))

    def pad(self, name: str, source: int) -> int:
        return self.add(FloatPad(name, source, (0, 1, 1), (0, 1, 1)))

    def subsample(self, name: str, source: int) -> int:
        return self.add(FloatSubsample(name, source, (2, 2)))

    def graph(self) -> FloatGraph:
        """The graph, with the shapes that its nodes really give."""
        first = self.nodes[0]
        assert isinstance(first, FloatInput)
        kept = FloatGraph(tuple(self.nodes), tuple(first.shape for _ in self.nodes))
        values = each_value(kept, torch.zeros(1, *first.shape, dtype=torch.float64))
        return FloatGraph(kept.nodes, tuple(tuple(value.shape[1:]) for _, value in values))


def graph_of(write: Callable[[Graph], Any], **settings: int) -> FloatGraph:
    """The graph that a function writes."""
    graph = Graph(**settings)
    write(graph)
    return graph.graph()
