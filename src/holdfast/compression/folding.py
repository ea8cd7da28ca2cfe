"""Fewer nodes for the same function: affine maps into the weights before them, zeros into the window that reads them.

Every node that remains costs a rounding once the network is integer, so this comes before quantisation.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from torch import Tensor

from holdfast.compression.graph import (
    FloatAdd,
    FloatAffine,
    FloatAvgPool,
    FloatConcat,
    FloatConv,
    FloatGraph,
    FloatInput,
    FloatLinear,
    FloatNode,
    FloatPad,
    FloatSubsample,
    sources_of,
)

__all__ = ["fold", "without_dead_nodes"]


def fold(graph: FloatGraph) -> FloatGraph:
    """The same function with fewer nodes.

    - An affine map that is the only reader of a convolution, a linear layer or another affine map becomes part of it:
      a batch norm ``s * (W x + b) + t`` is ``(s W) x + (s b + t)``.
    - Rows and columns of zeros become the padding of each convolution or average pool that reads them.
    - Two subsamplings in a row become one, with the product of the strides.

    Args:
        graph: any float graph.

    Returns:
        A graph without dead nodes that gives the same logits up to float rounding. Each node has a name of its own: the
        second of one name, as from a layer that is used twice, ends in ``#2``.
    """
    readers = Counter(source for node in graph.nodes for source in sources_of(node))
    nodes: list[FloatNode] = []
    kept: list[int] = []
    place: list[int] = []
    for position, original in enumerate(graph.nodes):
        alone = all(readers[source] == 1 for source in sources_of(original))
        node = _reading(original, place)
        merged = _merged(nodes[node.source], node) if alone and isinstance(node, FloatAffine) else None
        if merged is None:
            place.append(len(nodes))
            kept.append(position)
            nodes.append(_past_source(nodes, node))
        else:
            place.append(sources_of(node)[0])
            nodes[place[-1]] = merged
    return _named(without_dead_nodes(FloatGraph(tuple(nodes), tuple(graph.shapes[position] for position in kept))))


def without_dead_nodes(graph: FloatGraph) -> FloatGraph:
    """The graph without nodes that the logits do not depend on; the input stays."""
    live = {0, len(graph.nodes) - 1}
    for position in range(len(graph.nodes) - 1, 0, -1):
        if position in live:
            live.update(sources_of(graph.nodes[position]))
    kept = sorted(live)
    place = {old: new for new, old in enumerate(kept)}
    nodes = tuple(_reading(graph.nodes[old], place) for old in kept)
    return FloatGraph(nodes, tuple(graph.shapes[old] for old in kept))


def _reading(node: FloatNode, place: list[int] | dict[int, int]) -> FloatNode:
    """The node with its sources moved to their new places."""
    if isinstance(node, FloatInput):
        return node
    if isinstance(node, FloatAdd):
        return replace(node, sources=(place[node.sources[0]], place[node.sources[1]]))
    if isinstance(node, FloatConcat):
        return replace(node, sources=tuple(place[source] for source in node.sources))
    return replace(node, source=place[node.source])


def _merged(before: FloatNode, affine: FloatAffine) -> FloatNode | None:
    """``before`` followed by ``affine`` as one node, if there is such a node."""
    scale, shift = affine.scale, affine.shift
    if isinstance(before, FloatAffine):
        return replace(before, scale=before.scale * scale, shift=before.shift * scale + shift)
    if isinstance(before, FloatConv | FloatLinear):
        return replace(before, weight=before.weight * _rows(scale, before.weight), bias=before.bias * scale + shift)
    return None


def _rows(scale: Tensor, weight: Tensor) -> Tensor:
    return scale.view(-1, *[1] * (weight.ndim - 1))


def _past_source(nodes: list[FloatNode], node: FloatNode) -> FloatNode:
    """The node reading from before its source, if it can do the source's work."""
    if isinstance(node, FloatConv | FloatAvgPool):
        pad = nodes[node.source]
        if isinstance(pad, FloatPad) and pad.before[0] == pad.after[0] == 0:
            top, bottom, left, right = node.padding
            (_, y0, x0), (_, y1, x1) = pad.before, pad.after
            padding = (top + y0, bottom + y1, left + x0, right + x1)
            return _past_source(nodes, replace(node, source=pad.source, padding=padding))
    if isinstance(node, FloatSubsample):
        first = nodes[node.source]
        if isinstance(first, FloatSubsample):
            stride = (first.stride[0] * node.stride[0], first.stride[1] * node.stride[1])
            return replace(first, stride=stride)
    return node


def _named(graph: FloatGraph) -> FloatGraph:
    times: Counter[str] = Counter()
    nodes: list[FloatNode] = []
    for node in graph.nodes:
        times[node.name] += 1
        nodes.append(node if times[node.name] == 1 else replace(node, name=f"{node.name}#{times[node.name]}"))
    return FloatGraph(tuple(nodes), graph.shapes)
